"""One run from claim to end, with heartbeat, cancellation and takeover."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping

import structlog

from app.db.session import Database
from app.errors import RunCancelled, ServiceError, StaleRun, Unavailable
from app.jobs.runs import RunContext, claim, error_document
from app.settings import Settings

log = structlog.get_logger()

Handler = Callable[[RunContext], Awaitable[None]]
# Each beat carries progress out and the user's wish to cancel in; both are promised in a second.
HEARTBEAT_S = 0.4


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
    except Unavailable:
        # Nobody's mistake: without a heartbeat the run is stalled, and the sweeper resumes it.
        log.warning("run_interrupted")
    except ServiceError as error:
        log.info("run_refused", code=error.code)
        await context.end("failed", error_document(error))
    except Exception as error:
        trace_id = secrets.token_hex(8)
        log.error("run_failed", trace_id=trace_id, exc_info=error)
        await context.end(
            "failed",
            {
                "type": "/problems/internal",
                "title": "Internal error",
                "detail": "The service made a mistake; quote the trace id when you report it.",
                "errors": [],
                "trace_id": trace_id,
            },
        )


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
