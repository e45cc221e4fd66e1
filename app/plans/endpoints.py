"""Plans over HTTP."""

import csv
import io
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response

from app.auth import Anyone, Planner
from app.http.dependencies import Reading, Writing
from app.http.paging import Page, PagingParameters
from app.http.places import GEOJSON, GeoJsonResponse
from app.http.routing import router
from app.jobs.schemas import RunView
from app.plans import publishing, repository, service
from app.plans.drift import measure_drift
from app.plans.request import PlanRequest
from app.plans.schemas import (
    DriftView,
    PlanCells,
    PlanSummary,
    PlanView,
    PublicationView,
    PublishRequest,
)

routes = router("plans")

PlanId = Annotated[int, Path(ge=1, lt=2**63)]
NOW = PublishRequest()
AS_GEOJSON: dict[int | str, dict[str, Any]] = {
    200: {"content": {GEOJSON: {"schema": {"type": "object"}}}}
}


@routes.post("/plans", status_code=202)
async def design_plan(
    body: PlanRequest, session: Writing, caller: Planner, response: Response
) -> RunView:
    """Design a plan; follow the run in the Location header, its result names the plan."""
    run = await service.request_design(session, body, caller.name)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return RunView.of(run)


@routes.get("/plans")
async def list_plans(
    session: Reading,
    caller: Anyone,
    page: PagingParameters,
    layer_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Page[PlanSummary]:
    """List plans, newest first."""
    found = await repository.list_plans(session, caller.scope, layer_id, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([plan.id for plan in found]))


@routes.get("/plans/{plan_id}")
async def get_plan(plan_id: PlanId, session: Reading, caller: Anyone) -> PlanView:
    """Return a plan with its balance table and the pieces of its region."""
    return await repository.get_plan(session, caller.scope, plan_id)


@routes.get("/plans/{plan_id}/territories", response_class=GeoJsonResponse, responses=AS_GEOJSON)
async def get_plan_territories(plan_id: PlanId, session: Reading, caller: Anyone) -> Response:
    """Return the territories of a plan as GeoJSON."""
    body = await repository.territories_geojson(session, caller.scope, plan_id)
    return GeoJsonResponse(body)


@routes.get("/plans/{plan_id}/cells", responses={200: {"content": {"text/csv": {}}}})
async def get_plan_cells(
    plan_id: PlanId,
    session: Reading,
    caller: Anyone,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> PlanCells:
    """Return every cell of a plan with the code of its territory."""
    pairs = list(await repository.plan_cells(session, caller.scope, plan_id))
    if format == "csv":
        return _as_csv(pairs)  # type: ignore[return-value]
    return PlanCells(cells=pairs)


@routes.get("/plans/{plan_id}/manifest")
async def get_plan_manifest(plan_id: PlanId, session: Reading, caller: Anyone) -> dict[str, Any]:
    """Return what a plan was made from: input digest, parameters, seed, versions."""
    return await repository.get_manifest(session, caller.scope, plan_id)


@routes.get("/plans/{plan_id}/drift")
async def get_plan_drift(plan_id: PlanId, session: Reading, caller: Planner) -> DriftView:
    """Return the balance of a published plan with the customers of today."""
    return await measure_drift(session, caller.scope, plan_id)


@routes.post("/plans/{plan_id}:publish", status_code=201)
async def publish_plan(
    plan_id: PlanId, session: Writing, caller: Planner, body: PublishRequest = NOW
) -> PublicationView:
    """Bring a plan into force, now or from a later instant on."""
    return await publishing.publish(
        session, plan_id, body.effective_from, body.assign_reps, caller.name
    )


@routes.post("/plans/{plan_id}:withdraw", status_code=204, response_class=Response)
async def withdraw_plan(plan_id: PlanId, session: Writing, caller: Planner) -> Response:
    """Take back the publication of a plan that has not come into force yet."""
    await publishing.withdraw(session, plan_id)
    return Response(status_code=204)


def _as_csv(pairs: list[tuple[str, str]]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("cell", "territory"))
    writer.writerows(pairs)
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8")
