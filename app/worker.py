"""The worker: takes runs from the queue, folds activity, sweeps up after workers that died."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition

from app.activity import fold, local_date, turn_day
from app.db.access import Access
from app.db.session import Database
from app.errors import Unavailable
from app.imports.job import run_import
from app.jobs.execution import Handler, execute
from app.jobs.folders import remove_abandoned_folders
from app.jobs.housekeeping import keep_house
from app.jobs.queue import EXECUTE, QUEUE, has_waiting_jobs, make_queue
from app.jobs.sweeping import Watch, sweep
from app.plans.front_job import run_front
from app.plans.job import run_design
from app.plans.rebalance_job import run_rebalance
from app.plans.report_job import run_report
from app.plans.verify_job import run_verify
from app.plans.what_if_job import run_what_if
from app.schedules.firing import fire_due
from app.schedules.nightly import run_nightly
from app.schedules.page_job import run_page
from app.settings import Settings
from app.tiles.pmtiles_job import run_pmtiles

log = structlog.get_logger()

HANDLERS: dict[str, Handler] = {
    "design": run_design,
    "front": run_front,
    "import": run_import,
    "night-page": run_page,
    "nightly": run_nightly,
    "pmtiles": run_pmtiles,
    "rebalance": run_rebalance,
    "report": run_report,
    "verify": run_verify,
    "what-if": run_what_if,
}
GRACEFUL_STOP_S = 20.0
LAST_WORDS_S = 5.0
BETWEEN_TRIES_S = 1.0
LONGEST_SILENCE_S = 10.0
HOUSEKEEPING_S = 600.0
SCHEDULES_S = 15.0
MOST_ROUNDS = 1000
# The first import of a worker would wait seconds for it in the middle of its transaction.
SLOW_TO_LOAD = "sklearn.neighbors"


async def work(settings: Settings, *, once: bool = False) -> None:
    """Work until stopped; with `once`, until nothing is left to do."""
    database = Database.of(settings, has_timeout=False)
    queue = make_queue(Access.of(settings).conninfo)
    _register(queue, database, settings)
    await remove_abandoned_folders()
    try:
        async with queue.open_async():
            if once:
                await sweep(database, queue, settings.stalled_after_s)
                await _drain(queue, settings)
                # A run may have left another to do, such as the page of a night; and of the
                # schedules of one layer each waits for the run of another.
                for _ in range(MOST_ROUNDS):
                    if not await fire_due(database) and not await has_waiting_jobs(database):
                        break
                    await _drain(queue, settings)
                await _sum_up(database, settings)
                await keep_house(database, settings)
            else:
                await _serve(queue, database, settings)
    finally:
        await database.close()


def _register(queue: App, database: Database, settings: Settings) -> None:
    @queue.task(name=EXECUTE, queue=QUEUE)
    async def execute_run(run_id: int) -> None:
        await execute(database, settings, HANDLERS, run_id)


async def _drain(queue: App, settings: Settings) -> None:
    await queue.run_worker_async(
        queues=[QUEUE],
        concurrency=settings.worker_concurrency,
        wait=False,
        listen_notify=False,
        install_signal_handlers=False,
        delete_jobs=DeleteJobCondition.ALWAYS,
    )


async def _serve(queue: App, database: Database, settings: Settings) -> None:
    watch = Watch(settings.stalled_after_s)

    async def sweep_up() -> int:
        if watch.was_away():
            log.warning("sweep_passed_over")
            return 0
        return await sweep(database, queue, settings.stalled_after_s)

    loops = [
        asyncio.create_task(asyncio.to_thread(import_module, SLOW_TO_LOAD)),
        asyncio.create_task(
            _every(settings.fold_interval_s, "fold", lambda: _sum_up(database, settings))
        ),
        asyncio.create_task(_every(settings.stalled_after_s / 6, "sweep", sweep_up)),
        asyncio.create_task(_every(SCHEDULES_S, "schedules", lambda: fire_due(database))),
        asyncio.create_task(
            _every(HOUSEKEEPING_S, "housekeeping", lambda: keep_house(database, settings)),
        ),
    ]
    is_stopping = asyncio.Event()
    worker = asyncio.create_task(_work_again_and_again(queue, settings, is_stopping))
    asked_to_stop = asyncio.create_task(is_stopping.wait())
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, is_stopping.set)
    log.info("worker_started")
    await asyncio.wait([worker, asked_to_stop], return_when=asyncio.FIRST_COMPLETED)
    # Runs that do not end within the grace are cancelled, and give themselves back to the queue.
    await _end([worker], GRACEFUL_STOP_S + LAST_WORDS_S)
    await _end([*loops, asked_to_stop], LAST_WORDS_S)
    log.info("worker_stopped")
    with suppress(asyncio.CancelledError):
        await worker


async def _end(tasks: list[asyncio.Task[Any]], patience_s: float) -> None:
    """Cancel tasks, and again whenever patience ends.

    A library that catches its own cancellations can lose one of ours among them, and the task would
    then go on for ever.
    """
    pending = set(tasks)
    while pending := {task for task in pending if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=patience_s)


async def _sum_up(database: Database, settings: Settings) -> int:
    """Bring the sums per cell up to date with the changes, and with the day."""
    await turn_day(database, settings.work, local_date(settings.work))
    return await fold(database)


async def _work_again_and_again(queue: App, settings: Settings, is_stopping: asyncio.Event) -> None:
    """Take runs from the queue; the queue's own worker ends whenever it loses the database."""
    while not is_stopping.is_set():
        try:
            await queue.run_worker_async(
                queues=[QUEUE],
                concurrency=settings.worker_concurrency,
                fetch_job_polling_interval=2.0,
                # The sweeper judges the queue's workers by this, and so do doctor and metrics.
                update_heartbeat_interval=min(LONGEST_SILENCE_S, settings.stalled_after_s / 3),
                stalled_worker_timeout=settings.stalled_after_s,
                install_signal_handlers=False,
                shutdown_graceful_timeout=GRACEFUL_STOP_S,
                delete_jobs=DeleteJobCondition.ALWAYS,
            )
        except ConnectorException as error:
            log.warning("queue_away", reason=str(error.__cause__ or error).strip())
        # It also ends without an error, when only its listener was cut off.
        await asyncio.sleep(BETWEEN_TRIES_S)


async def _every(interval_s: float, name: str, action: Callable[[], Awaitable[int]]) -> None:
    while True:
        try:
            await action()
        except Unavailable:
            log.warning("database_away", loop=name)
        except Exception as error:
            log.error("loop_failed", loop=name, exc_info=error)
        await asyncio.sleep(interval_s)
