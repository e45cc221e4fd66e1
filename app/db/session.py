"""Engine and sessions. Reading and writing sessions are different types.

The edge (an endpoint, a worker step, a command) owns the transaction: repositories never commit.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NewType

import psycopg
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app.db.access import Access
from app.db.glance import Glance, glance, make_way
from app.db.pool import APPLICATION, make_engine
from app.db.prepared import Prepared
from app.errors import Busy, DiskFull, ReadOnly, TookTooLong, TooManyConnections, Unavailable
from app.settings import Settings

ReadSession = NewType("ReadSession", AsyncSession)
WriteSession = NewType("WriteSession", AsyncSession)
AnySession = ReadSession | WriteSession
# For what is written as prepared statements, and for nothing else.
AnyReader = AnySession | Glance

# For writers, see `app.db.pool`.
IDLE_WRITE_S = 15
WRITING = "READ COMMITTED"
SNAPSHOT = "REPEATABLE READ"
READ_ONLY = "25006"
# What the database says when it cannot do now what it could do at another time.
REFUSALS: dict[str, type[Unavailable]] = {
    "53100": DiskFull,
    "53300": TooManyConnections,
    READ_ONLY: ReadOnly,
    # Statement timeout, lock timeout, deadlock, serialisation failure.
    "57014": TookTooLong,
    "55P03": Busy,
    "40P01": Busy,
    "40001": Busy,
}
DETAILS: dict[type[Unavailable], str] = {
    DiskFull: "The disk of the database is full: nothing is stored until its operator makes room.",
    TooManyConnections: "The database takes no more connections now.",
    ReadOnly: "The database is read-only now: what is stored can be read.",
    Busy: "The database is too busy for this now.",
    TookTooLong: "The database was given no more time for this; ask for less.",
}

SAY_WHO = text("""
    -- For the triggers that write the audit; gone with the transaction.
    SELECT set_config('bailiwick.actor', :actor, true), set_config('bailiwick.role', :role, true),
        set_config('bailiwick.request_id', :request_id, true),
        set_config('bailiwick.run_id', :run_id, true),
        -- By this name the sweeper finds what a frozen worker keeps open.
        set_config('application_name', :application, true),
        set_config('idle_in_transaction_session_timeout', :idle, true)
