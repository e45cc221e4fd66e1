"""A real PostGIS for the whole session: the product's own private cluster, in its own folder."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

# Kernels that `make setup` has compiled; without it every test session would compile its own.
# It has to be known before numba is imported.
os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".bailiwick" / "numba-cache")
)

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import NullPool, create_engine, text

from app.db.access import Access
from app.db.cluster import Cluster
from app.db.migrate import upgrade
from app.db.session import Database
from app.db.tables import Base
from app.http.logs import configure_logs
from app.main import create_app
from app.settings import Settings
from tests.second_process import IS_WANTED, second_process, transport_to

REPOSITORY = Path(__file__).parents[1]
SHARED_DATA = Path(
    os.environ.get("BAILIWICK_SHARED_DATA", REPOSITORY.parent / "shared" / "data")
).absolute()

# For tests that change things and are about something else than versions.
ANY_VERSION = {"If-Match": "*"}

Drain = Callable[[], Awaitable[None]]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data that may not be copied into the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the data of {SHARED_DATA} (BAILIWICK_SHARED_DATA)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(home: Path) -> Iterator[Settings]:
    """Settings of a migrated, empty database; authentication is off."""
    # Compiled kernels are worth keeping between test sessions.
    cache = REPOSITORY / ".bailiwick" / "numba-cache"
    cache.mkdir(parents=True, exist_ok=True)
    (home / "numba-cache").symlink_to(cache)
    settings = Settings(home=home, auth="off", log_level="warning", log_format="console")
    configure_logs(settings)
    cluster = Cluster(home)
    cluster.up()
    access = Access.of(settings)
    upgrade(access.owner_url, access.url.username)
    yield settings
    cluster.down()


@pytest.fixture
def empty_database(settings: Settings) -> None:
    """Give a test a database without rows."""
    remove_all_rows(settings)


def remove_all_rows(settings: Settings) -> None:
    """Remove every row of ours; faster than a new database for each test."""
    engine = create_engine(Access.of(settings).owner_url, poolclass=NullPool)
    # Children first, and what the other deletions write last. TRUNCATE makes new files
    # for each table and index: half a second instead of ten milliseconds.
    names = [table.name for table in reversed(Base.metadata.sorted_tables)]
    last = ("activity_delta", "audit_event", "data_change")
    names = [*(name for name in names if name not in last), *last]
    with engine.begin() as connection:
        for (partition,) in connection.execute(
            text(
                "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'plan_cell'::regclass"
            )
        ).all():
            connection.execute(text(f"DROP TABLE {partition}"))
        connection.execute(text("SET LOCAL search_path TO public, jobs"))
        connection.execute(text("SET LOCAL bailiwick.erasing TO 'on'"))
        for name in (*names, "procrastinate_jobs"):
            connection.execute(text(f"DELETE FROM {name}"))
        connection.execute(
            text(
                "SELECT setval(oid, 1, false) FROM pg_class "
                "WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
            )
        )


@pytest.fixture
async def database(settings: Settings, empty_database: None) -> AsyncIterator[Database]:
    database = Database.of(settings)
    yield database
    await database.close()


@pytest.fixture
async def application(settings: Settings, empty_database: None) -> AsyncIterator[FastAPI]:
    application = create_app(settings)
    yield application
    await application.state.database.close()


@pytest.fixture
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the application, as the local admin."""
    transport = transport_to(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def drain(settings: Settings) -> Drain:
    """Let a worker do everything that is queued."""
    from app.worker import work

    turns = count()

    async def run() -> None:
        if IS_WANTED and next(turns) % 2 == 0:
            await asyncio.to_thread(second_process().drain, settings)
        else:
            await work(settings, once=True)

    return run
