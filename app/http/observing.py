"""A request id, one structured log line and one count per request.

The line holds the route's template, never the path or the query: those can hold names and places.
"""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.request_metrics import RequestMetrics

log = structlog.get_logger()
# What a caller may give as an id: nothing that could forge a log line or be long.
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class ObservingMiddleware:
    """Outermost layer: names the request, counts it and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        metrics: RequestMetrics = scope["app"].state.metrics
        started, status = time.perf_counter(), 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            metrics.in_flight.inc()
            try:
                await self._app(scope, receive, note_status)
            finally:
                seconds = time.perf_counter() - started
                route = getattr(scope.get("route"), "path_format", None)
                metrics.in_flight.dec()
                metrics.note(scope["method"], route, status, seconds)
                log.info(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status,
                    duration_ms=round(seconds * 1000, 1),
                )


def _request_id(given: str | None) -> str:
    if given and ACCEPTABLE_ID.fullmatch(given):
        return given
    return secrets.token_hex(8)
