"""A first import sets the indexes of customers aside, and leaves them as they were."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from app.activity import fold
from app.db.access import Access
from app.db.session import Database
from app.imports import bulk, job
from app.jobs.execution import execute
from app.settings import Settings
from tests.imports.test_job import HANDLERS, state_of, submit

DEFINITIONS = """
    SELECT indexdef FROM pg_indexes WHERE tablename = 'customer'
    UNION ALL
    SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = 'customer'::regclass
    ORDER BY 1
"""
FILES = "SELECT indexrelid::bigint FROM pg_index WHERE indrelid = 'customer'::regclass ORDER BY 1"

# Of every resolution that differs from its customers.
SUMS = """
    SELECT resolution FROM activity_cell GROUP BY resolution
    HAVING (sum(customers), round(sum(work_minutes)), round(sum(potential)), sum(overdue)) <> (
        SELECT count(*), round(sum(work_minutes)), round(sum(potential)),
            count(*) FILTER (WHERE due_on < (SELECT day FROM heat_state))
        FROM customer WHERE status <> 'inactive')
    UNION ALL
    SELECT 0 WHERE (SELECT count(DISTINCT resolution) FROM activity_cell) <> 8
    UNION ALL
    SELECT resolution FROM activity_total GROUP BY resolution
    HAVING sum(customers) <> (SELECT count(*) FROM customer WHERE status <> 'inactive')
    UNION ALL
    SELECT 1 WHERE (SELECT count(DISTINCT resolution) FROM activity_total) <> 5
"""
BROUGHT = """
    SELECT count(*) FROM customer
    JOIN audit_event ON entity = 'customer' AND entity_ids @> customer.id
"""


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MANY_ROWS", 100)


def write(path: Path, first: int, last: str = "") -> Path:
    rows = [
        f"{i},{113 + i % 37 / 500},{30 + i % 29 / 500},{'SABCD'[i % 5]},{'key' if i % 9 else ''}"
        for i in range(first, first + 400)
    ]
    path.write_text("\n".join(["id,lon,lat,class,tags", *rows, last]))
    return path


async def looked_at(database: Database, statement: str) -> list[object]:
    async with database.reading() as session:
        return [value for (value,) in await session.execute(text(statement))]


async def imported(database: Database, settings: Settings, path: Path) -> tuple[str, str | None]:
    run = await submit(database, settings, path)
    await execute(database, settings, HANDLERS, run)
    return await state_of(database, run)


async def test_a_first_import_leaves_the_indexes_as_it_found_them(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    definitions = await looked_at(database, DEFINITIONS)
    files = await looked_at(database, FILES)

    outcome = await imported(database, settings, write(tmp_path / "first.csv", 0))

    assert outcome == ("succeeded", "400 created, 0 updated, 0 unchanged, 0 rejected.")
    assert await looked_at(database, DEFINITIONS) == definitions
    built = await looked_at(database, FILES)
    assert len(set(built) - set(files)) == len(files) - 1, "all but that of the ids are new"
    assert await looked_at(database, BROUGHT) == [400]


async def test_a_first_import_that_fails_while_it_builds_leaves_everything_as_it_was(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [await looked_at(database, statement) for statement in (DEFINITIONS, FILES)]

    async def fail(*arguments: object) -> None:
        raise RuntimeError("in the middle")

    with monkeypatch.context() as patch:
        patch.setattr(job, "_tell_audit", fail)
        state, _ = await imported(database, settings, write(tmp_path / "first.csv", 0))

    assert state != "succeeded"
    assert [await looked_at(database, statement) for statement in (DEFINITIONS, FILES)] == before
    assert await looked_at(database, "SELECT count(*) FROM customer") == [0]


async def test_the_sums_of_a_first_import_are_made_from_its_customers(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def an_edit_comes_first(opened: Database) -> int:
        async with opened.writing() as session:
            await session.execute(text("UPDATE customer SET potential = 5 WHERE id % 2 = 0"))
            await session.execute(text("DELETE FROM customer WHERE id % 7 = 0"))
        return await fold(opened)

    monkeypatch.setattr(job, "fold", an_edit_comes_first)
    await imported(database, settings, write(tmp_path / "first.csv", 0))

    assert await looked_at(database, "SELECT count(*) FROM activity_delta") == [0]
    assert await looked_at(database, SUMS) == []
    monkeypatch.undo()
    monkeypatch.setattr(bulk, "MANY_ROWS", 100)
    await imported(database, settings, write(tmp_path / "second.csv", 400))
    assert await looked_at(database, SUMS) == [], "later changes are counted again"


async def test_a_later_import_keeps_the_indexes(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    await imported(database, settings, write(tmp_path / "first.csv", 0))
    files = await looked_at(database, FILES)

    outcome = await imported(database, settings, write(tmp_path / "second.csv", 200))

    assert outcome == ("succeeded", "200 created, 0 updated, 200 unchanged, 0 rejected.")
    assert await looked_at(database, FILES) == files


async def test_a_first_import_does_not_wait_for_who_reads(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    files = await looked_at(database, FILES)
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM customer")) == 0

        outcome = await imported(database, settings, write(tmp_path / "first.csv", 0))

    assert outcome == ("succeeded", "400 created, 0 updated, 0 unchanged, 0 rejected.")
    assert await looked_at(database, FILES) == files, "row by row, as ever"


def test_the_application_cannot_say_what_the_owner_builds(settings: Settings) -> None:
    conninfo = Access.of(settings).conninfo
    for statement in (
        "INSERT INTO set_aside_index VALUES ('x', 'DROP TABLE customer')",
        "UPDATE set_aside_index SET definition = 'DROP TABLE customer'",
        "SELECT FROM set_aside_index",
        "CREATE TABLE public.set_aside_index_too (name text)",
    ):
        with psycopg.connect(conninfo) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
