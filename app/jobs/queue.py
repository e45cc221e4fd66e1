"""The job queue (procrastinate) on the same database, and how a run gets into it."""

from typing import Any

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from psycopg.errors import UniqueViolation
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.db.pool import SEARCH_PATH
from app.db.session import AnySession, Database, WriteSession, driver_connection
from app.db.tables import Run
from app.errors import Conflict, Fault

EXECUTE = "execute_run"
QUEUE = "runs"
CONNECTED_WITHIN_S = 3.0
WAITING = text("""
    SELECT EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE queue_name = :queue AND status = 'todo' AND coalesce(scheduled_at, now()) <= now())
""")


def make_queue(conninfo: str) -> App:
    """Return a queue whose connections see the schema the queue's tables live in."""
    connector = PsycopgConnector(
        conninfo=conninfo,
        kwargs={"options": f"-c search_path={SEARCH_PATH}", "application_name": "bailiwick-queue"},
        min_size=1,
        max_size=6,
        # Without a database the queue's worker ends soon and is started again; it would wait half a
        # minute for each of its last words, and longer each time for the pool to try again.
        timeout=CONNECTED_WITHIN_S,
        reconnect_timeout=CONNECTED_WITHIN_S,
    )
    return App(connector=connector)


# Deferring happens on the session's own connection; this connector is never opened.
_deferring = App(connector=PsycopgConnector())


async def enqueue(
    session: WriteSession,
    kind: str,
    parameters: dict[str, Any],
    requested_by: str,
    layer_id: int | None = None,
) -> Run:
    """Insert a run and its job in the session's transaction: both exist or neither does.

    Raises
    ------
    Conflict
        When the layer has an active run already; the fault names it.
    """
    run = Run(kind=kind, parameters=parameters, requested_by=requested_by, layer_id=layer_id)
    try:
        async with session.begin_nested():
            session.add(run)
            await session.flush()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation) or layer_id is None:
            raise
        raise await _active_run(session, layer_id) from None
    await session.refresh(run)
    await defer(session, run.id)
    return run


async def defer(session: WriteSession, run_id: int, after_s: int = 0) -> None:
    """Put a job for an existing run into the queue, within the session's transaction."""
    connection = await driver_connection(session)
    wait = {"seconds": after_s} if after_s else None
    job = _deferring.configure_task(EXECUTE, queue=QUEUE, connection=connection, schedule_in=wait)
    try:
        await job.defer_async(run_id=run_id)
    except ConnectorException as error:
        # The session knows what the database's own errors mean.
        raise error.__cause__ or error from None


async def has_waiting_jobs(database: Database) -> bool:
    """Tell whether the queue has a job that could be begun now."""
    async with database.reading() as session:
        return bool(await session.scalar(WAITING, {"queue": QUEUE}))


async def _active_run(session: AnySession, layer_id: int) -> Conflict:
    active = await session.scalar(
        select(Run.id).where(Run.layer_id == layer_id, Run.state.in_(("queued", "running")))
    )
    fault = Fault("run-active", f"/v1/runs/{active}", "/layer_id")
    return Conflict(f"Run {active} is working on this layer; wait for it or cancel it.", [fault])
