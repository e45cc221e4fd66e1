"""Geofences over HTTP."""

import asyncio
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import Path, Query, Response

from app.auth import Anyone, Detail, Planner, Reading, Writing
from app.db.scope import EVERYTHING
from app.errors import Fault, InvalidInput, NotFound
from app.geofences import members, membership, repository
from app.geofences.schemas import (
    FenceBatch,
    FencedCustomers,
    FenceIds,
    GeofenceBody,
    GeofencesAt,
    GeofenceSummary,
    GeofenceView,
    Group,
    GroupDeletion,
    Kind,
    NewGeofence,
)
from app.geofences.shapes import SHAPE_MEMBERS, shape_of
from app.http.etags import IfMatch, IfNoneMatch, entity_tag, require_match, tagged
from app.http.merge_patch import Patch, patch_document, patched, refuse_identity
from app.http.paging import Page, PagingParameters
from app.http.places import AtPlace, GeoJsonResponse, InBox
from app.http.routing import router
from app.http.values import Name

routes = router("geofences")

FenceId = Annotated[int, Path(ge=1, lt=2**63)]
InGroup = Annotated[Group | None, Query(description="Fences of this group only")]


@routes.post("/geofences", status_code=201)
async def create_geofence(
    body: NewGeofence, session: Writing, caller: Planner, response: Response
) -> GeofenceView:
    """Create a geofence: a polygon, a geodesic circle, or a set of H3 cells.

    A polygon may cross 180°. One whose edges cross is refused with the place, or repaired when
    `repair` is set.
    """
    # Checking tens of thousands of vertices takes a while.
    shape = await asyncio.to_thread(shape_of, body.kind, body)
    fence_id = await repository.create_geofence(session, body.kind, body.external_id, body, shape)
    fence = await repository.get_geofence(session, EVERYTHING, fence_id)
    response.headers["Location"] = f"/v1/geofences/{fence.id}"
    response.headers["ETag"] = entity_tag(fence)
    return fence.model_copy(update={"repaired": shape.repaired})


@routes.get("/geofences")
async def list_geofences(
    session: Reading,
    caller: Anyone,
    page: PagingParameters,
    bbox: InBox,
    kind: Annotated[list[Kind], Query(max_length=5)] = [],  # noqa: B006
    group: InGroup = None,
    external_id: Annotated[Name | None, Query()] = None,
) -> Page[GeofenceSummary]:
    """List geofences, without their geometries; those that touch `bbox` where it is given."""
    wanted = repository.FenceFilter(tuple(kind), group, external_id, bbox)
    found = await repository.list_geofences(
        session, caller.scope, wanted, page.after, page.limit + 1
    )
    return Page(items=found[: page.limit], links=page.links([fence.id for fence in found]))


@routes.delete("/geofences")
async def delete_geofence_group(
    group: Annotated[Group, Query(description="All fences of this group are deleted")],
    session: Writing,
    caller: Planner,
) -> GroupDeletion:
    """Delete every geofence of a group."""
    deleted = await repository.delete_group(session, group)
    if deleted == 0:
        raise NotFound(f"There is no geofence of the group {group!r}.")
    return GroupDeletion(deleted=deleted)


@routes.get("/geofences/at")
async def find_geofences_at(
    session: Reading,
    caller: Anyone,
    place: AtPlace,
    limit: Annotated[int, Query(ge=1, le=1000, description="The oldest ones")] = 100,
    group: InGroup = None,
) -> GeofencesAt:
    """Return the geofences that hold a point; one on a border is held."""
    (ids,) = await membership.find_geofences(
        session, caller.scope, np.array([place.lon]), np.array([place.lat]), group
    )
    return GeofencesAt(items=await repository.get_summaries(session, caller.scope, ids[:limit]))


@routes.post("/geofences/at:batch", response_model=FenceIds)
async def find_geofences_at_many(body: FenceBatch, session: Reading, caller: Anyone) -> Response:
    """Return the ids of the geofences that hold each of up to 10,000 points, in the order given.

    The same fences as `/geofences/at` finds for each point.
    """
    lon, lat = membership.positions(body.points)
    found = await membership.find_geofences(session, caller.scope, lon, lat, body.group)
    return Response(orjson.dumps({"items": found}), media_type="application/json")


@routes.get("/geofences/{geofence_id:int}", response_model=GeofenceView)
async def get_geofence(
    geofence_id: FenceId,
    session: Reading,
    caller: Anyone,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return one geofence with its geometry."""
    fence = repository.shown_to(
        caller, await repository.get_geofence(session, caller.scope, geofence_id)
    )
    return tagged(response, fence, if_none_match) or fence


@routes.get(
    "/geofences/{geofence_id:int}/customers",
    response_class=GeoJsonResponse,
    responses={200: {"model": FencedCustomers}},
)
async def list_geofence_customers(
    geofence_id: FenceId,
    session: Reading,
    caller: Detail,
    page: PagingParameters,
    count: Annotated[bool, Query(description="Say also how many there are in all")] = False,
) -> Response:
    """Return the customers inside a geofence, as `/geofences/at` finds it for their places."""
    ground = await members.ground_of(session, caller.scope, geofence_id)
    features, ids = await members.customers_inside(
        session, caller.scope, ground, page.after, page.limit
    )
    # A full page has a next one, which may be empty: to know would be to look for one more.
    links = page.links([*ids, 0] if len(ids) == page.limit else ids)
    tail: dict[str, Any] = {"links": [link.model_dump() for link in links]}
    if count:
        tail["count"] = await members.count_inside(session, caller.scope, ground)
    # Both are written already; only their frame is not.
    frame = b'{"type":"FeatureCollection","features":' + features + b"," + orjson.dumps(tail)[1:]
    return GeoJsonResponse(frame)


@routes.patch(
    "/geofences/{geofence_id:int}",
    openapi_extra=patch_document(GeofenceBody, {"name": "Yard 2"}),
)
async def change_geofence(
    geofence_id: FenceId,
    patch: Patch,
    session: Writing,
    caller: Planner,
    response: Response,
    if_match: IfMatch = None,
) -> GeofenceView:
    """Change some members of a geofence (JSON Merge Patch); its kind stays what it is."""
    stored = await repository.lock_geofence(session, geofence_id)
    require_match(if_match, entity_tag(stored))
    refuse_identity(patch, "id", "kind", "external_id")
    body = patched(stored.body, patch)
    shape = None
    if any(name in patch for name in SHAPE_MEMBERS):
        if stored.kind == "catchment":
            detail = "the ground of a catchment comes from its model: make the group anew"
            raise InvalidInput("A catchment cannot be redrawn.", [Fault("immutable", detail)])
        shape = await asyncio.to_thread(shape_of, stored.kind, body)
    await repository.change_geofence(session, geofence_id, body, shape)
    fence = await repository.get_geofence(session, EVERYTHING, geofence_id)
    response.headers["ETag"] = entity_tag(fence)
    return fence.model_copy(update={"repaired": [] if shape is None else shape.repaired})


@routes.delete("/geofences/{geofence_id:int}", status_code=204)
async def delete_geofence(
    geofence_id: FenceId, session: Writing, caller: Planner, if_match: IfMatch = None
) -> None:
    """Delete a geofence."""
    fence = await repository.lock_geofence(session, geofence_id)
    require_match(if_match, entity_tag(fence))
    await repository.delete_geofence(session, geofence_id)
