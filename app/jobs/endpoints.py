"""Runs over HTTP."""

from typing import Annotated

from fastapi import Path, Query
from sqlalchemy import ColumnElement, func, select, true, update

from app.auth import Caller, Planner
from app.db.session import AnySession
from app.db.tables import Run
from app.errors import Conflict, NotFound
from app.http.dependencies import Reading, Writing
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.http.values import SafeText
from app.jobs.schemas import RunState, RunView, is_over

routes = router("runs")

RunId = Annotated[int, Path(ge=1, lt=2**63)]


@routes.get("/runs")
async def list_runs(
    session: Reading,
    caller: Planner,
    page: PagingParameters,
    kind: Annotated[SafeText | None, Query(max_length=50)] = None,
    state: Annotated[RunState | None, Query()] = None,
) -> Page[RunView]:
    """List runs, oldest first."""
    conditions: list[ColumnElement[bool]] = [Run.id > page.after]
    conditions.append(Run.kind == kind if kind else true())
    conditions.append(Run.state == state if state else true())
    statement = select(Run).where(*conditions).order_by(Run.id).limit(page.limit + 1)
    found = [RunView.of(run) for run in await session.scalars(statement)]
    return Page(items=found[: page.limit], links=page.links([run.id for run in found]))


@routes.get("/runs/{run_id}")
async def get_run(run_id: RunId, session: Reading, caller: Planner) -> RunView:
    """Return a run with its progress, and its result or error once it is over."""
    return RunView.of(await _find(session, caller, run_id))


@routes.post("/runs/{run_id}:cancel", status_code=202)
async def cancel_run(run_id: RunId, session: Writing, caller: Planner) -> RunView:
    """Ask a run to stop; a running one stops within about a second."""
    run = await _find(session, caller, run_id)
    if is_over(run.state):
        raise Conflict(f"Run {run_id} has {run.state} already.")
    await session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state == "queued")
        .values(state="cancelled", phase="cancelled", finished_at=func.now())
    )
    await session.execute(
        update(Run).where(Run.id == run_id, Run.state == "running").values(cancel_requested=True)
    )
    await session.refresh(run)
    return RunView.of(run)


async def _find(session: AnySession, caller: Caller, run_id: int) -> Run:
    run = await session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run
