"""A second API and worker process, which shares the database of the tests and nothing else.

With `TEST_PROCESSES=2` (`make test-two`) every other request of a test's client goes
there, and every other time the queue is emptied it is emptied there: what one process keeps to
itself shows as a failure of the ordinary tests.
"""

import asyncio
import multiprocessing
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import URL
from starlette.types import Receive, Scope, Send

from app.db.access import Access
from app.http.logs import configure_logs
from app.main import create_app
from app.settings import Settings
from app.worker import work

IS_WANTED = os.environ.get("TEST_PROCESSES") == "2"
WHICH = b"x-test-application"
ANSWERED_WITHIN_S = 600.0
MOST_KEPT = 4


def transport_to(application: FastAPI) -> httpx.AsyncBaseTransport:
    """Return the way to an application; to another process in turn, where two are wanted."""
    here = httpx.ASGITransport(application, raise_app_exceptions=False)
    return Alternating(here, application.state.settings) if IS_WANTED else here


class Alternating(httpx.AsyncBaseTransport):
    """Sends every other request to an application of the same settings in the second process."""

    def __init__(self, here: httpx.ASGITransport, settings: Settings) -> None:
        self._here = here
        self._settings = settings
        self._there = httpx.AsyncHTTPTransport()
        self._which = b""
        # Requests at once are to one application: others would push it out.
        self._making = asyncio.Lock()
        self._n_asked = count()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if next(self._n_asked) % 2 == 0:
            return await self._here.handle_async_request(request)
        other = second_process()
        async with self._making:
            if not self._which:
                self._which = str(await asyncio.to_thread(other.serve, self._settings)).encode()
        headers = [*request.headers.raw, (WHICH, self._which)]
        there = request.url.copy_with(scheme="http", host="127.0.0.1", port=other.port)
        sent = httpx.Request(request.method, there, headers=headers, stream=request.stream)
        answer = await self._there.handle_async_request(sent)
        # As the transport within this process does: whole, so that leaving early is no fault.
        await answer.aread()
        return answer

    async def aclose(self) -> None:
        await self._there.aclose()


class SecondProcess:
    """The other process, seen from the tests; one command at a time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._commands, theirs = context.Pipe()
        # It ends with the tests, however those end.
        context.Process(target=_main, args=(theirs,), daemon=True).start()
        self._turn = threading.Lock()
        self.port: int = self._answer()

    def serve(self, settings: Settings) -> int:
        """Make an application there; return its number."""
        return int(self._ask("serve", settings))

    def drain(self, settings: Settings) -> None:
        """Do there everything that is queued."""
        self._ask("drain", settings)

    def _ask(self, *command: Any) -> Any:
        with self._turn:
            self._commands.send(command)
            return self._answer()

    def _answer(self) -> Any:
        assert self._commands.poll(ANSWERED_WITHIN_S), "the second process does not answer"
        answer = self._commands.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


@cache
def second_process() -> SecondProcess:
    """Return the second process of this one, started when it is first needed."""
    return SecondProcess()


class _Applications:
    """Serves whichever of its applications a request names; a test has few, and old ones go."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._made: dict[int, FastAPI] = {}
        self._numbers = count()

    def add(self, settings: Settings) -> int:
        while len(self._made) >= MOST_KEPT:
            oldest = self._made.pop(min(self._made))
            asyncio.run_coroutine_threadsafe(self._close(oldest), self._loop).result()
        number = next(self._numbers)
        self._made[number] = create_app(settings)
        return number

    async def _close(self, application: FastAPI) -> None:
        await application.state.gate.close()
        await application.state.ogc.close()
        await application.state.database.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = scope["headers"]
        which = next(value for name, value in headers if name == WHICH)
        scope["headers"] = [pair for pair in headers if pair[0] != WHICH]
        await self._made[int(which)](scope, receive, send)


def _main(commands: Connection) -> None:
    """Serve and obey until the tests are gone."""
    listening = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    applications = _Applications(loop)
    # Without headers of its own: tests compare those of one answer with those of another.
    config = uvicorn.Config(
        applications, log_config=None, lifespan="off", server_header=False, date_header=False
    )
    server = uvicorn.Server(config)
    home = Path(tempfile.mkdtemp(prefix="bailiwick-second-"))

    def obey(what: str, settings: Settings) -> object:
        do: Callable[[Settings], object] = {"serve": applications.add, "drain": _drain}[what]
        return do(_elsewhere(settings, home))

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(server.serve([listening]))

    threading.Thread(target=run, daemon=True).start()
    commands.send(listening.getsockname()[1])
    while True:
        try:
            command = commands.recv()
        except EOFError:
            return
        try:
            commands.send(obey(*command))
        except Exception as error:
            commands.send(error)


def _elsewhere(settings: Settings, home: Path) -> Settings:
    """Return settings for a process on another machine: the database is all it knows of."""
    access = Access.of(settings)
    configure_logs(settings)
    return settings.model_copy(
        update={
            "home": home,
            "database_url": _revealed(access.url),
            "owner_database_url": _revealed(access.owner_url),
            "ogc_database_url": None if access.ogc_url is None else _revealed(access.ogc_url),
        }
    )


def _revealed(url: URL) -> SecretStr:
    return SecretStr(url.render_as_string(hide_password=False))


def _drain(settings: Settings) -> None:
    asyncio.run(work(settings, once=True))
