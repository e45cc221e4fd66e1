"""Runs over HTTP."""

from typing import Annotated

from fastapi import Header, Path, Query, Request, Response
from sqlalchemy import ColumnElement, select, true

from app.auth import Caller, Planner, Reading, Writing
from app.auth.gate import Gate
from app.db.session import AnySession
from app.db.tables import Run
from app.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from app.http.dependencies import AppDatabase
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.http.streams import StreamSlot
from app.http.values import SafeText
from app.jobs.events import RunEventStream, events_after, place_in_events
from app.jobs.runs import cancel
from app.jobs.schemas import RunState, RunView, is_over

routes = router("runs")

RunId = Annotated[int, Path(ge=1, lt=2**63)]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="Of the last event that arrived")
]
STREAM = {
    "text/event-stream": {
        "example": 'id: 7\nevent: progress\ndata: {"run_id": 3, "seq": 7, '
        '"at": "2026-01-05T09:30:00Z", "state": "running", "phase": "annealing", '
        '"progress": 0.42}\n\n',
    }
}


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


@routes.get("/runs/{run_id:int}")
async def get_run(run_id: RunId, session: Reading, caller: Planner) -> RunView:
    """Return a run with its progress, and its result or error once it is over."""
    return RunView.of(await _find(session, caller, run_id))


@routes.get(
    "/runs/{run_id:int}/events",
    status_code=200,
    response_class=RunEventStream,
    responses={
        200: {"description": "Events, until the run is over", "content": STREAM},
        204: {"description": "The last event is known already: there is nothing to wait for"},
    },
)
async def follow_run(
    run_id: RunId,
    session: Reading,
    database: AppDatabase,
    caller: Planner,
    request: Request,
    slot: StreamSlot,
    last_event_id: LastEventId = None,
) -> Response:
    """Follow a run as server-sent events.

    While it runs, at least one event `progress` every second: `run_id`, `seq`, `at`, `state`,
    `phase`, `progress`. Then one event `end` with the whole run, and the stream closes. Who was cut
    off sends the last id as `Last-Event-ID` and gets exactly the events after it, from any process.
    The service closes a stream after ten minutes and when it stops: resume it. Comments keep the
    connection alive.
    """
    run = await _find(session, caller, run_id)
    after = await place_in_events(session, run_id, last_event_id)
    if is_over(run.state) and not await events_after(session, run_id, after):
        # A browser reconnects after every end; to this answer it does not.
        return Response(status_code=204)
    gate: Gate = request.app.state.gate
    return RunEventStream(database, run_id, after, lambda: _is_still(gate, caller, request))


@routes.post("/runs/{run_id}:cancel", status_code=202)
async def cancel_run(run_id: RunId, session: Writing, caller: Planner) -> RunView:
    """Ask a run to stop; a running one stops within about a second.

    An import whose rows are stored already is answered 409: it ends by itself.
    """
    run = await _find(session, caller, run_id)
    await cancel(session, run)
    return RunView.of(run)


async def _is_still(gate: Gate, caller: Caller, request: Request) -> bool:
    """Tell whether the credential of a request is that of the same caller as before."""
    try:
        return await gate(request) == caller
    except (Unauthenticated, Forbidden):
        return False
    except Unavailable:
        # Nothing can be read meanwhile, either.
        return True


async def _find(session: AnySession, caller: Caller, run_id: int) -> Run:
    run = await session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    return run
