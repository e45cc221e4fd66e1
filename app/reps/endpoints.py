"""Reps over HTTP."""

from typing import Annotated, Any

from fastapi import Path, Response

from app.auth import Anyone, Planner, Reading, Writing
from app.http.etags import IfMatch, IfNoneMatch, entity_tag, require_match, tagged
from app.http.merge_patch import Patch, patch_document, patched, refuse_identity
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.reps import repository
from app.reps.schemas import NewRep, RepBody, RepView

routes = router("reps")

RepId = Annotated[int, Path(ge=1, lt=2**63)]
ExternalId = Annotated[str, Path(min_length=1, max_length=300, pattern=r"^[^\x00]+$")]


@routes.post("/reps", status_code=201)
async def create_rep(
    body: NewRep, session: Writing, caller: Planner, response: Response
) -> RepView:
    """Create a rep; the capacity follows from its parts."""
    fields = RepBody.model_validate(body.model_dump(exclude={"external_id"}))
    rep = await repository.create_rep(session, body.external_id, fields)
    response.headers["Location"] = f"/v1/reps/{rep.id}"
    response.headers["ETag"] = entity_tag(rep)
    return rep


@routes.get("/reps")
async def list_reps(session: Reading, caller: Anyone, page: PagingParameters) -> Page[RepView]:
    """List reps."""
    found = await repository.list_reps(session, caller.scope, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([rep.id for rep in found]))


@routes.get("/reps/{rep_id:int}", response_model=RepView)
async def get_rep(
    rep_id: RepId,
    session: Reading,
    caller: Anyone,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return one rep."""
    rep = await repository.get_rep(session, caller.scope, rep_id)
    return tagged(response, rep, if_none_match) or rep


@routes.put("/reps/by-external-id/{external_id:path}", responses={201: {"model": RepView}})
async def upsert_rep(
    external_id: ExternalId, body: RepBody, session: Writing, caller: Planner, response: Response
) -> RepView:
    """Create or overwrite the rep with this external id; the last write wins."""
    rep, is_new = await repository.upsert_rep(session, external_id, body)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/reps/{rep.id}"
    response.headers["ETag"] = entity_tag(rep)
    return rep


@routes.patch("/reps/{rep_id:int}", openapi_extra=patch_document(RepBody, {"fte": 0.5}))
async def change_rep(
    rep_id: RepId,
    patch: Patch,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> RepView:
    """Change some members of a rep (JSON Merge Patch); null sets a member to its default."""
    stored = await repository.lock_rep(session, rep_id)
    require_match(if_match, entity_tag(stored))
    refuse_identity(patch, "id", "external_id")
    body = patched(stored.body, patch)
    rep, _ = await repository.upsert_rep(session, stored.external_id, body)
    response.headers["ETag"] = entity_tag(rep)
    return rep


@routes.delete("/reps/{rep_id:int}", status_code=204)
async def delete_rep(
    rep_id: RepId, session: Writing, caller: Planner, if_match: IfMatch = None
) -> None:
    """Delete a rep who never had a territory; who was responsible when stays known."""
    require_match(if_match, entity_tag(await repository.lock_rep(session, rep_id)))
    await repository.delete_rep(session, rep_id)
