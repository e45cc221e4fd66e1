"""Pools of connections to the database, and whether a connection at rest is still one.

Asking each connection for a sign of life costs a round trip for every request. A server that ends a
session says so first, and its end of the socket closes: whoever looks there sees it without asking.
"""

import select
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

APPLICATION = "bailiwick"
SEARCH_PATH = "public,jobs"
# A process that froze in the middle of a transaction is cut off after this. What it has written is
# in others' way, so writers are given less; one that must think in between says so itself.
IDLE_TRANSACTION_S = 60
# How long a statement waits for somebody else's lock.
LOCK_TIMEOUT_MS = 10_000


def make_engine(
    url: URL, pool_size: int, pool_timeout_s: float, statement_timeout_s: float | None
) -> AsyncEngine:
    """Return an engine whose pool gives out connections that live; opens none yet."""
    timeout_ms = int((statement_timeout_s or 0) * 1000)
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        # The one that was used last: it knows most statements already.
        pool_use_lifo=True,
        # Errors are logged, and bound values are names and places of people.
        hide_parameters=True,
        connect_args={
            "options": f"-c search_path={SEARCH_PATH} -c statement_timeout={timeout_ms} "
            f"-c lock_timeout={LOCK_TIMEOUT_MS} -c timezone=UTC -c jit=off "
            f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_S * 1000} "
            "-c max_parallel_workers_per_gather=0",
            "connect_timeout": 5,
            "application_name": APPLICATION,
        },
    )
    dialect = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkout")
    def refuse_the_dead(connection: Any, _record: Any, _proxy: Any) -> None:
        if _has_news(connection.driver_connection) and not _answers(dialect, connection):
            # The others are of the same server, and as old.
            raise InvalidatePoolError

    return engine


def _has_news(connection: Any) -> bool:
    """Tell whether the server said something, or hung up, while nothing was asked of it."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _answers(dialect: Any, connection: Any) -> bool:
    try:
        return bool(dialect.do_ping(connection))
    except dialect.loaded_dbapi.Error:
        return False
