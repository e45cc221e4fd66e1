"""Folding of changes into the rollups, and the monthly snapshot."""

import asyncio
from datetime import date

from sqlalchemy import CursorResult, TextClause, text

from app.db.generation import fold_changes
from app.db.heat_sums import COARSEST, FINEST, FINEST_TOTAL
from app.db.session import Database, WriteSession

# Sums of a resolution, from those of the next finer one: few rows are read twice.
LEVEL = """, level_{resolution} AS MATERIALIZED (
    SELECT cell_parent(cell, {resolution}) AS cell, class, segment,
        sum(customers)::bigint AS customers, sum(work_minutes) AS work_minutes,
        sum(potential) AS potential, sum(revenue) AS revenue, sum(overdue)::bigint AS overdue
    FROM {finer} GROUP BY 1, 2, 3
)"""
SPREAD = """
    -- Take every delta, add it to its cell and to each ancestor.
    WITH taken AS (
        DELETE FROM activity_delta RETURNING cell, class, segment, customers, work_minutes,
            potential, revenue, overdue
    ){levels}, added AS (
        INSERT INTO activity_total AS known
            (resolution, cell, customers, work_minutes, potential, revenue, overdue)
        {totals}
        ORDER BY 1, 2
        ON CONFLICT (resolution, cell) DO UPDATE SET {add}
    )
    INSERT INTO activity_cell AS known
        (resolution, cell, class, segment, customers, work_minutes, potential, revenue, overdue)
    {rows}
    -- By the index: neighbours on the ground are neighbours in the table.
    ORDER BY 1, 2
    ON CONFLICT (resolution, cell, class, segment) DO UPDATE SET {add}
"""
TOTAL = """SELECT {resolution}::smallint, cell, sum(customers)::bigint, sum(work_minutes),
    sum(potential), sum(revenue), sum(overdue)::bigint FROM level_{resolution} GROUP BY cell"""
ADD = """
    customers = known.customers + excluded.customers,
    work_minutes = known.work_minutes + excluded.work_minutes,
    potential = known.potential + excluded.potential,
    revenue = known.revenue + excluded.revenue,
    overdue = known.overdue + excluded.overdue
"""


def _spread() -> str:
    resolutions = range(FINEST, COARSEST - 1, -1)
    finer = ("taken", *(f"level_{resolution}" for resolution in resolutions))
    levels = zip(resolutions, finer, strict=False)
    return SPREAD.format(
        levels="".join(LEVEL.format(resolution=r, finer=name) for r, name in levels),
        rows=" UNION ALL ".join(f"SELECT {r}::smallint, * FROM level_{r}" for r in resolutions),  # noqa: S608
        totals=" UNION ALL ".join(
            TOTAL.format(resolution=r) for r in resolutions if r <= FINEST_TOTAL
        ),
        add=ADD,
    )


FOLD = text(_spread())

