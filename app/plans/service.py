"""What must hold before a design is queued."""

from typing import Any

import orjson
from sqlalchemy import text

from app.db.session import WriteSession
from app.db.tables import Layer, Run
from app.errors import Fault, InvalidInput
from app.jobs.queue import enqueue
from app.plans.schemas import PlanRequest
from geo.errors import GeometryError
from geo.geojson import polygon_from_geojson

COUNT = text("""
    SELECT count(*) FROM customer
    WHERE layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
        AND (CAST(:region AS text) IS NULL
             OR ST_Covers(ST_SetSRID(ST_GeomFromGeoJSON(:region), 4326), geom))
""")


async def request_design(session: WriteSession, request: PlanRequest, requested_by: str) -> Run:
    """Queue the design of a plan, after the refusals that need no computing.

    Raises
    ------
    InvalidInput
        For an unknown layer, a region that is no polygon or holds no customers, or more
        territories than customers.
    Conflict
        When a run is at work on the layer.
    """
    layer = await session.get(Layer, request.layer_id)
    if layer is None:
        fault = Fault("unknown", "there is no such layer", "/layer_id")
        raise InvalidInput(f"There is no layer {request.layer_id}.", [fault])
    region = _checked_region(request.region)
    customer_filter = orjson.dumps(layer.customer_filter).decode()
    parameters = {"filter": customer_filter, "region": region}
    found: int = (await session.execute(COUNT, parameters)).scalar_one()
    if found == 0 and region is not None:
        fault = Fault("empty-region", "no customer of the layer lies in it", "/region")
        raise InvalidInput("The region holds no customers.", [fault])
    if found == 0:
        fault = Fault("no-customers", "the layer has no customers", "/layer_id")
        raise InvalidInput(f"The layer {layer.name!r} has no customers.", [fault])
    if request.n_territories > found:
        detail = f"{request.n_territories} territories for {found} customers"
        fault = Fault("more-territories-than-customers", detail, "/n_territories")
        raise InvalidInput("There are more territories than customers.", [fault])
    parameters = request.model_dump(mode="json")
    return await enqueue(session, "design", parameters, requested_by, request.layer_id)


def _checked_region(region: dict[str, Any] | None) -> str | None:
    if region is None:
        return None
    try:
        geometry = polygon_from_geojson(region)
    except GeometryError as error:
        fault = Fault(error.code.replace("_", "-"), error.message, f"/region{error.pointer}")
        raise InvalidInput("The region is not a usable polygon.", [fault]) from None
    return orjson.dumps(geometry.__geo_interface__).decode()
