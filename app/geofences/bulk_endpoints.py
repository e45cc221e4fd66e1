"""Making many geofences over HTTP: imports, service circles, catchments, and their coverage."""

from typing import Annotated

from fastapi import Query

from app.auth import Anyone, Planner, Reading, Writing
from app.geofences import anchors
from app.geofences.anchor_schemas import (
    CatchmentReport,
    Catchments,
    Coverage,
    ServiceCircles,
    WithoutReport,
)
from app.geofences.coverage import coverage_of, report_of_circles
from app.geofences.importing import import_geofences
from app.geofences.schemas import GeofenceImport, Group, ImportReport
from app.http.admission import HEAVY
from app.http.routing import router

routes = router("geofences")


@routes.post("/geofences:service-circles", status_code=201, openapi_extra=HEAVY)
async def create_service_circles(
    body: ServiceCircles, session: Writing, caller: Planner
) -> Coverage | WithoutReport:
    """Make a circle round every anchor, as one group; the answer is the report of its coverage.

    Where that would take too long the circles are made all the same, and `no_report` says why.
    """
    await anchors.create_service_circles(session, body)
    return await report_of_circles(session, caller, body.group)


@routes.post("/geofences:catchments", status_code=201, openapi_extra=HEAVY)
async def create_catchments(body: Catchments, session: Writing, caller: Planner) -> CatchmentReport:
    """Make the catchment of every anchor by Huff's gravity model, as one group of sets of cells.

    A cell goes to the anchor that its demand goes to with the largest probability, which is
    attraction / distance ** exponent, as a share of all anchors within the largest distance. What
    an anchor may expect is the sum over all cells of probability times what is there.
    """
    return await anchors.create_catchments(session, body)


@routes.get("/geofences/coverage", openapi_extra=HEAVY)
async def get_geofence_coverage(
    group: Annotated[Group, Query(description="The fences of this group")],
    session: Reading,
    caller: Anyone,
) -> Coverage:
    """Return what a group of fences covers of the customers in the caller's scope, and how often.

    Roles without the right to detail are not shown numbers below 5. A group whose fences hold
    customers more than 1,500,000 times, each counted in every one, is refused.
    """
    return await coverage_of(session, caller, group)


@routes.post("/geofences:import", openapi_extra=HEAVY)
async def import_geofence_collection(
    body: GeofenceImport,
    session: Writing,
    caller: Planner,
    group: Annotated[Group | None, Query(description="Of features that name none")] = None,
    repair: Annotated[bool, Query(description="Make invalid polygons valid")] = False,
) -> ImportReport:
    """Create geofences from a GeoJSON FeatureCollection, all of them or none.

    A feature whose `external_id` is known overwrites that geofence.
    """
    return await import_geofences(session, body, group, repair)
