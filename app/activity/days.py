"""The turn of the day: visits become overdue by time alone, without any change of a customer."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text, update

from app.activity.rollup import FOLD_LOCK, fold, snapshot
from app.db.due import due_on
from app.db.session import Database
from app.db.tables import Customer, HeatState
from app.errors import Busy
from app.settings import WorkSettings

# Alone against the shared lock that the triggers on `customer` take (migration 0007). Changes queue
# behind whoever waits for it, so it is not waited for long: the next fold tries again.
DAY_LOCK = text("SELECT pg_advisory_xact_lock(7236444)")
SHORT_WAIT = text("SET LOCAL lock_timeout = '1s'")

NEWLY_OVERDUE = text("""
    -- What was due on a day that has passed since the rollups' day; on the first day, ever.
    INSERT INTO activity_delta
        (cell, class, segment, customers, work_minutes, potential, revenue, overdue)
    SELECT cell_parent(cell, 9), class, segment, 0, 0, 0, 0, count(*)
    FROM customer
    WHERE status <> 'inactive' AND due_on < :today
        AND due_on >= (SELECT coalesce((SELECT day FROM heat_state), '-infinity'))
    GROUP BY 1, 2, 3
""")
MOVE_DAY = text("""
    INSERT INTO heat_state AS known (day) VALUES (:today)
    ON CONFLICT (id) DO UPDATE SET day = excluded.day
    WHERE known.day IS NULL OR known.day < excluded.day
""")


def local_date(settings: WorkSettings, instant: datetime | None = None) -> date:
    """Return the date of an instant (now, if none is given) in the time zone of the visits."""
    return (instant or datetime.now(UTC)).astimezone(ZoneInfo(settings.time_zone)).date()


async def turn_day(database: Database, settings: WorkSettings, today: date) -> bool:
    """Bring the rollups to `today` and keep the month's picture; tell whether they were behind.

    Several workers may do it at once and any number of days may have been missed. A day never
    turns back.
    """
    if not await _is_behind(database, today):
        return False
    try:
        await _refresh_due_dates(database, settings)
        await _move_day(database, today)
    except Busy:
        return False
    await fold(database)
    async with database.writing() as session:
        await snapshot(session, today)
    return True


async def _is_behind(database: Database, today: date) -> bool:
    async with database.reading() as session:
        day = await session.scalar(select(HeatState.day))
    return day is None or day < today


async def _refresh_due_dates(database: Database, settings: WorkSettings) -> None:
    """Derive all due dates anew: the settings may have changed since, or the column be new."""
    due = due_on(settings)
    # Rows that somebody else is writing get their date from that edit; none is waited for.
    # An array and no join: the planner takes nearly all to be stale, where nearly none is.
    stale = func.array(
        select(Customer.id)
        .where(Customer.due_on.is_distinct_from(due))
        .with_for_update(skip_locked=True)
        .correlate(None)
        .scalar_subquery()
    )
    async with database.writing() as session:
        await session.execute(
            update(Customer).values(due_on=due).where(Customer.id == func.any(stale)),
            execution_options={"synchronize_session": False},
        )


async def _move_day(database: Database, today: date) -> None:
    async with database.writing() as session:
        # In this order: a fold that lasts is waited for while changes still go on.
        await session.execute(FOLD_LOCK)
        await session.execute(SHORT_WAIT)
        await session.execute(DAY_LOCK)
        await session.execute(NEWLY_OVERDUE, {"today": today})
        await session.execute(MOVE_DAY, {"today": today})
