"""Single statements beside the sessions: they cannot write, and leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import ARRAY, JSON, BigInteger, Integer, cast, column, func, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB

from app.db.access import Access
from app.db.glance import Glance
from app.db.prepared import Planned, Prepared, left_open
from app.db.session import Database
from app.errors import ReadOnly, TookTooLong
from app.settings import Settings

PID = Prepared(select(func.pg_backend_pid()))
ISOLATION = Prepared(text("SELECT current_setting('transaction_isolation')"))
COUNT = Prepared(text("SELECT count(*) FROM rep"))
ADD = "INSERT INTO rep (external_id, name) VALUES ('r', 'R')"


@pytest.fixture
async def narrow(settings: Settings, empty_database: None) -> AsyncIterator[Database]:
    """A database with a single connection, so that all use the same."""
    database = Database.of(settings.model_copy(update={"pool_size": 1}))
    yield database
    await database.close()


async def test_a_glance_cannot_write_and_a_writer_after_it_can(narrow: Database) -> None:
    with pytest.raises(ReadOnlySqlTransaction):
        async with narrow.glancing() as glance:
            await glance.all(Prepared(text(ADD)))
    async with narrow.writing() as session:
        await session.execute(text(ADD))
        assert await session.scalar(text("SHOW transaction_isolation")) == "read committed"
    async with narrow.glancing() as glance:
        assert await glance.one(COUNT) == (1,)
        with pytest.raises(ReadOnlySqlTransaction):
            await glance.all(Prepared(text(ADD)))


async def test_a_snapshot_stays_at_its_instant_and_ends_with_its_block(database: Database) -> None:
    async with database.glancing() as glance:
        async with glance.snapshot():
            assert await glance.one(ISOLATION) == ("repeatable read",)
            assert await glance.one(COUNT) == (0,)
            async with database.writing() as session:
                await session.execute(text(ADD))
            assert await glance.one(COUNT) == (0,)
        assert await glance.one(COUNT) == (1,)
        assert await glance.one(ISOLATION) == ("read committed",)


async def test_values_are_those_written_and_those_given(database: Database) -> None:
    number = left_open("number", BigInteger())
    statement = Prepared(
        select(
            number.in_([1, 2]),
            cast([3, 4], ARRAY(Integer)),
            literal({"a": 1}, JSONB),
            cast(literal({"b": "%"}, JSON), JSON),
        ),
        Planned.FOR_VALUES,
    )
    async with database.glancing() as glance:
        assert await glance.one(statement, number=2) == (True, [3, 4], {"a": 1}, {"b": "%"})
        assert await glance.one(statement, number=3) == (False, [3, 4], {"a": 1}, {"b": "%"})
        assert await glance.all(Prepared(select(column("n")).select_from(text("rep AS n")))) == []


async def test_a_writer_after_readers_leaves_a_read_only_database_as_it_is(
    narrow: Database, settings: Settings
) -> None:
    owner = make_conninfo(Access.of(settings).conninfo, user=Access.of(settings).owner_url.username)
    name = Access.of(settings).url.database
    setting = "default_transaction_read_only"
    async with await psycopg.AsyncConnection.connect(owner, autocommit=True) as connection:
        await connection.execute(f"ALTER DATABASE {name} SET {setting} = on".encode())
        try:
            async with narrow.reading() as session:
                await session.execute(text("SELECT 1"))
            async with narrow.glancing() as glance:
                await glance.one(COUNT)
            with pytest.raises(ReadOnly):
                async with narrow.writing() as session:
                    await session.execute(text(ADD))
        finally:
            await connection.execute(f"SET {setting} = off".encode())
            await connection.execute(f"ALTER DATABASE {name} RESET {setting}".encode())


async def test_a_plan_for_values_is_for_the_statements_that_ask_for_one(narrow: Database) -> None:
    mode = select(func.current_setting("plan_cache_mode"))
    kept, once, anew = (
        Prepared(mode),
        Prepared(mode, Planned.ONCE),
        Prepared(mode, Planned.FOR_VALUES),
    )
    async with narrow.glancing() as glance:
        asked = [await glance.one(statement) for statement in (kept, anew, once, kept, anew)]
    async with narrow.reading() as session:
        in_a_session = await session.scalar(mode)

    async def fail(glance: Glance) -> None:
        async with glance.snapshot():
            await glance.one(anew)
            await glance.all(Prepared(text(ADD), Planned.FOR_VALUES))

    async with narrow.glancing() as glance:
        with pytest.raises(ReadOnlySqlTransaction):
            await fail(glance)
        undone = await glance.one(anew)

    assert [mode for (mode,) in asked] == [
        "auto", "force_custom_plan", "force_generic_plan", "auto", "force_custom_plan",
    ]  # fmt: skip
    assert in_a_session == "auto"
    assert undone == ("force_custom_plan",)


async def test_nobody_is_given_a_connection_that_the_server_has_ended(
    narrow: Database, settings: Settings
) -> None:
    async def end(pid: int) -> None:
        conninfo = Access.of(settings).conninfo
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            await connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    async with narrow.glancing() as glance:
        (pid,) = await glance.one(PID)
    await end(pid)
    async with narrow.glancing() as glance:
        (second,) = await glance.one(PID)
    await end(second)
    async with narrow.reading() as session:
        third = await session.scalar(select(func.pg_backend_pid()))
    assert third is not None
    await end(third)
    async with narrow.writing() as session:
        fourth = await session.scalar(select(func.pg_backend_pid()))

    assert len({pid, second, third, fourth}) == 4


async def test_a_connection_with_news_that_still_lives_is_kept(
    narrow: Database, settings: Settings
) -> None:
    async with narrow.writing() as session:
        pid = await session.scalar(select(func.pg_backend_pid()))
        await session.execute(text("LISTEN something"))
    conninfo = Access.of(settings).conninfo
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await connection.execute("NOTIFY something")
    await asyncio.sleep(0.1)

    async with narrow.glancing() as glance:
        assert await glance.one(PID) == (pid,)


@pytest.mark.parametrize("in_snapshot", [False, True])
async def test_who_goes_away_in_the_middle_takes_no_connection_along(
    narrow: Database, in_snapshot: bool
) -> None:
    async def sleep() -> None:
        async with narrow.glancing() as glance:
            if not in_snapshot:
                await glance.all(Prepared(text("SELECT pg_sleep(30)")))
            async with glance.snapshot():
                await glance.all(Prepared(text("SELECT pg_sleep(30)")))

    sleeping = asyncio.create_task(sleep())
    await asyncio.sleep(0.2)
    sleeping.cancel()
    await asyncio.wait([sleeping], timeout=5)

    assert sleeping.cancelled()
    async with narrow.glancing() as glance:
        assert await glance.one(ISOLATION) == ("read committed",)
    async with narrow.writing() as session:
        await session.execute(text(ADD))


async def test_a_glance_that_takes_too_long_says_so(settings: Settings) -> None:
    database = Database(Access.of(settings).url, 1, 0.05)
    try:
        with pytest.raises(TookTooLong):
            async with database.glancing() as glance:
                await glance.all(Prepared(text("SELECT pg_sleep(5)")))
    finally:
        await database.close()
