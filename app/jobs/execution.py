"""One run from claim to end, with heartbeat, cancellation and takeover."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from app.db.session import Database
from app.errors import DiskFull, RunCancelled, ServiceError, StaleRun, Unavailable
from app.jobs.runs import RunContext, claim, error_document
from app.settings import Settings

log = structlog.get_logger()

Handler = Callable[[RunContext], Awaitable[None]]
# Each beat carries progress out and the user's wish to cancel in; both are promised in a second.
HEARTBEAT_S = 0.4
BETWEEN_TRIES_S = 0.5
# Between two tries of a run that the database would not serve: it may be the reason. Short enough
# that a database which fails every few seconds lets it end, or be given up, within minutes.
LONGEST_PAUSE_S = 8
# A disk is not made room on within minutes.
LONGEST_PAUSE_ON_FULL_DISK_S = 64


async def execute(
    database: Database, settings: Settings, handlers: Mapping[str, Handler], run_id: int
) -> None:
    """Execute a queued run; a handler ends its run itself when it succeeds."""
    context = await claim(database, settings, run_id)
    if context is None:
        log.info("run_not_queued", run_id=run_id)
        return
    with structlog.contextvars.bound_contextvars(run_id=run_id, kind=context.kind):
        log.info("run_started", attempt=context.attempt)
        await _guard(context, handlers[context.kind])


async def _guard(context: RunContext, handler: Handler) -> None:
    """Run the handler and write the end that it did not write."""
    try:
        await _with_heartbeat(context, handler)
        log.info("run_succeeded")
    except StaleRun:
        log.warning("run_lost")
    except RunCancelled:
        log.info("run_cancelled")
        await context.end("cancelled", None)
    except asyncio.CancelledError:
        # The worker was asked to stop and its grace has passed.
        log.info("run_released")
        await asyncio.shield(context.release())
        raise
    except Unavailable as error:
        # Nobody's mistake, so it is no attempt.
        log.warning("run_interrupted", code=error.code)
        is_full = isinstance(error, DiskFull)
        await _release_when_back(
            context, LONGEST_PAUSE_ON_FULL_DISK_S if is_full else LONGEST_PAUSE_S
        )
    except ServiceError as error:
        log.info("run_refused", code=error.code)
        await context.fail(error_document(error))
    except Exception as error:
        trace_id = secrets.token_hex(8)
        log.error("run_failed", trace_id=trace_id, exc_info=error)
        await context.fail(
            {
                "type": "/problems/internal",
                "title": "Internal error",
                "detail": "The service made a mistake; quote the trace id when you report it.",
                "errors": [],
                "trace_id": trace_id,
            }
        )


async def _release_when_back(context: RunContext, longest_pause_s: int) -> None:
    """Give the run back as soon as the database answers; if it stays away, the sweeper does."""
    give_up = time.monotonic() + context.settings.stalled_after_s
    while time.monotonic() < give_up:
        try:
            await context.release(min(longest_pause_s, 2 ** (context.token // 2)))
            return
        except Unavailable:
            await asyncio.sleep(BETWEEN_TRIES_S)


async def _with_heartbeat(context: RunContext, handler: Handler) -> None:
    work = asyncio.ensure_future(handler(context))
    heart = asyncio.create_task(_beat(context))
    try:
        await asyncio.wait({work, heart}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            heart.result()  # raises why the heart stopped
        work.result()
    finally:
        for task in (work, heart):
            task.cancel()
        await asyncio.gather(work, heart, return_exceptions=True)


async def _beat(context: RunContext) -> None:
    while True:
        if await context.beat():
            raise RunCancelled("The run was cancelled by its user.")
        await asyncio.sleep(HEARTBEAT_S)
