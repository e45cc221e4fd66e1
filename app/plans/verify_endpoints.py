"""Verifying plans over HTTP."""

from fastapi import Response

from app.auth import Planner, Writing
from app.http.admission import HEAVY
from app.http.routing import router
from app.jobs.schemas import RunView
from app.plans.endpoints import PlanId
from app.plans.plan_runs import request_run
from app.plans.verify_job import KIND

routes = router("plans")


@routes.post("/plans/{plan_id}:verify", status_code=202, openapi_extra=HEAVY)
async def verify_plan(
    plan_id: PlanId, session: Writing, caller: Planner, response: Response
) -> RunView:
    """Make a plan again from its manifest and its input, and compare: follow the run.

    Its result says whether the two are `identical`, and gives `checks` by name: versions, input,
    given, parameters, cells, alignment, scores, certificate. Nothing of the plan is changed. Plans
    that somebody made by hand from another say so and name that plan.
    """
    run = await request_run(session, KIND, plan_id, caller.acting.actor)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return RunView.of(run)
