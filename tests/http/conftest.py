"""Applications that are ill in some way, and the log lines they write."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.http.logs import configure_logs
from app.http.routing import router
from app.main import create_app
from app.settings import Settings

ClientOf = Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]
LogLines = Callable[[], list[dict[str, Any]]]


@asynccontextmanager
async def client_of(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await application.state.database.close()


@pytest.fixture
async def plain(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application where it does not matter what the database holds."""
    # Without the map page, which takes every address that nobody else has taken before.
    application = create_app(settings.model_copy(update={"web_folder": Path("/nonexistent")}))
    routes = router("test", prefix="/test")

    @routes.get("/failing/{name}")
    async def fail(name: str, secret: str = "") -> None:
        raise RuntimeError(f"the password is hunter2, asked by {name}")

    application.include_router(routes)
    async with client_of(application) as client:
        yield client


@pytest.fixture
async def cut_off() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose database is away."""
    settings = Settings(
        home=Path("/nonexistent"),
        database_url="postgresql://bailiwick@/none?host=/nonexistent",
        auth="off",
    )
    async with client_of(create_app(settings)) as client:
        yield client


@pytest.fixture
def log_lines(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Iterator[LogLines]:
    """What the service has logged since the last call, a dictionary per line."""
    handlers, level = logging.root.handlers[:], logging.root.level
    capsys.readouterr()
    configure_logs(settings.model_copy(update={"log_level": "info", "log_format": "json"}))

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield read
    configure_logs(settings)
    logging.root.handlers, logging.root.level = handlers, level
