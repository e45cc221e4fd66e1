"""A run as server-sent events that a client can resume on any API process.

API and worker share the database only. Every change of a run is a numbered row of `run_event`; a
stream asks for the rows after the last one it sent, and holds no connection while it waits.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import anyio
from sqlalchemy import and_, func, select
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from app.db.session import AnySession, Database
from app.db.tables import Run, RunEvent
from app.errors import Fault, MalformedRequest, NotFound, Unavailable
from app.jobs.schemas import RunProgress, RunView, is_over

# With a heartbeat of 0.4 s, what a client knows is less than a second old.
POLL_S = 0.2
KEEP_ALIVE_S = 15
# A client that resumes shows its key again: who lost theirs follows a run no longer than this.
LONGEST_STREAM_S = 600.0
ROWS_AT_ONCE = 500
# A credential that was revoked, or has expired, opens nothing any more: not what is open either.
ASKED_AGAIN_S = 5.0
# A client that reads nothing for so long is gone.
SEND_TIMEOUT_S = 30
# At shutdown a stream says no more than the end of its answer; it does not wait for its run.
LAST_WORDS_S = 2.0


class RunEventStream(EventSourceResponse):
    """The answer that follows a run; a client that stops reading is let go."""

    def __init__(
        self, database: Database, run_id: int, after: int, may_go_on: Callable[[], Awaitable[bool]]
    ) -> None:
        is_stopping = anyio.Event()
        super().__init__(
            _follow(database, run_id, after, is_stopping, may_go_on),
            sep="\n",
            ping=KEEP_ALIVE_S,
            send_timeout=SEND_TIMEOUT_S,
            shutdown_event=is_stopping,
            shutdown_grace_period=LAST_WORDS_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


async def place_in_events(session: AnySession, run_id: int, last_event_id: str | None) -> int:
    """Return the number of the last event that a client of this run has.

    Raises
    ------
    MalformedRequest
        When the header names no event of this run.
    """
    if last_event_id is None:
        return 0
    if re.fullmatch(r"[0-9]{1,9}", last_event_id):
        newest = select(func.max(RunEvent.seq)).where(RunEvent.run_id == run_id)
        if int(last_event_id) <= (await session.scalar(newest) or 0):
            return int(last_event_id)
    fault = Fault("event-id", "not the id of an event of this run", "/header/Last-Event-ID")
    raise MalformedRequest("The header Last-Event-ID cannot be read.", [fault])


async def events_after(session: AnySession, run_id: int, after: int) -> list[RunProgress]:
    """Return what the run has told after the event numbered `after`, oldest first.

    Raises
    ------
    NotFound
        When the run is gone.
    """
    is_news = and_(RunEvent.run_id == Run.id, RunEvent.seq > after)
    rows = await session.execute(
        select(Run.id, RunEvent)
        .outerjoin(RunEvent, is_news)
        .where(Run.id == run_id)
        .order_by(RunEvent.seq)
        .limit(ROWS_AT_ONCE)
    )
    found = [event for _, event in rows.all()]
    if not found:
        raise NotFound(f"Run {run_id} was deleted.")
    return [RunProgress.of(event) for event in found if event is not None]


async def _follow(
    database: Database,
    run_id: int,
    after: int,
    is_stopping: anyio.Event,
    may_go_on: Callable[[], Awaitable[bool]],
) -> AsyncIterator[ServerSentEvent]:
    """Give one event per change of the run until it is over, gone, or it is time to resume."""
    give_up = time.monotonic() + LONGEST_STREAM_S
    ask_again = time.monotonic() + ASKED_AGAIN_S
    while not is_stopping.is_set() and time.monotonic() < give_up:
        if time.monotonic() >= ask_again:
            if not await may_go_on():
                return
            ask_again = time.monotonic() + ASKED_AGAIN_S
        events: list[RunProgress] = []
        run: RunView | None = None
        try:
            events, run = await _read(database, run_id, after)
        except NotFound:
            return
        except Unavailable:
            # The client would come back at once; the database, before long.
            pass
        for event in events:
            after = event.seq
            if run is not None and is_over(event.state):
                yield _message(event.seq, "end", run)
                return
            yield _message(event.seq, "progress", event)
        if not events:
            with anyio.move_on_after(POLL_S):
                await is_stopping.wait()


async def _read(
    database: Database, run_id: int, after: int
) -> tuple[list[RunProgress], RunView | None]:
    """Return the news, and the run with them if it is over, from one snapshot."""
    run: RunView | None = None
    # A client that leaves meanwhile must not leave a connection in the middle of a statement.
    with anyio.CancelScope(shield=True):
        async with database.reading() as session:
            events = await events_after(session, run_id, after)
            if events and is_over(events[-1].state):
                run = RunView.of(await session.get_one(Run, run_id))
    return events, run


def _message(seq: int, event: str, data: RunProgress | RunView) -> ServerSentEvent:
    return ServerSentEvent(data.model_dump_json(), event=event, id=str(seq), sep="\n")
