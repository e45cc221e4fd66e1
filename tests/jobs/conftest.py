"""Runs, and workers made of as little as they need."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from procrastinate import App
from sqlalchemy import text

from app.db.access import Access
from app.db.session import Database
from app.db.tables import Layer, Run
from app.jobs.queue import enqueue, make_queue
from app.settings import Settings

Enqueue = Callable[..., Awaitable[int]]


@pytest.fixture
def enqueued(database: Database) -> Enqueue:
    """Put a run into the queue and commit; return its id."""

    async def put(kind: str = "test", **members: Any) -> int:
        async with database.writing() as session:
            run = await enqueue(session, kind, {"a": 1}, "me", **members)
            return run.id

    return put


@pytest.fixture
async def layer_id(database: Database) -> int:
    async with database.writing() as session:
        layer = Layer(name="all", title="All")
        session.add(layer)
        await session.flush()
        return layer.id


@pytest.fixture
async def queue(settings: Settings, database: Database) -> AsyncIterator[App]:
    """The queue, opened."""
    queue = make_queue(Access.of(settings).conninfo)
    async with queue.open_async():
        yield queue


async def run_of(database: Database, run_id: int) -> Run:
    """Return a run as it is now."""
    async with database.reading() as session:
        return await session.get_one(Run, run_id)


async def jobs_of(database: Database, run_id: int) -> int:
    """Return how many jobs wait for a run."""
    async with database.reading() as session:
        count = await session.scalar(
            text(
                "SELECT count(*) FROM procrastinate_jobs "
                "WHERE status = 'todo' AND (args ->> 'run_id')::bigint = :run_id"
            ),
            {"run_id": run_id},
        )
        return int(count or 0)
