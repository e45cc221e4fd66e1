"""Taking a file in: streamed into the database together with the run that will work it off."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path

from sqlalchemy import insert

from app.db.session import WriteSession
from app.db.tables import Upload, UploadChunk
from app.errors import Fault, InvalidInput, TooLarge
from app.imports.schemas import ImportRequest
from app.imports.sniffing import HEAD_BYTES, file_format
from app.jobs.queue import enqueue
from app.jobs.schemas import RunView
from app.settings import Settings

CHUNK_BYTES = 2**20
LONGEST_FILENAME = 300


async def submit_file(
    session: WriteSession,
    settings: Settings,
    request: ImportRequest,
    source: Path | AsyncIterable[bytes],
    filename: str,
    requested_by: str,
) -> RunView:
    """Store a file, its run and its job in the session's transaction.

    Parameters
    ----------
    session, settings
        The transaction, and the limit of the file's size.
    request
        What to import and how, from `read_request`.
    source
        A local file, or the bytes in order, in pieces of any size.
    filename
        What the caller calls the file.
    requested_by
        Name of the caller.

    Raises
    ------
    InvalidInput
        When the first bytes show that the file is empty or neither CSV nor GeoJSON.
    TooLarge
        When it is larger than the settings allow.
    """
    upload = Upload(filename=_safe_name(filename), size_bytes=0, sha256="")
    session.add(upload)
    await session.flush()
    pieces = _pieces_of(source) if isinstance(source, Path) else source
    await _store_chunks(session, settings, upload, pieces)
    known = {"filename": upload.filename, "upload_id": upload.id}
    parameters = request.model_dump(mode="json") | known
    return RunView.of(await enqueue(session, "import", parameters, requested_by))


def too_large(settings: Settings) -> TooLarge:
    """Return the refusal of a file over the limit."""
    detail = (
        f"Files up to {settings.max_upload_bytes} bytes are taken (BAILIWICK_MAX_UPLOAD_BYTES)."
    )
    return TooLarge(detail, [Fault("too-large", detail, "/file")])


async def _store_chunks(
    session: WriteSession, settings: Settings, upload: Upload, pieces: AsyncIterable[bytes]
) -> None:
    digest = hashlib.sha256()
    ordinal = 0
    async for chunk in _chunks(pieces):
        if ordinal == 0:
            file_format(chunk[:HEAD_BYTES])
        upload.size_bytes += len(chunk)
        if upload.size_bytes > settings.max_upload_bytes:
            raise too_large(settings)
        digest.update(chunk)
        await session.execute(
            insert(UploadChunk).values(upload_id=upload.id, ordinal=ordinal, data=chunk)
        )
        ordinal += 1
    upload.sha256 = digest.hexdigest()
    await session.flush()


async def _chunks(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces of the size they are stored in; at least one, which is empty for no bytes."""
    waiting = bytearray()
    is_first = True
    async for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
            is_first = False
    if waiting or is_first:
        yield bytes(waiting)


async def _pieces_of(path: Path) -> AsyncIterator[bytes]:
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInput(f"{path} cannot be read: {reason}.") from None
    with file:
        while piece := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield piece


def _safe_name(filename: str) -> str:
    """Return a name that can be stored and shown: no folders, no control characters."""
    last = filename.replace("\\", "/").rsplit("/", 1)[-1].encode("utf-8", "replace").decode()
    printable = "".join(sign for sign in last if sign.isprintable())
    return printable[:LONGEST_FILENAME] or "upload"
