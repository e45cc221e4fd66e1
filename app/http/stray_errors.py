"""An error that nobody expected, as a problem with everything that answers have."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.problems import unexpected_problem


class StrayErrors:
    """Turns an error into a problem within the layers that put headers on answers.

    The framework's own place for this is outside of all middleware: neither the safe headers nor
    those that let a page of another origin read the answer would be on it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def note_begin(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_begin)
        except Exception as error:
            if has_begun or scope["type"] != "http":
                raise
            await unexpected_problem(error)(scope, receive, send)
