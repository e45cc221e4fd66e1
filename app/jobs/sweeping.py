"""Runs whose worker died, or whose job was lost: queued again, or given up after three attempts."""

import structlog
from procrastinate import App
from procrastinate.jobs import Status
from sqlalchemy import func, select, text

from app.db.session import Database
from app.db.tables import Run
from app.jobs.queue import defer
from app.jobs.runs import MAX_ATTEMPTS

log = structlog.get_logger()

JOBLESS = text("""
    -- Queued runs that no worker will take: theirs died, or lost the database, before claiming.
    SELECT id FROM run
    WHERE state = 'queued' AND NOT EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE status IN ('todo', 'doing') AND args -> 'run_id' = to_jsonb(run.id))
""")


async def sweep(database: Database, queue: App, stalled_after_s: float) -> int:
    """Requeue or fail every run without a recent heartbeat; return how many there were."""
    async with database.writing() as session:
        stalled = list(
            await session.scalars(
                select(Run)
                .where(Run.state == "running", Run.heartbeat_at < _before(stalled_after_s))
                .with_for_update(skip_locked=True)
            )
        )
        for run in stalled:
            log.warning("run_stalled", run_id=run.id, attempts=run.attempts)
            # The token grows here as well: a frozen worker that wakes up must find it changed.
            run.fencing_token += 1
            if run.cancel_requested:
                run.state, run.finished_at = "cancelled", func.now()
            elif run.attempts < MAX_ATTEMPTS:
                run.state, run.phase = "queued", "interrupted, resuming"
                await defer(session, run.id)
            else:
                run.state, run.finished_at = "failed", func.now()
                run.error = _quarantine(run.attempts)
        await session.flush()
    for job in await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after_s):
        await queue.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)
    async with database.writing() as session:
        jobless = list(await session.scalars(JOBLESS))
        for run_id in jobless:
            log.warning("job_lost", run_id=run_id)
            await defer(session, run_id)
    return len(stalled) + len(jobless)


def _before(seconds: float) -> object:
    return func.now() - text(f"interval '{float(seconds)} seconds'")


def _quarantine(attempts: int) -> dict[str, object]:
    return {
        "type": "/problems/quarantined",
        "title": "Given up",
        "detail": f"The worker died in each of {attempts} attempts; see the worker's log.",
        "errors": [],
    }
