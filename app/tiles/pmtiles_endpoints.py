"""A plan's tiles as one file, over HTTP."""

from typing import Annotated

from fastapi import Header, Path, Response
from fastapi.responses import StreamingResponse

from app.auth import Anyone, Planner, Writing
from app.errors import NotFound
from app.http.admission import HEAVY
from app.http.dependencies import AppDatabase
from app.http.etags import is_known
from app.http.routing import router
from app.jobs.schemas import RunView
from app.tiles.pmtiles_job import MEDIA_TYPE
from app.tiles.pmtiles_store import find_file, pieces, range_of, request_file

routes = router("tiles")

PlanInPath = Annotated[int, Path(ge=1, lt=2**63)]
BINARY = {"schema": {"type": "string", "format": "binary"}}


@routes.post("/plans/{plan_id}:pmtiles", status_code=202, openapi_extra=HEAVY)
async def make_plan_pmtiles(
    plan_id: PlanInPath, session: Writing, caller: Planner, response: Response
) -> RunView:
    """Write the territories and cells of a plan as one PMTiles file.

    Follow the run in the Location header, then get the file. Drafts have none: publish first.
    """
    run = await request_file(session, plan_id, caller.acting.actor)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return RunView.of(run)


@routes.get(
    "/plans/{plan_id}/tiles.pmtiles",
    response_class=StreamingResponse,
    responses={
        200: {"content": {MEDIA_TYPE: BINARY}},
        206: {"description": "The bytes asked for", "content": {MEDIA_TYPE: BINARY}},
        304: {"description": "The file is still what `If-None-Match` names"},
    },
)
async def get_plan_pmtiles(
    plan_id: PlanInPath,
    database: AppDatabase,
    caller: Anyone,
    range_: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the PMTiles file of a plan, or the range of it that the header Range asks for."""
    # It holds all territories, so it is for those who may see all.
    if not caller.scope.is_unlimited:
        raise NotFound(f"There is no plan {plan_id}.")
    async with database.reading() as session:
        file = await find_file(session, plan_id)
    headers = {
        "ETag": file.etag, "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache", "Vary": "Authorization",
    }  # fmt: skip
    if is_known(if_none_match, file.etag):
        return Response(status_code=304, headers=headers)
    # A range of another version would be of no use: that caller gets all of this one.
    is_fitting = range_ is not None and if_range in (None, file.etag)
    asked = range_of(range_ or "", file.size_bytes) if is_fitting else None
    first, last = asked or (0, file.size_bytes - 1)
    headers["Content-Length"] = str(last - first + 1)
    if asked is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{file.size_bytes}"
    body = pieces(database, file.id, first, last)
    status = 200 if asked is None else 206
    return StreamingResponse(body, status, headers, media_type=MEDIA_TYPE)
