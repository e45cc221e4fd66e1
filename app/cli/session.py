"""What the commands share: a database, a run to wait for, output for people or for scripts."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from getpass import getuser
from typing import Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.db.session import Acting, AnySession, Database, sqlstate
from app.db.tables import Run
from app.errors import Conflict, Fault, NotFound, ServiceError, SetupError
from app.http.logs import configure_logs
from app.jobs.runs import cancel
from app.jobs.schemas import RunView, is_over
from app.settings import Settings, load_settings
from app.worker import work

T = TypeVar("T")

# Nothing is cut off for whoever reads from a pipe, which has no width of its own.
WIDE = 240
console = Console(width=None if sys.stdout.isatty() else WIDE)
notes = Console(stderr=True)

# Whoever has a shell on this machine; the system's account is the best name there is.
AT_TERMINAL = Acting(actor=f"terminal:{getuser()}")
# A table or a column that is not there.
MISSING = ("42P01", "42703")
POLL_S = 0.2
CANCELLED_WITHIN_S = 5.0
LIVE_WORKER = text("""
    -- A worker that has given a sign of life lately will take what is queued.
    SELECT count(*) FROM jobs.procrastinate_workers
    WHERE last_heartbeat > now() - interval '20 seconds'
""")


class RunFailed(ServiceError):
    """A run that the command waited for did not succeed."""

    title = "The run failed"
    code = "run-failed"


def with_database(action: Callable[[Settings, Database], Awaitable[T]]) -> T:
    """Run an action on the database of the settings."""
    settings = load_settings(log_level="warning", log_format="console")
    configure_logs(settings)

    async def run() -> T:
        database = Database.of(settings, has_timeout=False)
        try:
            return await action(settings, database)
        except ProgrammingError as error:
            if sqlstate(error) not in MISSING:
                raise
            detail = "The tables are not those of this version: run `bailiwick db upgrade`."
            raise SetupError(detail) from error
        finally:
            await database.close()

    return asyncio.run(run())


async def wait_for(
    settings: Settings, database: Database, run_id: int, is_quiet: bool
) -> dict[str, Any]:
    """Wait until a run is over, with a bar in a terminal; return its result.

    Where no worker is running, this process does the work itself. Ctrl-C cancels the run.

    Raises
    ------
    RunFailed
        With the run's own problem.
    """
    try:
        run = await _watch(settings, database, run_id, is_quiet)
    except asyncio.CancelledError:
        await _cancel(database, run_id)
        raise
    if run.state == "succeeded":
        return run.result or {}
    problem = run.error or {"detail": f"The run was {run.state}.", "errors": []}
    faults = [Fault(**fault) for fault in problem.get("errors", [])]
    raise RunFailed(problem["detail"], faults)


async def _watch(settings: Settings, database: Database, run_id: int, is_quiet: bool) -> RunView:
    helper: asyncio.Task[None] | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    is_shown = not is_quiet and notes.is_terminal and console.is_terminal
    with Progress(*columns, TimeElapsedColumn(), console=notes, disable=not is_shown) as bars:
        bar = bars.add_task("queued", total=1.0)
        while True:
            async with database.reading() as session:
                run = RunView.of(await _present(session, run_id))
                has_worker = bool(await session.scalar(LIVE_WORKER))
            bars.update(bar, description=run.phase, completed=run.progress)
            if is_over(run.state):
                break
            # Asked again each time: a worker may die while its last sign of life is still fresh.
            if helper is None and not has_worker:
                helper = asyncio.create_task(work(settings, once=True))
            if helper is not None and helper.done():
                helper.result()
                helper = None
            await asyncio.sleep(POLL_S)
    if helper is not None:
        await helper
    return run


async def _cancel(database: Database, run_id: int) -> None:
    """Cancel a run that nobody waits for any more, and say how that went."""
    notes.print(f"Cancelling run {run_id} …", highlight=False)
    async with database.writing(AT_TERMINAL) as session:
        with suppress(Conflict):
            await cancel(session, await _present(session, run_id))
    give_up = time.monotonic() + CANCELLED_WITHIN_S
    state = "running"
    while not is_over(state) and time.monotonic() < give_up:
        await asyncio.sleep(POLL_S / 4)
        async with database.reading() as session:
            state = (await _present(session, run_id)).state
    if is_over(state):
        notes.print(f"Run {run_id} has {'been ' * (state == 'cancelled')}{state}.", highlight=False)
    else:
        notes.print(f"Run {run_id} will stop when its worker answers.", highlight=False)


async def _present(session: AnySession, run_id: int) -> Run:
    run = await session.get(Run, run_id)
    if run is None:
        raise NotFound(f"Run {run_id} is gone: the database was restored meanwhile.")
    return run


def print_json(value: Any) -> None:
    """Print a value for scripts."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
