"""Runs whose worker died, or whose job was lost: queued again, or given up after three attempts."""

import time

import structlog
from procrastinate import App
from procrastinate.jobs import Status
from sqlalchemy import func, select, text

from app.db.session import Database, session_name
from app.db.tables import Run
from app.jobs.leftovers import forget_uploads
from app.jobs.queue import defer
from app.jobs.runs import MAX_ATTEMPTS, given_up

log = structlog.get_logger()

FROZEN = text("""
    -- A worker that froze may hold the run's row, rows of its results, or the turn of imports, and
    -- would for as long as it is frozen. What it had not committed is lost to it in any case.
    SELECT pg_terminate_backend(activity.pid)
    FROM run JOIN pg_stat_activity AS activity ON activity.application_name = :name || run.id
    WHERE run.state = 'running' AND run.heartbeat_at < :before
        AND activity.datname = current_database()
""")
SILENT_BEFORE = text("SELECT now() - make_interval(secs => :seconds)")

JOBLESS = text("""
    -- Queued runs that no worker will take: theirs died, or lost the database, before claiming.
    SELECT id FROM run
    WHERE state = 'queued' AND NOT EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE status IN ('todo', 'doing') AND args -> 'run_id' = to_jsonb(run.id))
""")


class Watch:
    """Tells a sweeper that it was itself away: frozen, or without a processor for too long.

    The runs of its own process could not beat either. They have until the next round to show that
    they live; two rounds in a row are never passed over.
    """

    def __init__(self, stalled_after_s: float) -> None:
        self._longest_gap_s = stalled_after_s / 2
        self._last_round = time.monotonic()
        self._passed_over = False

    def was_away(self) -> bool:
        """Tell, at the start of a round, whether to pass it over."""
        now = time.monotonic()
        is_late = now - self._last_round > self._longest_gap_s
        self._last_round = now
        self._passed_over = is_late and not self._passed_over
        return self._passed_over


async def sweep(database: Database, queue: App, stalled_after_s: float) -> int:
    """Requeue or fail every run without a recent heartbeat; return how many there were."""
    async with database.reading() as session:
        # One moment for both: a run requeued here whose sessions live on would wait for itself.
        before = await session.scalar(SILENT_BEFORE, {"seconds": stalled_after_s})
        await session.execute(FROZEN, {"name": session_name(""), "before": before})
    async with database.writing() as session:
        stalled = list(
            await session.scalars(
                select(Run)
                .where(Run.state == "running", Run.heartbeat_at < before)
                .with_for_update(skip_locked=True)
            )
        )
        for run in stalled:
            log.warning("run_stalled", run_id=run.id, attempts=run.attempts)
            # The token grows here as well: a frozen worker that wakes up must find it changed.
            run.fencing_token += 1
            if run.cancel_requested:
                run.state, run.phase, run.finished_at = "cancelled", "cancelled", func.now()
            elif run.attempts < MAX_ATTEMPTS:
                run.state, run.phase = "queued", "interrupted, resuming"
                await defer(session, run.id)
            else:
                run.state, run.phase, run.finished_at = "failed", "failed", func.now()
                run.error = given_up(f"The worker died in each of {run.attempts} attempts")
        await session.flush()
    for job in await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after_s):
        await queue.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)
    async with database.writing() as session:
        jobless = list(await session.scalars(JOBLESS))
        for run_id in jobless:
            log.warning("job_lost", run_id=run_id)
            await defer(session, run_id)
    # Last and apart: what was given up is written down even where a disk has no room for this.
    async with database.writing() as session:
        for run in stalled:
            await forget_uploads(session, run.id)
    return len(stalled) + len(jobless)
