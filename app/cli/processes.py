"""`bailiwick serve`, `worker`, `openapi`: the long-running processes and the API's description."""

import asyncio
from typing import Annotated

import orjson
import typer
import uvicorn

from app.auth.keys import has_valid_keys
from app.db.session import Database
from app.errors import SetupError
from app.http.connections import BoundedProtocol
from app.http.logs import configure_logs
from app.main import create_app
from app.settings import Settings, is_loopback, load_settings
from app.worker import work


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on")] = None,
) -> None:
    """Serve the API and the map page."""
    given = {"host": host, "port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logs(settings)
    if not is_loopback(settings.host):
        asyncio.run(_refuse_open_door(settings))
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        # Nothing here speaks it, and the server's own refusal is no problem document.
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
        timeout_keep_alive=15,
        limit_concurrency=settings.max_connections,
        # Who forwards may say for whom; nobody else's word is taken, not even on loopback.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )


def worker(
    once: Annotated[bool, typer.Option(help="Do what is queued, then stop")] = False,
) -> None:
    """Work off runs: imports and designs."""
    settings = load_settings()
    configure_logs(settings)
    asyncio.run(work(settings, once=once))


def openapi() -> None:
    """Print the OpenAPI document of this version."""
    typer.echo(openapi_text())


def openapi_text() -> str:
    """Return the OpenAPI document as it is committed in docs/openapi.json."""
    # The document does not depend on the database; nothing connects before the first request.
    settings = Settings(database_url="postgresql://nowhere/nothing")
    document = create_app(settings).openapi()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()


async def _refuse_open_door(settings: Settings) -> None:
    """Refuse to listen beyond loopback unless callers must show a credential someone can have."""
    if settings.auth == "off":
        raise SetupError(
            f"BAILIWICK_AUTH=off is for loopback only; {settings.host} can be reached by others."
        )
    if settings.oidc_issuer is not None:
        return
    database = Database.of(settings)
    try:
        async with database.reading() as session:
            has_keys = await has_valid_keys(session)
    finally:
        await database.close()
    if not has_keys:
        raise SetupError(
            f"There is no API key yet, so {settings.host} would answer nobody. Make one first:\n\n"
            "    bailiwick keys create NAME --role admin\n\n"
            "or name the issuer of your access tokens (BAILIWICK_OIDC_ISSUER)."
        )
