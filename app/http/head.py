"""HEAD on every address that takes GET: the same answer without its body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_BODY: Message = {"type": "http.response.body", "body": b"", "more_body": False}


class HeadAsGet:
    """Lets everything within see a GET, and ends the answer with its headers.

    So who may call, ETags and limits are those of GET without any route saying so. What is asked
    costs the same, for its length and its ETag are those of the body. An answer that is followed
    as it grows ends like one whose client has gone away: servers say so once the answer is over.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send(NO_BODY)

        # Parts are of GET alone (RFC 9110, 14.2).
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        asked: Scope = {**scope, "method": "GET", "headers": headers}
        try:
            await self._app(asked, receive, send_head)
        finally:
            # For the log and the counters.
            scope["route"] = asked.get("route")