""")
SHORTLY = text(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_WRITE_S}s'")


@dataclass(frozen=True, slots=True)
class Acting:
    """Who is behind a change, as the audit names them; empty members are unknown."""

    actor: str = ""
    role: str = ""
    request_id: str = ""
    run_id: int | None = None


NOBODY = Acting()


class Database:
    """The pools of one process."""

    def __init__(self, url: URL, pool_size: int, statement_timeout_s: float | None) -> None:
        self.engine: AsyncEngine = make_engine(url, pool_size, 2, statement_timeout_s)
        # Who calls must be found out before a request may wait for a connection of its own, and
        # while the others are taken by requests that wait for something else.
        self._caller_engine = make_engine(url, 2, 10, statement_timeout_s)
        # The same pools, once for each way of using them: to make one takes longer than to ask.
        self._reads, self._writes = _ways_of(self.engine)
        self._reads_aside, self._writes_aside = _ways_of(self._caller_engine)

    @classmethod
    def of(cls, settings: Settings, *, has_timeout: bool = True) -> "Database":
        """Return the database the settings name; workers take no statement timeout."""
        timeout_s = settings.statement_timeout_s if has_timeout else None
        return cls(Access.of(settings).url, settings.pool_size, timeout_s)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """Open one read-only snapshot: every statement in it sees the same instant."""
        async with _session(self._reads, is_writing=False) as session:
            yield ReadSession(session)

    @asynccontextmanager
    async def reading_aside(self) -> AsyncIterator[ReadSession]:
        """Open a snapshot on connections kept apart, for what a request needs beside its own."""
        async with _session(self._reads_aside, is_writing=False) as session:
            yield ReadSession(session)

    @asynccontextmanager
    async def glancing(self) -> AsyncIterator[Glance]:
        """Give a connection for single reading statements, without a transaction around them."""
        with _told(is_writing=False):
            async with glance(self.engine) as found:
                yield found

    @asynccontextmanager
    async def glancing_aside(self) -> AsyncIterator[Glance]:
        """Give such a connection of those kept apart."""
        with _told(is_writing=False):
            async with glance(self._caller_engine) as found:
                yield found

    @asynccontextmanager
    async def writing(self, acting: Acting = NOBODY) -> AsyncIterator[WriteSession]:
        """Open a transaction that commits when the block ends without an error.

        What it changes is written into the audit under the name of `acting`.
        """
        async with _session(self._writes, is_writing=True) as session:
            if acting == NOBODY:
                await session.execute(SHORTLY)
            else:
                await session.execute(SAY_WHO, _who(acting))
            yield WriteSession(session)

    @asynccontextmanager
    async def writing_aside(self) -> AsyncIterator[WriteSession]:
        """Open a transaction on the connections kept apart, to note that somebody called."""
        async with _session(self._writes_aside, is_writing=True) as session:
            yield WriteSession(session)

    async def close(self) -> None:
        """Close every connection of the pools."""
        await self.engine.dispose()
        await self._caller_engine.dispose()


def _ways_of(engine: AsyncEngine) -> tuple[AsyncEngine, AsyncEngine]:
    reads = engine.execution_options(isolation_level=SNAPSHOT)
    writes = engine.execution_options(isolation_level=WRITING)
    make_way(reads.sync_engine, is_read_only=True)
    make_way(writes.sync_engine, is_read_only=False)
    return reads, writes


@asynccontextmanager
async def _session(engine: AsyncEngine, *, is_writing: bool) -> AsyncIterator[AsyncSession]:
    """Open a session in a transaction."""
    with _told(is_writing):
        async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session:
            async with session.begin():
                # Now, not with the first statement: who must wait for a connection waits here.
                await session.connection()
                yield session


@contextmanager
def _told(is_writing: bool) -> Iterator[None]:
    """Say in our own words what the database cannot do now."""
    try:
        yield
    except (DBAPIError, PoolTimeout, psycopg.Error) as error:
        refusal = _refusal(error, is_writing)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(error: Exception, is_writing: bool) -> Unavailable | None:
    """Return what a caller may try again later, or None for what is a mistake of ours."""
    state = sqlstate(error)
    # A session for reading that writes is a mistake; the database is not read-only for that.
    kind = None if state == READ_ONLY and not is_writing else REFUSALS.get(state or "")
    if kind is not None:
        return kind(DETAILS[kind])
    is_of_driver = isinstance(error, OperationalError | PoolTimeout | psycopg.OperationalError)
    return (
        Unavailable("The database does not answer.") if is_of_driver and is_outage(error) else None
    )


def _who(acting: Acting) -> dict[str, str]:
    run_id = "" if acting.run_id is None else str(acting.run_id)
    return {
        "actor": acting.actor,
        "role": acting.role,
        "request_id": acting.request_id,
        "run_id": run_id,
        "application": APPLICATION if acting.run_id is None else session_name(acting.run_id),
        "idle": f"{IDLE_WRITE_S}s",
    }


def session_name(run_id: int | str) -> str:
    """Return what PostgreSQL calls a session while it is in a transaction of this run."""
    return f"{APPLICATION} run {run_id}"


def is_outage(error: Exception) -> bool:
    """Tell a database that is away or out of reach from a statement that failed."""
    if not isinstance(error, DBAPIError | psycopg.Error):
        return True
    state = sqlstate(error)
    # Class 08: connection; 57P: shutdown and crash; 53: out of resources.
    return state is None or state[:2] in ("08", "53") or state[:3] == "57P"


def sqlstate(error: Exception) -> str | None:
    """Return the five characters by which PostgreSQL names what went wrong."""
    state: str | None = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state


async def rows(reader: AnyReader, statement: Prepared, **given: Any) -> Sequence[Any]:
    """Return the rows of a prepared statement."""
    if isinstance(reader, Glance):
        return await reader.all(statement, **given)
    connection: AsyncConnection = await reader.connection()
    return (await connection.exec_driver_sql(statement.text, statement.values(given))).all()


async def driver_connection(session: AnySession) -> Any:
    """Return the psycopg connection below `session`, for COPY and for deferring jobs."""
    connection: AsyncConnection = await session.connection()
    raw = await connection.get_raw_connection()
    return raw.driver_connection
