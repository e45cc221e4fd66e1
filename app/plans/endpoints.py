"""Plans over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response

from app.auth import Anyone, Planner, Reading, Writing
from app.db.scope import EVERYTHING
from app.db.session import WriteSession
from app.db.tables import Plan
from app.http.admission import HEAVY
from app.http.dependencies import AppSettings
from app.http.etags import IfMatch, IfNoneMatch, entity_tag, require_match, tagged
from app.http.paging import Page, PagingParameters
from app.http.places import GEOJSON, GeoJsonResponse
from app.http.routing import router
from app.http.tables import as_csv
from app.jobs.schemas import RunView
from app.plans import publishing, repository, service
from app.plans.approval import ApprovalRule
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


@routes.post("/plans", status_code=202, openapi_extra=HEAVY)
async def design_plan(
    body: PlanRequest, session: Writing, caller: Planner, response: Response
) -> RunView:
    """Design a plan; follow the run in the Location header, its result names the plan."""
    run = await service.request_design(session, body, caller.acting.actor)
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
    found = await repository.list_plans(
        session, caller.scope, layer_id, page.after, page.limit + 1, fewest=caller.fewest_shown
    )
    return Page(items=found[: page.limit], links=page.links([plan.id for plan in found]))


@routes.get("/plans/{plan_id:int}", response_model=PlanView)
async def get_plan(
    plan_id: PlanId,
    session: Reading,
    caller: Anyone,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return a plan with its balance table and the pieces of its region."""
    plan = await repository.get_plan(session, caller.scope, plan_id, fewest=caller.fewest_shown)
    return tagged(response, plan, if_none_match) or plan


@routes.get(
    "/plans/{plan_id:int}/territories", response_class=GeoJsonResponse, responses=AS_GEOJSON
)
async def get_plan_territories(plan_id: PlanId, session: Reading, caller: Anyone) -> Response:
    """Return the territories of a plan as GeoJSON."""
    body = await repository.territories_geojson(
        session, caller.scope, plan_id, fewest=caller.fewest_shown
    )
    return GeoJsonResponse(body)


@routes.get("/plans/{plan_id:int}/cells", responses={200: {"content": {"text/csv": {}}}})
async def get_plan_cells(
    plan_id: PlanId,
    session: Reading,
    caller: Anyone,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> PlanCells:
    """Return every cell of a plan with the code of its territory."""
    pairs = list(await repository.plan_cells(session, caller.scope, plan_id))
    if format == "csv":
        return as_csv([("cell", "territory"), *pairs])  # type: ignore[return-value]
    return PlanCells(cells=pairs)


@routes.get("/plans/{plan_id:int}/manifest")
async def get_plan_manifest(plan_id: PlanId, session: Reading, caller: Anyone) -> dict[str, Any]:
    """Return what a plan was made from: input digest, parameters, seed, versions."""
    return await repository.get_manifest(session, caller.scope, plan_id, fewest=caller.fewest_shown)


@routes.get("/plans/{plan_id:int}/drift")
async def get_plan_drift(plan_id: PlanId, session: Reading, caller: Planner) -> DriftView:
    """Return the balance of a published plan with the customers of today."""
    return await measure_drift(session, caller.scope, plan_id)


@routes.post("/plans/{plan_id}:publish", status_code=201)
async def publish_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    settings: AppSettings,
    body: PublishRequest = NOW,
    if_match: IfMatch = None,
) -> PublicationView:
    """Bring a plan into force, now or from a later instant on.

    One that moves more of the layer's customers than `BAILIWICK_APPROVAL_ABOVE_SHARE` needs the
    approval of another person. One whose customers have changed since it was counted, so that it
    misses its tolerances or 1 % of them came or went, is refused with what changed.
    """
    await require_newest(session, plan_id, if_match)
    return await publishing.publish(
        session, plan_id, body.effective_from, body.assign_reps, caller.acting.actor,
        ApprovalRule.of(settings), body.accept_changes,
    )  # fmt: skip


@routes.post("/plans/{plan_id}:withdraw", status_code=204, response_class=Response)
async def withdraw_plan(
    plan_id: PlanId, session: Writing, caller: Planner, if_match: IfMatch = None
) -> Response:
    """Take back the publication of a plan that has not come into force yet."""
    await require_newest(session, plan_id, if_match)
    await publishing.withdraw(session, plan_id, caller.acting.actor)
    return Response(status_code=204)


async def require_newest(session: WriteSession, plan_id: int, if_match: str | None) -> Plan:
    """Let a change of a plan through when its author has seen it as it is; others wait."""
    plan = await publishing.take_turn(session, plan_id)
    view = await repository.get_plan(session, EVERYTHING, plan_id, fewest=1)
    require_match(if_match, entity_tag(view))
    return plan


async def changed(session: WriteSession, plan_id: int, response: Response) -> PlanView:
    """Return a plan as it is after a change, with its new tag on the response."""
    await session.flush()
    view = await repository.get_plan(session, EVERYTHING, plan_id, fewest=1)
    response.headers["ETag"] = entity_tag(view)
    return view
