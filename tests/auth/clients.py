"""Clients that call with keys of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from app.auth import create_key
from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from tests.second_process import transport_to

ClientAs = Callable[..., Awaitable[httpx.AsyncClient]]


@asynccontextmanager
async def clients_of(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    """Give a function that makes a client with a new key of the role asked for."""
    application = create_app(settings.model_copy(update={"auth": "on"}))
    async with AsyncExitStack() as stack:

        async def make(
            role: str | None, rep_id: int | None = None, **more: object
        ) -> httpx.AsyncClient:
            headers = {}
            if role is not None:
                async with database.writing() as session:
                    key = await create_key(session, f"a {role}", role, rep_id, **more)  # type: ignore[arg-type]
                headers = {"Authorization": f"Bearer {key}"}
            transport = transport_to(application)
            return await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
            )

        yield make
    await application.state.ogc.close()
    await application.state.database.close()
