"""A body above its limit as a problem: the framework answers it in plain text."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooLarge
from app.http.problems import service_problem


class BodyLimitProblems:
    """Replaces the framework's plain 413; which limit holds is decided by each route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_replaced = False

        async def replace(message: Message) -> None:
            nonlocal is_replaced
            if _is_plain_refusal(message):
                is_replaced = True
                problem = service_problem(TooLarge("The body is larger than this address takes."))
                await problem(scope, receive, send)
            elif not is_replaced:
                await send(message)

        await self._app(scope, receive, replace)


def _is_plain_refusal(message: Message) -> bool:
    if message["type"] != "http.response.start" or message["status"] != 413:
        return False
    return Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")
