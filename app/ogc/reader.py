"""The connections of `/ogc`: of a role that reads its views and nothing else.

Apart from those of the application, so that a map client that asks for everything at once holds up
nobody else.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import orjson
import structlog
from sqlalchemy import URL

from app.db.access import Access
from app.errors import Busy, NotFound, TookTooLong, Unavailable
from app.settings import Settings

log = structlog.get_logger()

MOST_CONNECTIONS = 4
# The shortest wait that lets a burst through; a client that is told to come back does so.
CONNECTION_WITHIN_S = 3.0
STATEMENT_TIMEOUT_S = 5
# Said again here: on a server of somebody else's the role may have been made without them.
SESSION = {
    "application_name": "bailiwick-ogc",
    "default_transaction_read_only": "on",
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "search_path": "ogc,public",
    "timezone": "UTC",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
OFF = "/ogc is off: no role for it is known. See docs/operations.md#ogc."
NOT_LET_IN = "The database does not let in the role of /ogc, or shows it no views."
# Roles, passwords, databases and views that are not there, and rights that are missing.
NOT_SET_UP = ("28000", "28P01", "3D000", "42501", "42P01", "42703", "3F000")


class Reader:
    """A small pool that is filled when somebody asks."""

    def __init__(self, url: URL | None) -> None:
        self._url = url
        self._opening = asyncio.Lock()
        self._pool: Any = None

    @classmethod
    def of(cls, settings: Settings) -> "Reader":
        """Return the reader of the database that the settings name."""
        return cls(Access.of(settings).ogc_url)

    def check_is_on(self) -> None:
        """Refuse where there is no role to read with.

        Raises
        ------
        NotFound
            With the place that says what to do.
        """
        if self._url is None:
            raise NotFound(OFF)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Give a connection in a snapshot of its own.

        Raises
        ------
        NotFound
            Where `/ogc` is off.
        Unavailable
            When there is no connection, or what is asked takes too long.
        """
        self.check_is_on()
        try:
            async with await self._acquired() as connection:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    yield connection
        except asyncpg.QueryCanceledError as error:
            raise TookTooLong(
                f"This took longer than {STATEMENT_TIMEOUT_S} seconds; ask for less."
            ) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            raise refusal from error

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    async def _acquired(self) -> Any:
        """Return a context that gives a connection back to the pool at its end."""
        pool = await self._opened()
        try:
            connection = await pool.acquire(timeout=CONNECTION_WITHIN_S)
        except TimeoutError as error:
            raise Busy(
                f"None of the {MOST_CONNECTIONS} connections of /ogc came free in time."
            ) from error
        return _Held(pool, connection)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._pool is None:
                assert self._url is not None
                address = self._url.set(drivername="postgresql")
                self._pool = await asyncpg.create_pool(
                    address.render_as_string(hide_password=False),
                    min_size=0,
                    max_size=MOST_CONNECTIONS,
                    max_inactive_connection_lifetime=60,
                    timeout=CONNECTION_WITHIN_S,
                    # Views may be made anew while we run, and no statement comes twice.
                    statement_cache_size=0,
                    server_settings=SESSION,
                    init=_read_json_as_it_is,
                )
        return self._pool


class _Held:
    def __init__(self, pool: Any, connection: Any) -> None:
        self._pool, self._connection = pool, connection

    async def __aenter__(self) -> Any:
        return self._connection

    async def __aexit__(self, *exception: Sequence[Any]) -> None:
        await self._pool.release(self._connection)


async def _read_json_as_it_is(connection: Any) -> None:
    """Put GeoJSON of the database into answers without parsing it."""
    await connection.set_type_codec(
        "json", encoder=str, decoder=orjson.Fragment, schema="pg_catalog"
    )


def _refusal(error: Exception) -> Unavailable | None:
    state = getattr(error, "sqlstate", None)
    if state in NOT_SET_UP:
        log.error("ogc_not_set_up", sqlstate=state)
        return Unavailable(f"{NOT_LET_IN} Run: bailiwick doctor")
    # Class 08: connection; 57P: shutdown and crash; 53: out of resources.
    if state is None or state[:2] in ("08", "53") or state[:3] == "57P":
        return Unavailable("The database does not answer.")
    return None
