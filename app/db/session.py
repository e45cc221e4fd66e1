"""Engine and sessions. Reading and writing sessions are different types.

The edge (an endpoint, a worker step, a command) owns the transaction: repositories never commit.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NewType

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from app.db.access import Access
from app.errors import Unavailable
from app.settings import Settings

ReadSession = NewType("ReadSession", AsyncSession)
WriteSession = NewType("WriteSession", AsyncSession)
AnySession = ReadSession | WriteSession

SEARCH_PATH = "public,jobs"
# Statement timeout, lock timeout, deadlock, serialisation failure: another try may well succeed.
BUSY = ("57014", "55P03", "40P01", "40001")


class Database:
    """The pools of one process."""

    def __init__(self, url: URL, pool_size: int, statement_timeout_s: float | None) -> None:
        self.engine: AsyncEngine = _make_engine(url, pool_size, 2, statement_timeout_s)
        # A request holds its own connection while it asks who calls. Were that answered from the
        # same pool, as many requests at once as the pool is large would wait for each other.
        self._caller_engine = _make_engine(url, 2, 10, statement_timeout_s)

    @classmethod
    def of(cls, settings: Settings, *, has_timeout: bool = True) -> "Database":
        """Return the database the settings name; workers take no statement timeout."""
        timeout_s = settings.statement_timeout_s if has_timeout else None
        return cls(Access.of(settings).url, settings.pool_size, timeout_s)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """Open one read-only snapshot: every statement in it sees the same instant."""
        async with self._session(self.engine, isolation_level="REPEATABLE READ") as session:
            async with session.begin():
                await session.execute(text("SET TRANSACTION READ ONLY"))
                yield ReadSession(session)

    @asynccontextmanager
    async def reading_aside(self) -> AsyncIterator[ReadSession]:
        """Open a snapshot on connections kept apart, for what a request needs beside its own."""
        async with self._session(self._caller_engine, isolation_level="REPEATABLE READ") as session:
            async with session.begin():
                await session.execute(text("SET TRANSACTION READ ONLY"))
                yield ReadSession(session)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[WriteSession]:
        """Open a transaction that commits when the block ends without an error."""
        async with self._session(self.engine, isolation_level="READ COMMITTED") as session:
            async with session.begin():
                yield WriteSession(session)

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine, **options: Any) -> AsyncIterator[AsyncSession]:
        try:
            async with AsyncSession(
                engine.execution_options(**options), expire_on_commit=False, autoflush=False
            ) as session:
                yield session
        except (OperationalError, PoolTimeout) as error:
            if is_outage(error):
                raise Unavailable("The database does not answer.") from error
            if sqlstate(error) in BUSY:
                raise Unavailable("The database is too busy for this now.") from error
            raise

    async def close(self) -> None:
        """Close every connection of the pools."""
        await self.engine.dispose()
        await self._caller_engine.dispose()


def _make_engine(
    url: URL, pool_size: int, pool_timeout_s: float, statement_timeout_s: float | None
) -> AsyncEngine:
    timeout_ms = int((statement_timeout_s or 0) * 1000)
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        pool_pre_ping=True,
        # Errors are logged, and bound values are names and places of people.
        hide_parameters=True,
        connect_args={
            "options": f"-c search_path={SEARCH_PATH} -c statement_timeout={timeout_ms} "
            "-c lock_timeout=10000 -c timezone=UTC -c jit=off "
            "-c max_parallel_workers_per_gather=0",
            "connect_timeout": 5,
            "application_name": "bailiwick",
        },
    )


def is_outage(error: Exception) -> bool:
    """Tell a database that is away or out of reach from a statement that failed."""
    if not isinstance(error, DBAPIError):
        return True
    state = sqlstate(error)
    # Class 08: connection; 57P: shutdown and crash; 53: out of resources.
    return state is None or state[:2] in ("08", "53") or state[:3] == "57P"


def sqlstate(error: Exception) -> str | None:
    """Return the five characters by which PostgreSQL names what went wrong."""
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


async def driver_connection(session: AnySession) -> Any:
    """Return the psycopg connection below `session`, for COPY and for deferring jobs."""
    connection: AsyncConnection = await session.connection()
    raw = await connection.get_raw_connection()
    return raw.driver_connection
