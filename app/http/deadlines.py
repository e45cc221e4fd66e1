"""Clients that are too slow, and clients that have gone: neither holds anything for long."""

import asyncio
import time
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTooSlow
from app.settings import Settings

READING_METHODS = ("GET", "HEAD")


class ClientDeadlines:
    """Cuts off bodies that trickle in, and ends reads that nobody waits for any more."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._body_within_s = settings.body_timeout_s
        self._upload_rate = settings.min_upload_bytes_per_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] in READING_METHODS and not _has_body(scope):
            await self._while_somebody_waits(scope, receive, send)
        else:
            await self._app(scope, self._within_time(scope, receive), send)

    def _within_time(self, scope: Scope, receive: Receive) -> Receive:
        """Return a `receive` that gives up on a body that takes too long."""
        is_upload = Headers(scope=scope).get("content-type", "").startswith("multipart/form-data")
        started, received, is_complete = time.monotonic(), 0, False

        async def timed() -> Message:
            nonlocal received, is_complete
            if is_complete:
                return await receive()
            # An upload may last as long as it flows.
            allowed_s = self._body_within_s + (received / self._upload_rate if is_upload else 0)
            try:
                async with asyncio.timeout(started + allowed_s - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow(
                    f"The body did not arrive within {allowed_s:.0f} seconds."
                ) from None
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            return message

        return timed

    async def _while_somebody_waits(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a read; when its client goes away before the answer begins, stop at once."""
        gone = asyncio.Event()
        has_begun = False

        async def note_begin(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            if not has_begun:
                answering.cancel()

        is_body_given = False

        async def receive_for_app() -> Message:
            nonlocal is_body_given
            if not is_body_given:
                is_body_given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        answering = asyncio.ensure_future(self._app(scope, receive_for_app, note_begin))
        watching = asyncio.ensure_future(watch())
        try:
            await asyncio.shield(answering)
        except asyncio.CancelledError:
            if not gone.is_set():
                answering.cancel()
                with suppress(asyncio.CancelledError):
                    await answering
                raise
        finally:
            watching.cancel()


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
