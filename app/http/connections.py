"""Connections whose request headers are bounded in size and in time.

The server's parser takes headers of any length for as long as they come; a proxy in front would
bound them, and not everybody has one.
"""

import asyncio

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import Busy
from app.http.guards import HEADERS
from app.http.problems import service_problem

LARGEST_HEAD_BYTES = 2**16
HEAD_WITHIN_S = 20.0


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request of one connection too many."""
    problem = service_problem(Busy("The service has as many connections as it takes."))
    problem.headers.update({**HEADERS, "Connection": "close"})
    await problem(scope, receive, send)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it; endless heads and unwanted bodies end the connection."""

    _is_in_head = True
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_in_head:
            self._head_bytes += len(data)
            self._start_timer()
        super().data_received(data)
        # The piece that completed a head may hold much of a body; what is still a head may not.
        if self._is_in_head and self._head_bytes > LARGEST_HEAD_BYTES:
            self.send_400_response("Request headers are too large.")

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are no headers: kept, they would change a request that was let in already.
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_timer()
        app, most = self.app, self.limit_concurrency
        if most is not None and max(len(self.connections), len(self.tasks)) >= most:
            # The server's own refusal is no problem document, nor does it say when to come again.
            self.app, self.limit_concurrency = _refuse, None
        try:
            super().on_headers_complete()
        finally:
            self.app, self.limit_concurrency = app, most

    def on_message_complete(self) -> None:
        self._stop_timer()
        super().on_message_complete()
        self._is_in_head, self._head_bytes = True, 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_in_head:
            # What still comes of this body is for nobody; no other clock ends the waiting for it.
            self._start_timer()

    def _start_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