IS_STALE = text("SELECT coalesce((SELECT is_stale FROM heat_state), false)")
SHARED = text("LOCK TABLE customer IN ACCESS SHARE MODE")
CLEAR = (text("DELETE FROM activity_cell"), text("DELETE FROM activity_total"))
# In one statement, and so of one instant: what is taken away is in the customers that are read.
FINEST_ANEW = text(f"""
    WITH gone AS (DELETE FROM activity_delta)
    INSERT INTO activity_cell
        (resolution, cell, class, segment, customers, work_minutes, potential, revenue, overdue)
    SELECT {FINEST}, cell_parent(cell, {FINEST}), class, segment, count(*), sum(work_minutes),
        sum(potential), sum(revenue), count(*) FILTER (WHERE due_on < day)
    FROM customer, (
        SELECT coalesce((SELECT day FROM heat_state), '-infinity') AS day
    ) AS state
    WHERE status <> 'inactive' GROUP BY 1, 2, 3, 4 ORDER BY 2
""")  # noqa: S608
NEXT_ANEW = text("""
    INSERT INTO activity_cell
        (resolution, cell, class, segment, customers, work_minutes, potential, revenue, overdue)
    SELECT CAST(:resolution AS smallint), cell_parent(cell, :resolution), class, segment,
        sum(customers), sum(work_minutes), sum(potential), sum(revenue), sum(overdue)
    FROM activity_cell WHERE resolution = :resolution + 1 GROUP BY 1, 2, 3, 4 ORDER BY 2
""")
TOTALS_ANEW = text(f"""
    INSERT INTO activity_total
        (resolution, cell, customers, work_minutes, potential, revenue, overdue)
    SELECT resolution, cell, sum(customers), sum(work_minutes), sum(potential), sum(revenue),
        sum(overdue)
    FROM activity_cell WHERE resolution <= {FINEST_TOTAL} GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608

# A cell that lost its last customer goes, and with it the rounding its sums have gathered.
FORGET = (
    text("DELETE FROM activity_cell WHERE customers <= 0"),
    text("DELETE FROM activity_total WHERE customers <= 0"),
)

MARK = text("""
    -- No day turns while the fold's lock is held, so the sums are of the day that is written here.
    INSERT INTO heat_state AS known (generation, folded_at) VALUES (:touched, :began_at)
    ON CONFLICT (id) DO UPDATE SET folded_day = known.day, folded_at = excluded.folded_at,
        is_stale = known.is_stale AND NOT :is_anew, generation = known.generation + 1
    WHERE excluded.generation > 0 OR known.folded_day IS DISTINCT FROM known.day
""")

SNAPSHOT = text("""
    -- The month's latest picture: a rerun within the month replaces what differs.
    INSERT INTO measure_snapshot AS known
        (month, cell, class, segment, customers, work_minutes, potential, revenue, overdue)
    SELECT date_trunc('month', CAST(:day AS date))::date, cell, class, segment, customers,
        work_minutes, potential, revenue, overdue
    FROM activity_cell WHERE resolution = 6
    ON CONFLICT (month, cell, class, segment) DO UPDATE SET
        customers = excluded.customers, work_minutes = excluded.work_minutes,
        potential = excluded.potential, revenue = excluded.revenue, overdue = excluded.overdue
    WHERE (known.customers, known.work_minutes, known.potential, known.revenue, known.overdue)
        IS DISTINCT FROM (excluded.customers, excluded.work_minutes, excluded.potential,
            excluded.revenue, excluded.overdue)
""")

VANISHED = text("""
    DELETE FROM measure_snapshot AS old
    WHERE month = date_trunc('month', CAST(:day AS date))::date AND NOT EXISTS (
        SELECT FROM activity_cell AS now
        WHERE now.resolution = 6 AND now.cell = old.cell AND now.class = old.class
            AND now.segment = old.segment)
""")

# Any constant will do: folds of all workers take the same lock.
FOLD_LOCK = text("SELECT pg_advisory_xact_lock(7236442)")
MAY_FOLD = text("SELECT pg_try_advisory_xact_lock(7236442)")
ASKED_AGAIN_S = 0.5


async def fold(database: Database) -> int:
    """Bring the rollups up to date with all committed changes; return the rows touched.

    Another fold is waited for: after a large import it lasts longer than any statement waits for a
    lock.
    """
    while True:
        touched = await _fold_in_turn(database)
        if touched is not None:
            return touched
        await asyncio.sleep(ASKED_AGAIN_S)


async def _fold_in_turn(database: Database) -> int | None:
    """Fold, or return nothing while somebody else does."""
    async with database.writing() as session:
        if not await session.scalar(MAY_FOLD):
            return None
        began_at = await session.scalar(text("SELECT clock_timestamp()"))
        await fold_changes(session)
        is_stale = await session.scalar(IS_STALE)
        if is_stale:
            touched = await _make_anew(session)
        else:
            touched = await _changed_by(session, FOLD)
            for statement in FORGET if touched else ():
                await session.execute(statement)
        await session.execute(
            MARK, {"touched": min(touched, 1), "began_at": began_at, "is_anew": is_stale}
        )
    return touched


async def _make_anew(session: WriteSession) -> int:
    """Sum up the customers themselves, each resolution from the finer one; return the rows made."""
    # No first import can call them stale once more before it is written down that they are not.
    await session.execute(SHARED)
    for statement in CLEAR:
        await session.execute(statement)
    touched = await _changed_by(session, FINEST_ANEW)
    for resolution in range(FINEST - 1, COARSEST - 1, -1):
        touched += await _changed_by(session, NEXT_ANEW, resolution=resolution)
    await session.execute(TOTALS_ANEW)
    # An empty table has changed as well.
    return max(touched, 1)


async def _changed_by(session: WriteSession, statement: TextClause, **values: int) -> int:
    done = await session.execute(statement, values)
    assert isinstance(done, CursorResult)
    return int(done.rowcount)


async def snapshot(session: WriteSession, day: date) -> None:
    """Write the picture of the rollups at resolution 6 for the month of a local date."""
    await session.execute(VANISHED, {"day": day})
    await session.execute(SNAPSHOT, {"day": day})
