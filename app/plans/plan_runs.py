"""Asking a worker for something about one plan: one run of a kind at a time for each plan."""

from sqlalchemy import select

from app.db.session import AnySession, WriteSession
from app.db.tables import Plan, Run
from app.errors import Conflict, Fault, NotFound
from app.jobs.queue import enqueue


async def request_run(session: WriteSession, kind: str, plan_id: int, requested_by: str) -> Run:
    """Queue a run of a kind that reads a plan and changes nothing of it.

    Raises
    ------
    NotFound
        When there is no such plan.
    Conflict
        When such a run is at work on the plan; the fault names it.
    """
    # Of two requests at once the second sees the run of the first.
    plan = select(Plan.id).where(Plan.id == plan_id).with_for_update(key_share=True)
    if await session.scalar(plan) is None:
        raise NotFound(f"There is no plan {plan_id}.")
    active = await active_run(session, kind, plan_id)
    if active is not None:
        fault = Fault("run-active", f"/v1/runs/{active}")
        raise Conflict(f"Run {active} is doing this for plan {plan_id}.", [fault])
    return await enqueue(session, kind, {"plan_id": plan_id}, requested_by)


async def active_run(session: AnySession, kind: str, plan_id: int) -> int | None:
    """Return the run of a kind that is queued or at work for a plan."""
    run_id: int | None = await session.scalar(
        select(Run.id).where(
            Run.kind == kind,
            Run.parameters["plan_id"].as_integer() == plan_id,
            Run.state.in_(("queued", "running")),
        )
    )
    return run_id
