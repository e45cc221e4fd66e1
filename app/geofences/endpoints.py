"""Geofences over HTTP."""

import asyncio
from typing import Annotated

from fastapi import Path, Query, Response

from app.auth import Anyone, Planner
from app.errors import Fault, InvalidInput
from app.geofences import repository
from app.geofences.schemas import GeofencesAt, GeofenceSummary, GeofenceView, NewGeofence
from app.http.dependencies import Reading, Writing
from app.http.paging import Page, PagingParameters
from app.http.places import AtPlace
from app.http.routing import router
from geo.antimeridian import Polygonal
from geo.errors import GeometryError
from geo.geojson import polygon_from_geojson

routes = router("geofences")

FenceId = Annotated[int, Path(ge=1, lt=2**63)]


@routes.post("/geofences", status_code=201)
async def create_geofence(
    body: NewGeofence, session: Writing, caller: Planner, response: Response
) -> GeofenceView:
    """Create a geofence from a GeoJSON polygon; it may cross 180°."""
    # Checking tens of thousands of vertices takes a while.
    area = await asyncio.to_thread(_area, body)
    fence = await repository.create_geofence(session, body.name, area, body.attributes)
    response.headers["Location"] = f"/v1/geofences/{fence.id}"
    return fence


@routes.get("/geofences")
async def list_geofences(
    session: Reading, caller: Anyone, page: PagingParameters
) -> Page[GeofenceSummary]:
    """List geofences, without their geometries."""
    found = await repository.list_geofences(session, caller.scope, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([fence.id for fence in found]))


@routes.get("/geofences/at")
async def find_geofences_at(
    session: Reading,
    caller: Anyone,
    place: AtPlace,
    limit: Annotated[int, Query(ge=1, le=1000, description="The oldest ones")] = 100,
) -> GeofencesAt:
    """Return the geofences that hold a point; one on a border is held."""
    found = await repository.find_geofences(session, caller.scope, place.lon, place.lat, limit)
    return GeofencesAt(items=found)


@routes.get("/geofences/{geofence_id}")
async def get_geofence(geofence_id: FenceId, session: Reading, caller: Anyone) -> GeofenceView:
    """Return one geofence with its geometry."""
    return await repository.get_geofence(session, caller.scope, geofence_id)


@routes.delete("/geofences/{geofence_id}", status_code=204)
async def delete_geofence(geofence_id: FenceId, session: Writing, caller: Planner) -> None:
    """Delete a geofence."""
    await repository.delete_geofence(session, geofence_id)


def _area(body: NewGeofence) -> Polygonal:
    try:
        return polygon_from_geojson(body.geometry)
    except GeometryError as error:
        fault = Fault(error.code.replace("_", "-"), error.message, "/geometry" + error.pointer)
        raise InvalidInput("The geometry cannot be used.", [fault]) from None
