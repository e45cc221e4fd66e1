"""Rollups against the customers they are rollups of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checking
from hypothesis import strategies as st
from sqlalchemy import text

from app.activity import fold, refresh_work, snapshot, turn_day
from app.activity.rollup import COARSEST, FINEST, FINEST_TOTAL, FOLD_LOCK
from app.db import pool
from app.db.session import Database, WriteSession
from app.settings import Settings, WorkSettings
from app.workload import due_on, visits_per_year, work_minutes
from geo.cells import ancestors, cell_from_point
from geo.neighbours import mean_neighbour_distance_m

MEASURES = ("customers", "work_minutes", "potential", "revenue")
FIRST_VISIT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST_DAY = date(2026, 3, 20)
# Two places share a cell down to resolution 9, a third only the coarse ones, the last nothing.
PLACES = [(121.47, 31.23), (121.4701, 31.2301), (121.6, 31.3), (-70.6, -33.4)]
CELLS = [cell_from_point(lon, lat, 12) for lon, lat in PLACES]

FROM_SCRATCH = text("""
    SELECT r, cell_parent(cell, r), class, segment, count(*), sum(work_minutes), sum(potential),
        sum(revenue), count(*) FILTER (WHERE due_on < (SELECT day FROM heat_state))
    FROM customer CROSS JOIN generate_series(CAST(:coarsest AS int), CAST(:finest AS int)) AS r
    WHERE status <> 'inactive' GROUP BY 1, 2, 3, 4
""")
STORED = text("""
    SELECT resolution, cell, class, segment, customers, work_minutes, potential, revenue, overdue
    FROM activity_cell
""")
TOTALS_FROM_SCRATCH = text("""
    SELECT r, cell_parent(cell, r), count(*), sum(work_minutes), sum(potential), sum(revenue),
        count(*) FILTER (WHERE due_on < (SELECT day FROM heat_state))
    FROM customer CROSS JOIN generate_series(CAST(:coarsest AS int), CAST(:finest AS int)) AS r
    WHERE status <> 'inactive' GROUP BY 1, 2
""")
TOTALS = text("""
    SELECT resolution, cell, customers, work_minutes, potential, revenue, overdue
    FROM activity_total
""")
INSERT = text("""
    INSERT INTO customer (external_id, name, geom, cell, class, segment, status, work_minutes,
        potential, revenue, last_visit_at, due_on)
    VALUES (:key, 'C', ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), :cell, :class, :segment,
        :status, :work, :potential, :revenue, :visited, :due)
    ON CONFLICT (external_id) DO UPDATE SET geom = excluded.geom, cell = excluded.cell,
        class = excluded.class, segment = excluded.segment, status = excluded.status,
        work_minutes = excluded.work_minutes, potential = excluded.potential,
        revenue = excluded.revenue, last_visit_at = excluded.last_visit_at,
        due_on = excluded.due_on
