"""API keys over HTTP; for admins."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Response

from app.api_keys.schemas import ApiKeyView, MadeApiKey, NewApiKey, Rotation
from app.auth import (
    Admin,
    Reading,
    SecretWriting,
    Writing,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from app.auth.keys import get_key
from app.db.session import WriteSession
from app.http.paging import Page, PagingParameters
from app.http.routing import router

routes = router("api keys")

Prefix = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="The part after bw_")]
ROTATION = Rotation()


@routes.post("/api-keys", status_code=201)
async def create_api_key(
    body: NewApiKey, session: SecretWriting, caller: Admin, response: Response
) -> MadeApiKey:
    """Make a key; the answer shows it, and nothing does afterwards."""
    expires_at = None if body.days is None else datetime.now(UTC) + timedelta(days=body.days)
    key = await create_key(session, body.name, body.role, body.rep_id, expires_at, body.scopes)
    return await _made(session, key, response)


@routes.get("/api-keys")
async def list_api_keys(
    session: Reading, caller: Admin, page: PagingParameters
) -> Page[ApiKeyView]:
    """List the keys, without their secrets."""
    found = await list_keys(session, page.after, page.limit + 1)
    items = [ApiKeyView.of(key) for key in found[: page.limit]]
    return Page(items=items, links=page.links([key.id for key in found]))


@routes.get("/api-keys/{prefix}")
async def get_api_key(prefix: Prefix, session: Reading, caller: Admin) -> ApiKeyView:
    """Return one key, without its secret."""
    return ApiKeyView.of(await get_key(session, prefix))


@routes.post("/api-keys/{prefix}:rotate", status_code=201)
async def rotate_api_key(
    prefix: Prefix,
    session: SecretWriting,
    caller: Admin,
    response: Response,
    body: Rotation = ROTATION,
) -> MadeApiKey:
    """Replace a key by a new one for the same caller; the old one ends after the overlap."""
    key = await rotate_key(session, prefix, timedelta(seconds=body.overlap_s))
    return await _made(session, key, response)


@routes.delete("/api-keys/{prefix}", status_code=204)
async def revoke_api_key(prefix: Prefix, session: Writing, caller: Admin) -> None:
    """Make a key invalid at once, in every process; it stays in the list."""
    await revoke_key(session, prefix)


async def _made(session: WriteSession, key: str, response: Response) -> MadeApiKey:
    view = ApiKeyView.of(await get_key(session, key.split("_")[1]))
    response.headers["Location"] = f"/v1/api-keys/{view.prefix}"
    return MadeApiKey(key=key, api_key=view)
