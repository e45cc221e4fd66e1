"""API keys: `bw_<prefix>_<secret>`; only the SHA-256 of the secret is stored."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import func, or_, select, text, update

from app.db.session import AnySession, ReadSession, WriteSession
from app.db.tables import ApiKey
from app.errors import NotFound

REPS_BELOW = text("""
    -- A rep and everyone below them; UNION, not UNION ALL, ends a circle of managers.
    WITH RECURSIVE team(id) AS (
        SELECT CAST(:rep_id AS bigint)
        UNION
        SELECT rep.id FROM rep JOIN team ON rep.manager_id = team.id
    )
    SELECT id FROM team
""")


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """What a valid key stands for."""

    name: str
    role: Literal["admin", "planner", "manager", "rep", "viewer"]
    rep_ids: tuple[int, ...]


async def create_key(
    session: WriteSession,
    name: str,
    role: str,
    rep_id: int | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Store a new key and return it; this is the only time it can be seen."""
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    session.add(
        ApiKey(
            name=name,
            prefix=prefix,
            sha256=_digest(secret),
            role=role,
            rep_id=rep_id,
            expires_at=expires_at,
        )
    )
    await session.flush()
    return f"bw_{prefix}_{secret}"


async def find_key(session: ReadSession, key: str) -> KeyHolder | None:
    """Return the holder of a key that is valid now."""
    kind, _, rest = key.partition("_")
    prefix, _, secret = rest.partition("_")
    # Prefixes of ours are hexadecimal; PostgreSQL could not even look for some other texts.
    if kind != "bw" or not prefix.isalnum() or not secret:
        return None
    row = await session.scalar(select(ApiKey).where(ApiKey.prefix == prefix, _is_valid()))
    if row is None or not hmac.compare_digest(row.sha256, _digest(secret)):
        return None
    role = cast(Any, row.role)
    if role == "manager":
        below = await session.scalars(REPS_BELOW, {"rep_id": row.rep_id})
        return KeyHolder(row.name, role, tuple(below))
    return KeyHolder(row.name, role, () if row.rep_id is None else (row.rep_id,))


async def list_keys(session: AnySession) -> list[ApiKey]:
    """Return all keys, without their secrets."""
    return list(await session.scalars(select(ApiKey).order_by(ApiKey.id)))


async def revoke_key(session: WriteSession, prefix: str) -> None:
    """Make a key invalid from now on.

    Raises
    ------
    NotFound
        When there is no such key.
    """
    done = await session.execute(
        update(ApiKey)
        .where(ApiKey.prefix == prefix)
        .values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
        .returning(ApiKey.id)
    )
    if done.first() is None:
        raise NotFound(f"There is no API key with the prefix {prefix}.")


async def has_valid_keys(session: AnySession) -> bool:
    """Tell whether anyone could authenticate at all."""
    return await session.scalar(select(ApiKey.id).where(_is_valid()).limit(1)) is not None


def _is_valid() -> Any:
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    return ApiKey.revoked_at.is_(None) & unexpired


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
