"""API keys: `bw_<prefix>_<secret>`; only the SHA-256 of the secret is stored."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from psycopg.errors import ForeignKeyViolation
from sqlalchemy import Double, extract, func, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from app.db.session import AnySession, ReadSession, WriteSession
from app.db.tables import ApiKey
from app.errors import Conflict, Fault, InvalidInput, NotFound
from app.settings import Role

KeyScope = Literal["read", "write", "metrics"]

LIMITED_ROLES = ("manager", "rep")
ALL_SCOPES: tuple[KeyScope, ...] = ("read", "write", "metrics")
# Last use is known to the minute, so that a busy key is not written for each request.
USE_NOTED_EVERY_S = 60

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
    """What a valid key stands for; `lasts_s` until it expires, `unused_s` since its last use."""

    key_id: int
    prefix: str
    name: str
    role: Role
    rep_ids: tuple[int, ...]
    scopes: frozenset[str]
    lasts_s: float | None
    unused_s: float | None

    @property
    def is_use_due(self) -> bool:
        """Whether its last use should be written down again."""
        return self.unused_s is None or self.unused_s >= USE_NOTED_EVERY_S


async def create_key(
    session: WriteSession,
    name: str,
    role: str,
    rep_id: int | None = None,
    expires_at: datetime | None = None,
    scopes: Sequence[str] = ALL_SCOPES,
) -> str:
    """Store a new key and return it; this is the only time it can be seen."""
    key = ApiKey(
        name=name, role=role, rep_id=rep_id, expires_at=expires_at, scopes=sorted(set(scopes))
    )
    return await _store(session, key)


async def rotate_key(session: WriteSession, prefix: str, overlap: timedelta) -> str:
    """Make a key that replaces another and return it; the old one works for `overlap` still.

    The new key lives as long as the old one was made to live.

    Raises
    ------
    NotFound
        When there is no such key.
    Conflict
        When it is not valid any more.
    """
    old = await session.scalar(select(ApiKey).where(ApiKey.prefix == prefix).with_for_update())
    if old is None:
        raise NotFound(f"There is no API key with the prefix {prefix}.")
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Conflict(f"The key {prefix} is not valid any more: make a new one.")
    lifetime = None if old.expires_at is None else old.expires_at - old.created_at
    key = ApiKey(
        name=old.name, role=old.role, rep_id=old.rep_id, scopes=old.scopes,
        expires_at=None if lifetime is None else now + lifetime, rotated_from_id=old.id,
    )  # fmt: skip
    secret = await _store(session, key)
    ends = now + overlap
    old.expires_at = ends if old.expires_at is None else min(old.expires_at, ends)
    await session.flush()
    return secret


async def find_key(session: ReadSession, key: str) -> KeyHolder | None:
    """Return the holder of a key that is valid now."""
    kind, _, rest = key.partition("_")
    prefix, _, secret = rest.partition("_")
    # Prefixes of ours are hexadecimal; PostgreSQL could not even look for some other texts.
    if kind != "bw" or not prefix.isalnum() or not secret:
        return None
    lasts = extract("epoch", ApiKey.expires_at - func.now()).cast(Double)
    unused = extract("epoch", func.now() - ApiKey.last_used_at).cast(Double)
    found = await session.execute(
        select(ApiKey, lasts.label("lasts_s"), unused.label("unused_s")).where(
            ApiKey.prefix == prefix, _is_valid()
        )
    )
    row = found.one_or_none()
    if row is None or not hmac.compare_digest(row.ApiKey.sha256, _digest(secret)):
        return None
    stored: ApiKey = row.ApiKey
    return KeyHolder(
        key_id=stored.id,
        prefix=stored.prefix,
        name=stored.name,
        role=cast(Role, stored.role),
        rep_ids=await reps_seen(session, stored.role, stored.rep_id),
        scopes=frozenset(stored.scopes),
        lasts_s=row.lasts_s,
        unused_s=row.unused_s,
    )


async def reps_seen(session: AnySession, role: str, rep_id: int | None) -> tuple[int, ...]:
    """Return the reps whose territories a caller of this role sees: a manager's whole team."""
    if role == "manager":
        return tuple(await session.scalars(REPS_BELOW, {"rep_id": rep_id}))
    return () if rep_id is None else (rep_id,)


async def note_use(session: WriteSession, key_id: int) -> None:
    """Write down that a key is in use."""
    await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))


async def list_keys(session: AnySession, after: int = 0, limit: int | None = None) -> list[ApiKey]:
    """Return keys in the order they were made, without their secrets."""
    statement = select(ApiKey).where(ApiKey.id > after).order_by(ApiKey.id).limit(limit)
    return list(await session.scalars(statement))


async def get_key(session: AnySession, prefix: str) -> ApiKey:
    """Return one key, without its secret.

    Raises
    ------
    NotFound
        When there is no such key.
    """
    found = await session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))
    if found is None:
        raise NotFound(f"There is no API key with the prefix {prefix}.")
    return found


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


async def _store(session: WriteSession, key: ApiKey) -> str:
    secret = secrets.token_urlsafe(32)
    key.prefix, key.sha256 = secrets.token_hex(6), _digest(secret)
    try:
        async with session.begin_nested():
            session.add(key)
            await session.flush()
    except IntegrityError as error:
        if not isinstance(error.orig, ForeignKeyViolation):
            raise
        fault = Fault("unknown", "there is no such rep", "/rep_id")
        raise InvalidInput(f"There is no rep {key.rep_id}.", [fault]) from None
    return f"bw_{key.prefix}_{secret}"


def _is_valid() -> Any:
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    return ApiKey.revoked_at.is_(None) & unexpired


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
