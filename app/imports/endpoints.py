"""Imports over HTTP."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Path, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from app.auth import LateWriting, Planner, Reading
from app.errors import DiskFull, Fault, InvalidInput, MalformedRequest, is_disk_full
from app.http.admission import UPLOAD
from app.http.dependencies import AppSettings
from app.http.idempotency import key_of
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.imports.faults import list_faults
from app.imports.schemas import ImportFaultView, ImportRequest, read_request
from app.imports.service import CHUNK_BYTES, submit_file, too_large
from app.jobs.schemas import RunView
from app.settings import Settings

routes = router("imports")

RunId = Annotated[int, Path(ge=1, lt=2**63)]
# What the other parts of the form and their headers may take beside the file.
FORM_BYTES = 2**20
# The framework's limit is set when this module is loaded; ours is in the settings and counted here.
UNLIMITED = 2**62


def _form_document() -> dict[str, Any]:
    schema = ImportRequest.model_json_schema()
    file = {"type": "string", "format": "binary", "description": "CSV or GeoJSON, UTF-8"}
    schema["properties"] = {"file": file, **schema["properties"]}
    schema["required"] = ["file", *schema["required"]]
    form = {"schema": schema, "encoding": {"mapping": {"contentType": "application/json"}}}
    body = {"required": True, "content": {"multipart/form-data": form}}
    return {**UPLOAD, "requestBody": body}


@routes.post("/imports", status_code=202, max_body_size=UNLIMITED, openapi_extra=_form_document())
async def create_import(
    request: Request,
    start: LateWriting,
    settings: AppSettings,
    caller: Planner,
    response: Response,
) -> RunView:
    """Take a file of customers or reps; the run that reads and merges it is the answer."""
    # The form is read here and not by the framework, which would do so before it asks who calls.
    async with _received(request, settings) as (wanted, file):
        session = await start(await _content_of(request, wanted, file))
        run = await submit_file(
            session, settings, wanted, _pieces(file), file.filename or "", caller.acting.actor
        )
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return run


@routes.get("/imports/{run_id}/errors")
async def list_import_errors(
    run_id: RunId, session: Reading, caller: Planner, page: PagingParameters
) -> Page[ImportFaultView]:
    """List what is wrong with the rows of an import, in the order of the file."""
    found = await list_faults(session, run_id, page.after, page.limit + 1)
    items = [ImportFaultView.of(fault) for fault in found[: page.limit]]
    return Page(items=items, links=page.links([fault.id for fault in found]))


@asynccontextmanager
async def _received(
    request: Request, settings: Settings
) -> AsyncIterator[tuple[ImportRequest, UploadFile]]:
    """Give the form's request and file; beyond 1 MB the file waits on disk, never in memory."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise MalformedRequest("Send the file as multipart/form-data, in a part named `file`.")
    stream = _limited(request, settings)
    parser = MultiPartParser(request.headers, stream, max_files=1, max_fields=10)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise MalformedRequest(f"The form cannot be read: {error.message}") from None
    except ClientDisconnect:
        raise MalformedRequest("The upload ended before the file was complete.") from None
    except OSError as error:
        # The file that waits has no name and is gone when it is let go of.
        if not is_disk_full(error):
            raise
        raise DiskFull("There is no room for the file on the disk of this process.") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            fault = Fault("missing", "the form needs a part `file` with a filename", "/file")
            raise InvalidInput("The form holds no file.", [fault])
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        yield read_request(texts), file
    finally:
        await form.close()


async def _limited(request: Request, settings: Settings) -> AsyncGenerator[bytes, None]:
    limit = settings.max_upload_bytes + FORM_BYTES
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(settings)
    received = 0
    async for piece in request.stream():
        received += len(piece)
        if received > limit:
            raise too_large(settings)
        yield piece


async def _content_of(request: Request, wanted: ImportRequest, file: UploadFile) -> bytes:
    """Return what makes a form this one: each time it is sent, its boundary is another."""
    if key_of(request) is None:
        return b""
    digest = hashlib.sha256(wanted.model_dump_json().encode())
    async for piece in _pieces(file):
        digest.update(piece)
    await file.seek(0)
    return digest.digest()


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(CHUNK_BYTES):
        yield piece
