"""What-ifs over HTTP."""

from fastapi import Response

from app.auth import Planner, Writing
from app.http.admission import HEAVY
from app.http.routing import router
from app.jobs.schemas import RunView
from app.plans import what_if_service
from app.plans.endpoints import PlanId
from app.plans.what_if_request import WhatIfRequest

routes = router("plans")


@routes.post("/plans/{plan_id}:what-if", status_code=202, openapi_extra=HEAVY)
async def suppose_changes(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    body: WhatIfRequest,
) -> RunView:
    """Find what would be if reps, territories or customers changed; follow the run in Location.

    The plan is rebalanced under the changes as `:rebalance` would do it, and nothing is stored but
    the `result` of the run: balance before and after, who takes over from whom, every move with its
    reason, the cost, and the customers who would come to somebody else.
    """
    run = await what_if_service.request_what_if(session, plan_id, body, caller.acting.actor)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return RunView.of(run)