""")
DELETE = text("DELETE FROM customer WHERE external_id = ANY(:keys)")

AMOUNTS = st.floats(0, 1e6, allow_nan=False).map(lambda value: round(value, 2))
ROWS = st.fixed_dictionaries(
    {
        "key": st.sampled_from("abcdef"),
        "place": st.integers(0, len(PLACES) - 1),
        "class": st.sampled_from("AB"),
        "segment": st.sampled_from(["", "retail"]),
        "status": st.sampled_from(["active", "lead", "inactive"]),
        "work": AMOUNTS,
        "potential": AMOUNTS,
        "revenue": AMOUNTS,
        "visited_days": st.none() | st.integers(0, 40),
    }
)
STEPS = st.one_of(
    st.lists(ROWS, min_size=1, max_size=5, unique_by=lambda row: row["key"]),
    st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3),
    st.just("fold"),
    # The day turns to this one after FIRST_DAY; it never turns back.
    st.integers(0, 40),
)


def _row(drawn: dict[str, Any]) -> dict[str, Any]:
    place = drawn["place"]
    lon, lat = PLACES[place]
    visits = WorkSettings().classes[drawn["class"]].visits_per_year
    days = drawn["visited_days"]
    visited = None if days is None else FIRST_VISIT + timedelta(days=days)
    due = due_on(0 if drawn["status"] == "inactive" else visits, visited, "UTC")
    drawn = {**drawn, "visited": visited, "due": due}
    return {**drawn, "lon": lon, "lat": lat, "cell": CELLS[place]}


async def _rollup(database: Database, statement: Any, **values: Any) -> dict[Any, Any]:
    async with database.reading() as session:
        rows = await session.execute(statement, values)
        return {tuple(row[:-5]): tuple(row[-5:]) for row in rows}


async def _assert_rollups_hold(database: Database) -> None:
    for stored_in, from_scratch, finest in (
        (STORED, FROM_SCRATCH, FINEST),
        (TOTALS, TOTALS_FROM_SCRATCH, FINEST_TOTAL),
    ):
        stored = await _rollup(database, stored_in)
        expected = await _rollup(database, from_scratch, coarsest=COARSEST, finest=finest)
        assert stored.keys() == expected.keys()
        for key, sums in expected.items():
            assert stored[key] == pytest.approx(sums, rel=1e-9, abs=1e-3), key


@given(steps=st.lists(STEPS, min_size=1, max_size=8))
@checking(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_folded_changes_equal_the_sums_over_customers(
    database: Database, steps: list[Any]
) -> None:
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer"))
        await session.execute(text("DELETE FROM heat_state"))
    for step in steps:
        if step == "fold":
            await fold(database)
            continue
        if isinstance(step, int):
            await turn_day(database, WorkSettings(), FIRST_DAY + timedelta(days=step))
            continue
        async with database.writing() as session:
            if isinstance(step, set):
                await session.execute(DELETE, {"keys": list(step)})
            else:
                for drawn in step:
                    await session.execute(INSERT, _row(drawn))

    await fold(database)

    await _assert_rollups_hold(database)


DEFAULT = {
    "key": "a", "place": 0, "class": "A", "segment": "", "status": "active",
    "work": 10.0, "potential": 0.1, "revenue": 3.0, "visited_days": None,
}  # fmt: skip


async def _insert(database: Database, *rows: dict[str, Any]) -> None:
    async with database.writing() as session:
        for row in rows:
            await session.execute(INSERT, _row({**DEFAULT, **row}))


async def _count(database: Database, table: str) -> int:
    async with database.reading() as session:
        return int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


async def test_many_changes_in_one_statement_are_one_grouped_delta(database: Database) -> None:
    await _insert(database, *({"key": str(number)} for number in range(5)))
    await fold(database)

    async with database.writing() as session:
        await session.execute(text("UPDATE customer SET potential = potential + 1"))

    assert await _count(database, "activity_delta") == 1
    await fold(database)
    await _assert_rollups_hold(database)


async def test_a_change_that_does_not_matter_to_sums_leaves_no_delta(database: Database) -> None:
    await _insert(database, {})
    await fold(database)

    async with database.writing() as session:
        await session.execute(text("UPDATE customer SET name = 'other'"))

    assert await _count(database, "activity_delta") == 0


async def test_a_rolled_back_edit_leaves_no_delta(database: Database) -> None:
    async def edit_and_fail() -> None:
        async with database.writing() as session:
            await session.execute(INSERT, _row(DEFAULT))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await edit_and_fail()

    assert await _count(database, "activity_delta") == 0


async def test_a_second_fold_has_nothing_to_do(database: Database) -> None:
    await _insert(database, {})

    assert await fold(database) > 0
    assert await fold(database) == 0


async def test_two_folds_at_once_count_every_change_once(database: Database) -> None:
    await _insert(database, *({"key": str(n), "place": n % 4} for n in range(12)))

    await asyncio.gather(fold(database), fold(database), fold(database))

    await _assert_rollups_hold(database)


async def test_a_fold_waits_for_another_longer_than_for_any_lock(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LOCK_TIMEOUT_MS", 50)
    await _insert(database, {})
    impatient = Database.of(settings)

    async with database.writing() as session:
        await session.execute(FOLD_LOCK)
        folding = asyncio.create_task(fold(impatient))
        await asyncio.sleep(0.3)

    assert await folding > 0
    await impatient.close()


async def test_a_snapshot_keeps_the_month_and_a_second_replaces_it(database: Database) -> None:
    await _insert(database, {"key": "a"}, {"key": "b", "place": 3, "class": "B"})
    await fold(database)
    async with database.writing() as session:
        await session.execute(
            text("INSERT INTO measure_snapshot VALUES ('2020-01-01', 1, 'A', '', 1, 1, 1, 1)")
        )
        await snapshot(session, datetime.now(UTC).date())
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer WHERE external_id = 'b'"))
        await session.execute(text("UPDATE customer SET potential = 99"))
    await fold(database)

    async with database.writing() as session:
        await snapshot(session, datetime.now(UTC).date())

    async with database.reading() as session:
        rows = (await session.execute(text("SELECT * FROM measure_snapshot ORDER BY month"))).all()
    parent = int(ancestors([CELLS[0]], 6)[0])
    month = datetime.now(UTC).date().replace(day=1)
    assert [tuple(row[:4]) for row in rows[1:]] == [(month, parent, "A", "")]
    assert tuple(rows[1][4:]) == (1, 10.0, 99.0, 3.0, 0)
    assert rows[0].month.year == 2020, "other months stay"


async def test_work_is_estimated_anew_from_all_neighbours_at_once(
    database: Database, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    lon, lat = 121 + random.normal(0, 0.2, 30), 31 + random.normal(0, 0.2, 30)
    classes = tuple("SABCD"[number % 5] for number in range(30))
    is_inactive = np.arange(30) % 7 == 0
    async with database.writing() as session:
        for number in range(30):
            await session.execute(
                INSERT,
                {
                    "key": f"{number:02d}", "lon": lon[number], "lat": lat[number],
                    "cell": cell_from_point(lon[number], lat[number], 12),
                    "class": classes[number], "segment": "",
                    "status": "inactive" if is_inactive[number] else "active",
                    "work": 0, "potential": 0, "revenue": 0, "visited": None, "due": None,
                },
            )  # fmt: skip
    work_settings = WorkSettings()

    changed = await refresh_work(database, work_settings, tmp_path)

    none = np.full(30, np.nan)
    visits = visits_per_year(work_settings, classes, none, is_inactive)
    distance_m = np.zeros(30)
    served = ~is_inactive
    distance_m[served] = mean_neighbour_distance_m(lon[served], lat[served], 4, visits[served])
    expected = work_minutes(work_settings, classes, visits, none, distance_m)
    async with database.reading() as session:
        stored = list(
            await session.scalars(text("SELECT work_minutes FROM customer ORDER BY external_id"))
        )
        versions = set(await session.scalars(text("SELECT version FROM customer")))
    assert stored == pytest.approx(expected.tolist())
    assert changed == np.count_nonzero(expected)
    assert versions == {1}, "derived work is nobody's edit"
    assert await refresh_work(database, work_settings, tmp_path) == 0


async def test_an_estimate_leaves_alone_what_was_edited_since_it_was_begun(
    database: Database,
    tmp_path: Path,
) -> None:
    async with database.writing() as session:
        for number in range(3):
            place = {"lon": 121 + number, "lat": 31, "cell": cell_from_point(121 + number, 31, 12)}
            kind = {"class": "A", "segment": "", "status": "active"}
            sums = {"work": 0, "potential": 0, "revenue": 0}
            dates = {"visited": None, "due": None}
            await session.execute(INSERT, {"key": str(number), **place, **kind, **sums, **dates})

    @asynccontextmanager
    async def after_an_edit() -> AsyncIterator[WriteSession]:
        async with database.writing() as session:
            await session.execute(
                text("UPDATE customer SET version = 2, work_minutes = 7 WHERE external_id = '0'")
            )
        async with database.writing() as session:
            yield session

    changed = await refresh_work(database, WorkSettings(), tmp_path, after_an_edit)

    async with database.reading() as session:
        query = text("SELECT work_minutes FROM customer WHERE external_id = '0'")
        assert await session.scalar(query) == 7
    assert changed == 2
