"""Beginning what is due: one run for each local date of a schedule, whoever comes first."""

from datetime import date, datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from app.db.session import Acting, Database, WriteSession
from app.db.tables import Run, Schedule, ScheduleNight
from app.errors import Conflict, Unavailable
from app.jobs.queue import enqueue
from app.schedules.due import last_due, local_date, read_zone

log = structlog.get_logger()

KIND = "nightly"


async def fire_due(database: Database, now: datetime | None = None) -> int:
    """Begin what is due on every schedule, and return how many runs that made.

    Of what was missed only the last is caught up. Where another run is at work on the layer the
    schedule waits for the next time.
    """
    async with database.reading() as session:
        schedules = (
            await session.scalars(select(Schedule.id).where(Schedule.enabled).order_by(Schedule.id))
        ).all()
    n_begun = 0
    for schedule_id in schedules:
        try:
            async with database.writing(Acting(actor=f"schedule {schedule_id}")) as session:
                n_begun += await _fire(session, schedule_id, now)
        except Conflict as conflict:
            log.info("schedule_waits", schedule_id=schedule_id, reason=conflict.detail)
        except Unavailable:
            raise
        except Exception as error:
            # Others are due all the same.
            log.error("schedule_failed", schedule_id=schedule_id, exc_info=error)
    return n_begun


async def begin_night(
    session: WriteSession,
    schedule: Schedule,
    on: date,
    due_at: datetime,
    *,
    may_repeat: bool = False,
) -> int | None:
    """Begin the run of a local date; None when there is one already.

    With `may_repeat` one that failed or was cancelled is begun anew; nothing came of it.

    Raises
    ------
    Conflict
        When another run is at work on the layer.
    """
    statement = (
        insert(ScheduleNight)
        .values(schedule_id=schedule.id, local_date=on, due_at=due_at)
        .on_conflict_do_nothing(index_elements=["schedule_id", "local_date"])
    )
    night_id = await session.scalar(statement.returning(ScheduleNight.id))
    if night_id is None and may_repeat:
        night_id = await _ended_in_vain(session, schedule.id, on)
    if night_id is None:
        return None
    parameters = {"schedule_id": schedule.id, "night_id": night_id, "local_date": on.isoformat()}
    run: Run = await enqueue(
        session, KIND, parameters, f"schedule {schedule.id}", schedule.layer_id
    )
    night = await session.get_one(ScheduleNight, night_id)
    night.run_id = run.id
    await session.flush()
    return run.id


async def _ended_in_vain(session: WriteSession, schedule_id: int, on: date) -> int | None:
    night = await session.scalar(
        select(ScheduleNight)
        .where(ScheduleNight.schedule_id == schedule_id, ScheduleNight.local_date == on)
        .with_for_update()
    )
    if night is None or night.decision is not None:
        return None
    run = None if night.run_id is None else await session.get(Run, night.run_id)
    return night.id if run is None or run.state in ("failed", "cancelled") else None


async def _fire(session: WriteSession, schedule_id: int, now: datetime | None) -> int:
    schedule = await session.get(Schedule, schedule_id, with_for_update={"key_share": True})
    if schedule is None or not schedule.enabled:
        return 0
    # By the clock of the database, which all workers share.
    at = now or (await session.execute(select(func.now()))).scalar_one()
    zone = read_zone(schedule.timezone, "/timezone")
    due_at = last_due(schedule.cron, zone, schedule.since, at)
    if due_at is None:
        return 0
    run_id = await begin_night(session, schedule, local_date(due_at, zone), due_at)
    return int(run_id is not None)
