"""What must hold before a design is queued."""

import asyncio
from typing import Any

import orjson

from app.db.session import WriteSession
from app.db.tables import Layer, Run
from app.errors import Fault, InvalidInput
from app.jobs.queue import enqueue
from app.plans.checks import refuse_contradictions
from app.plans.lookups import resolve, totals
from app.plans.request import PlanRequest
from geo.geojson import polygon_from_geojson


async def request_design(session: WriteSession, request: PlanRequest, requested_by: str) -> Run:
    """Queue the design of a plan, after the refusals that need no computing.

    Raises
    ------
    InvalidInput
        For wishes that contradict each other, an unknown layer, rep or plan, a region that holds
        no customers, a measure that is zero everywhere, or more territories than customers.
    Conflict
        When a run is at work on the layer.
    """
    # Geometries of megabytes take a second to check, in which others are to be answered.
    await asyncio.to_thread(refuse_contradictions, request)
    layer = await session.get(Layer, request.layer_id)
    if layer is None:
        fault = Fault("unknown", "there is no such layer", "/layer_id")
        raise InvalidInput(f"There is no layer {request.layer_id}.", [fault])
    await resolve(session, request)
    customer_filter = orjson.dumps(layer.customer_filter).decode()
    found = await totals(session, customer_filter, _as_text(request.region))
    if found["customers"] == 0 and (await totals(session, customer_filter, None))["customers"]:
        fault = Fault("empty-region", "no customer of the layer lies in it", "/region")
        raise InvalidInput("The region holds no customers.", [fault])
    _refuse_empty(request, layer.name, found)
    parameters = request.model_dump(mode="json", by_alias=True)
    return await enqueue(session, "design", parameters, requested_by, request.layer_id)


def _refuse_empty(request: PlanRequest, layer: str, found: dict[str, float]) -> None:
    """Refuse what no plan can be made of: `found` are the sums over the customers."""
    if found["customers"] == 0:
        fault = Fault("no-customers", "the layer has no customers", "/layer_id")
        raise InvalidInput(f"The layer {layer!r} has no customers.", [fault])
    for name in request.balanced:
        if found[name] == 0:
            pointer = f"/tolerances/{name}" if name != "work_minutes" else "/layer_id"
            fault = Fault("nothing-to-balance", f"{name} is zero everywhere", pointer)
            raise InvalidInput(f"The customers have no {name} to balance.", [fault])
    number = request.stated_number
    if number is not None and number > found["customers"]:
        detail = f"{number} territories for {found['customers']:.0f} customers"
        fault = Fault("more-territories-than-customers", detail, f"/{request.number_field}")
        raise InvalidInput("There are more territories than customers.", [fault])


def _as_text(region: dict[str, Any] | None) -> str | None:
    """Return a region that was checked, as PostGIS reads it."""
    if region is None:
        return None
    return orjson.dumps(polygon_from_geojson(region).__geo_interface__).decode()
