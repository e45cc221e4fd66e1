"""Is it alive, is it ready, which version is it."""

import asyncio
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app import __version__
from app.db.migrate import newest_revision
from app.errors import Unavailable
from app.http.dependencies import AppDatabase
from app.http.routing import router

routes = router("service", prefix="", is_open=True)
READY_WITHIN_S = 1.0


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The process can do its work."""

    status: Literal["ready"] = "ready"
    revision: str


class Version(BaseModel):
    """What runs here."""

    name: Literal["bailiwick"] = "bailiwick"
    version: str


@routes.get("/livez")
async def livez() -> Alive:
    """Tell whether the process answers; touches nothing else."""
    return Alive()


@routes.get("/readyz")
async def readyz(database: AppDatabase) -> Ready:
    """Tell whether the database answers and has the tables this version expects."""
    try:
        async with asyncio.timeout(READY_WITHIN_S), database.reading() as session:
            revision = await session.scalar(text("SELECT version_num FROM alembic_version"))
    except TimeoutError:
        raise Unavailable("The database does not answer within a second.") from None
    except ProgrammingError:
        revision = None  # A database without any of our tables.
    if revision != newest_revision():
        raise Unavailable(
            f"The database is at revision {revision}, this version expects {newest_revision()}: "
            "run `bailiwick db upgrade`."
        )
    return Ready(revision=revision)


@routes.get("/version")
async def version() -> Version:
    """Return the version of the service."""
    return Version(version=__version__)
