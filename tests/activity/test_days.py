"""Overdue visits: due dates, and what changes with time alone."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import select, text

from app.activity import fold, local_date, turn_day
from app.activity.days import DAY_LOCK
from app.db.due import due_on as due_on_in_sql
from app.db.session import Database
from app.db.tables import Customer
from app.settings import ClassService, WorkSettings
from app.workload import FEWEST_VISITS, NEVER_VISITED, due_on
from tests.conftest import ANY_VERSION

WORK = WorkSettings()
TODAY = date(2026, 6, 1)
OVERDUE = text("SELECT coalesce(sum(overdue), 0) FROM activity_cell WHERE resolution = 6")
INSERT = text("""
    INSERT INTO customer (external_id, name, geom, cell, class, status, visits_per_year,
        last_visit_at)
    SELECT 'C' || n, 'C', ST_SetSRID(ST_MakePoint(121.47, 31.23), 4326), 631358913438401023, class,
        status, visits, visited
    FROM unnest(CAST(:class AS text[]), CAST(:status AS text[]), CAST(:visits AS float[]),
        CAST(:visited AS timestamptz[])) WITH ORDINALITY AS t (class, status, visits, visited, n)
""")


async def overdue(database: Database) -> int:
    async with database.reading() as session:
        return int(await session.scalar(OVERDUE) or 0)


async def insert(database: Database, *rows: tuple[str, str, float | None, Any]) -> None:
    columns = dict(zip(("class", "status", "visits", "visited"), zip(*rows, strict=True)))  # noqa: B905
    async with database.writing() as session:
        await session.execute(INSERT, {name: list(values) for name, values in columns.items()})


async def test_due_dates_are_the_same_in_sql_and_in_python(database: Database) -> None:
    settings = WorkSettings(time_zone="Asia/Shanghai", classes={**WORK.classes, "B": ClassService(
        visits_per_year=5, service_minutes=1)})  # fmt: skip
    late = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    rows = [
        (letter, status, visits, visited)
        for letter in "SABCD"
        for status in ("active", "lead", "inactive")
        for visits in (None, 0.0, 1e-300, 0.5, 12.0, 400.0, 1e300)
        for visited in (None, late, datetime(2199, 12, 31, tzinfo=UTC))
    ]
    await insert(database, *rows)
    async with database.reading() as session:
        found = (await session.scalars(select(due_on_in_sql(settings)).order_by(Customer.id))).all()
    for (letter, status, visits, visited), stored in zip(rows, found, strict=True):
        wanted = settings.classes[letter].visits_per_year if visits is None else visits
        wanted = 0 if status == "inactive" else wanted
        assert stored == due_on(wanted, visited, "Asia/Shanghai"), (letter, status, visits, visited)
    # Half past midnight in Shanghai is the next day there.
    assert due_on(400, late, "Asia/Shanghai") == date(2026, 3, 2)
    assert due_on(12, late, "UTC") == date(2026, 3, 31)
    assert due_on(12, None, "UTC") == NEVER_VISITED
    assert due_on(0, late, "UTC") is None
    assert due_on(FEWEST_VISITS / 10, late, "UTC") == date(2126, 2, 5)


async def test_a_visit_becomes_overdue_the_day_after_it_was_due(database: Database) -> None:
    visited = datetime.combine(TODAY, datetime.min.time(), UTC)
    await insert(database, ("A", "active", None, visited), ("A", "inactive", None, visited))
    due = TODAY + timedelta(days=10)
    counts = []
    for days in (0, 10, 11, 30):
        await turn_day(database, WORK, TODAY + timedelta(days=days))
        counts.append(await overdue(database))
    assert counts == [0, 0, 1, 1]
    assert due == due_on(36, visited, "UTC")


async def test_the_day_turns_once_for_all_workers_and_never_back(database: Database) -> None:
    await insert(database, ("A", "active", None, None), ("D", "active", None, None))
    turned = await asyncio.gather(*(turn_day(database, WORK, TODAY) for _ in range(4)))
    assert any(turned)
    assert await overdue(database) == 1
    assert not await turn_day(database, WORK, TODAY)
    assert not await turn_day(database, WORK, TODAY - timedelta(days=3))
    assert await overdue(database) == 1


async def test_the_day_waits_for_a_change_that_was_counted_by_the_day_before(
    database: Database,
) -> None:
    visited = datetime.combine(TODAY, datetime.min.time(), UTC)
    await turn_day(database, WORK, TODAY)
    async with database.writing() as session:
        rows = {"class": ["A"], "status": ["active"], "visits": [None], "visited": [visited]}
        await session.execute(INSERT, rows)
        # Nobody who changes customers is held up for long: the next fold tries again.
        assert not await turn_day(database, WORK, TODAY + timedelta(days=90))
    await fold(database)
    assert await overdue(database) == 0
    assert await turn_day(database, WORK, TODAY + timedelta(days=90))
    assert await overdue(database) == 1


async def test_a_change_waits_while_the_day_turns_and_is_counted_by_the_new_one(
    database: Database,
) -> None:
    await turn_day(database, WORK, TODAY)
    async with database.writing() as session:
        await session.execute(DAY_LOCK)
        edit = asyncio.create_task(insert(database, ("A", "active", None, None)))
        await asyncio.sleep(0.3)
        assert not edit.done()
    await edit


async def test_changed_settings_count_from_the_next_day_on(database: Database) -> None:
    visited = datetime.combine(TODAY, datetime.min.time(), UTC)
    await insert(database, ("A", "active", None, visited))
    await turn_day(database, WORK, TODAY + timedelta(days=5))
    assert await overdue(database) == 0
    more = {**WORK.classes, "A": ClassService(visits_per_year=365, service_minutes=45)}
    await turn_day(database, WorkSettings(classes=more), TODAY + timedelta(days=6))
    assert await overdue(database) == 1


async def test_each_month_keeps_a_picture_of_its_last_day(database: Database) -> None:
    visited = datetime(2026, 5, 20, tzinfo=UTC)
    await insert(database, ("A", "active", None, visited), ("B", "active", None, visited))
    for day in (date(2026, 5, 29), date(2026, 5, 31), date(2026, 6, 1), date(2026, 6, 30)):
        await turn_day(database, WORK, day)
    async with database.reading() as session:
        rows = await session.execute(
            text("SELECT month, sum(customers), sum(overdue) FROM measure_snapshot "
                 "GROUP BY 1 ORDER BY 1")
        )  # fmt: skip
        assert [tuple(row) for row in rows] == [
            (date(2026, 5, 1), 2, 1),
            (date(2026, 6, 1), 2, 2),
        ]


async def test_an_edit_moves_the_due_date(client: httpx.AsyncClient, database: Database) -> None:
    body = {"external_id": "x", "name": "X", "lon": 121.47, "lat": 31.23, "class": "B",
            "last_visit_at": "2026-03-01T12:00:00Z"}  # fmt: skip
    created = (await client.post("/v1/customers", json=body)).json()
    dates = [await _due_of(database)]
    for change in ({"visits_per_year": 365}, {"last_visit_at": None}, {"status": "inactive"}):
        answer = await client.patch(
            f"/v1/customers/{created['id']}", json=change, headers=ANY_VERSION
        )
        assert answer.status_code == 200, answer.text
        dates.append(await _due_of(database))
    assert dates == [date(2026, 3, 31), date(2026, 3, 2), NEVER_VISITED, None]


async def _due_of(database: Database) -> date | None:
    async with database.reading() as session:
        return await session.scalar(select(Customer.due_on))


def test_the_day_begins_at_local_midnight() -> None:
    late = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    assert local_date(WorkSettings(time_zone="Asia/Shanghai"), late) == date(2026, 3, 2)
    assert local_date(WORK, late) == date(2026, 3, 1)
    assert local_date(WORK) == datetime.now(ZoneInfo("UTC")).date()


def test_a_time_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Asia/Shanghai"):
        WorkSettings(time_zone="Mars/Olympus")
