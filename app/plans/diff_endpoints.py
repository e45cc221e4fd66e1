"""The difference of two plans over HTTP."""

import asyncio
from typing import Annotated, Any, Literal

import orjson
from fastapi import Path, Query

from app.auth import Detail, Reading
from app.http.places import GEOJSON, GeoJsonResponse
from app.http.routing import router
from app.http.tables import as_csv
from app.plans import diff
from app.plans.diff_schemas import PlanDiff
from app.plans.endpoints import PlanId

routes = router("plans")

FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}, GEOJSON: {"schema": {"type": "object"}}}}
}


@routes.get("/plans/{plan_id:int}/diff/{other_id:int}", responses=FORMS)
async def get_plan_diff(
    plan_id: PlanId,
    other_id: Annotated[int, Path(ge=1, lt=2**63)],
    session: Reading,
    caller: Detail,
    format: Annotated[
        Literal["json", "csv", "geojson"],
        Query(
            description="csv: a row for each cell that moves; geojson: a feature for each move, "
            "the ground between two territories"
        ),
    ] = "json",
) -> PlanDiff:
    """Return what changes hands when the other plan follows this one.

    What moves can be a single customer: viewers get 403.
    """
    found = await diff.compare(session, caller.scope, plan_id, other_id)
    if format == "csv":
        return as_csv(diff.as_table(found))  # type: ignore[return-value]
    if format == "geojson":
        body = await asyncio.to_thread(lambda: orjson.dumps(diff.as_features(found)))
        return GeoJsonResponse(body)  # type: ignore[return-value]
    return found.view
