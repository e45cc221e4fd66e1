"""Fronts over HTTP."""

from fastapi import Response

from app.auth import Detail, Planner, Reading, Writing
from app.http.admission import HEAVY
from app.http.routing import router
from app.jobs.schemas import RunView
from app.plans import front_store
from app.plans.endpoints import PlanId
from app.plans.front_schemas import FrontView

routes = router("plans")


@routes.post("/plans/{plan_id}:front", status_code=202, openapi_extra=HEAVY)
async def make_plan_front(
    plan_id: PlanId, session: Writing, caller: Planner, response: Response
) -> RunView:
    """Vary a plan: follow the run in the Location header, then get the front.

    The request of the plan is designed again at smaller and larger tolerances of work, on the
    plan's own cells and the customers of today. Designs that no other dominates become drafts. A
    front made before is replaced; those of its drafts that nobody has touched are deleted.
    """
    run = await front_store.request_front(session, plan_id, caller.acting.actor)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return RunView.of(run)


@routes.get("/plans/{plan_id}/front")
async def get_plan_front(plan_id: PlanId, session: Reading, caller: Detail) -> FrontView:
    """Return the plans around this one that trade balance, compactness and disruption.

    What changes hands can be a single customer: viewers get 403.
    """
    return await front_store.get_front(session, caller.scope, plan_id)
