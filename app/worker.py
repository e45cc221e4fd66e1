"""The worker: takes runs from the queue, folds activity, sweeps up after workers that died."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from procrastinate import App
from procrastinate.jobs import DeleteJobCondition

from app.activity import fold
from app.db.access import Access
from app.db.session import Database
from app.errors import Unavailable
from app.imports.job import run_import
from app.jobs.execution import Handler, execute
from app.jobs.queue import EXECUTE, QUEUE, make_queue
from app.jobs.sweeping import sweep
from app.plans.front_job import run_front
from app.plans.job import run_design
from app.settings import Settings

log = structlog.get_logger()

HANDLERS: dict[str, Handler] = {
    "design": run_design,
    "front": run_front,
    "import": run_import,
}
GRACEFUL_STOP_S = 20.0


async def work(settings: Settings, *, once: bool = False) -> None:
    """Work until stopped; with `once`, until nothing is left to do."""
    database = Database.of(settings, has_timeout=False)
    queue = make_queue(Access.of(settings).conninfo)
    _register(queue, database, settings)
    try:
        async with queue.open_async():
            await sweep(database, queue, settings.stalled_after_s)
            if once:
                await _drain(queue, settings)
                await fold(database)
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
    loops = [
        asyncio.create_task(_every(settings.fold_interval_s, "fold", lambda: fold(database))),
        asyncio.create_task(
            _every(
                settings.stalled_after_s / 6,
                "sweep",
                lambda: sweep(database, queue, settings.stalled_after_s),
            )
        ),
    ]
    worker = asyncio.create_task(
        queue.run_worker_async(
            queues=[QUEUE],
            concurrency=settings.worker_concurrency,
            fetch_job_polling_interval=2.0,
            install_signal_handlers=False,
            shutdown_graceful_timeout=GRACEFUL_STOP_S,
            delete_jobs=DeleteJobCondition.ALWAYS,
        )
    )
    # The jobs themselves end by cancellation: the sweeper of the next worker takes them up again.
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, worker.cancel)
    log.info("worker_started")
    with suppress(asyncio.CancelledError):
        await worker
    for task in loops:
        task.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    log.info("worker_stopped")


async def _every(interval_s: float, name: str, action: Callable[[], Awaitable[int]]) -> None:
    while True:
        try:
            await action()
        except Unavailable:
            log.warning("database_away", loop=name)
        except Exception as error:
            log.error("loop_failed", loop=name, exc_info=error)
        await asyncio.sleep(interval_s)
