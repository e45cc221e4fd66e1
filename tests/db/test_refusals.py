"""What the database cannot do now is told from what it will never do."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.session import Database
from app.errors import Busy, DiskFull, ReadOnly, TookTooLong, TooManyConnections, Unavailable

REFUSED = "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{}'; END $$"
WRITE = "INSERT INTO rep (external_id, name) VALUES ('r', 'R')"


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", DiskFull), ("53300", TooManyConnections), ("55P03", Busy), ("40P01", Busy),
        ("40001", Busy), ("53200", Unavailable), ("57P01", Unavailable),
    ],
)  # fmt: skip
async def test_each_refusal_has_its_name(
    database: Database, state: str, kind: type[Unavailable]
) -> None:
    with pytest.raises(Unavailable) as refused:
        async with database.writing() as session:
            await session.execute(text(REFUSED.format(state)))

    assert type(refused.value) is kind


async def test_a_statement_that_takes_too_long_is_no_matter_of_others(database: Database) -> None:
    async def sleep() -> None:
        async with database.reading() as session:
            await session.execute(text("SET LOCAL statement_timeout = 20"))
            await session.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(TookTooLong, match="no more time"):
        await sleep()


async def test_a_database_that_takes_no_writes_is_read_only(database: Database) -> None:
    async def write() -> None:
        async with database.writing() as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            await session.execute(text(WRITE))

    with pytest.raises(ReadOnly):
        await write()


async def test_a_write_in_a_session_for_reading_is_a_mistake_of_ours(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.reading() as session:
            await session.execute(text(WRITE))
