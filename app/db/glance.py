"""Single reading statements for the services that are asked most, without a session around them.

One statement is its own snapshot, so it needs no transaction; and to build, compile and send it by
way of a session takes longer than most of them take to run.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, IsolationLevel
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from app.db.prepared import Prepared

# Said once to a connection, and taken back before it is used for a session.
ONLY_READS = "bailiwick_only_reads"
READ_ONLY = "SET default_transaction_read_only = on"
# How statements are planned on it, if that was ever said.
PLANNED = "bailiwick_planned"
AS_BEFORE = "RESET default_transaction_read_only; RESET plan_cache_mode"


class Glance:
    """A connection that reads; each statement by itself, or several in one `snapshot`."""

    def __init__(self, connection: AsyncConnection[Any], marks: dict[str, Any]) -> None:
        self._connection = connection
        self._marks = marks

    async def all(self, statement: Prepared, **given: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        values = statement.values(given)
        # The same kind most often follows the same kind, and without values there is but one plan.
        if values and self._marks.get(PLANNED) != statement.planned:
            mode = f"SET plan_cache_mode = {statement.planned}"
            await self._connection.execute(mode.encode())
            self._marks[PLANNED] = statement.planned
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(statement.text.encode(), values, prepare=True)
        return await cursor.fetchall()

    async def one(self, statement: Prepared, **given: Any) -> tuple[Any, ...]:
        """Return the only row of a statement that has one by its form."""
        (row,) = await self.all(statement, **given)
        return row

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Let every statement in the block see the same instant."""
        await self._connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await self._connection.set_read_only(True)
        try:
            async with self._connection.transaction():
                yield
        except BaseException:
            # What was said in the meantime is undone.
            self._marks.pop(PLANNED, None)
            raise
        finally:
            # Else it is not used again.
            if self._connection.info.transaction_status == TransactionStatus.IDLE:
                await self._connection.set_isolation_level(None)


@asynccontextmanager
async def glance(engine: AsyncEngine) -> AsyncIterator[Glance]:
    """Take a connection from the pool of an engine, that can only read."""
    proxy = await engine.raw_connection()
    connection: Any = proxy.driver_connection
    try:
        await connection.set_autocommit(True)
        if ONLY_READS not in proxy.info:
            await connection.execute(READ_ONLY)
            proxy.info[ONLY_READS] = True
        yield Glance(connection, proxy.info)
    finally:
        # A statement or a snapshot that was broken off may still be under way.
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            await greenlet_spawn(proxy.invalidate)
        else:
            await connection.set_autocommit(False)
            await greenlet_spawn(proxy.close)


def make_way(engine: Engine, *, is_read_only: bool) -> None:
    """Make connections that this engine takes forget what glances have told them.

    Who writes leaves it to the database whether that can be done: it may be read-only itself.
    """

    @event.listens_for(engine, "engine_connect")
    def begin_anew(connection: Any) -> None:
        proxy = connection.connection
        if proxy.info.pop(ONLY_READS, False):
            proxy.info.pop(PLANNED, None)
            proxy.dbapi_connection.autocommit = True
            proxy.cursor().execute(AS_BEFORE)
            proxy.dbapi_connection.autocommit = False
        proxy.dbapi_connection.set_read_only(True if is_read_only else None)
