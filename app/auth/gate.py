"""The gate of every route: who calls is known before anything else of a request is read."""

from contextlib import suppress
from datetime import UTC, datetime

from fastapi import Request
from sqlalchemy import select

from app.auth.caller import LOCAL_CALLER, Caller, scope_of
from app.auth.keys import find_key, note_use, reps_seen
from app.auth.known_callers import KnownCallers
from app.auth.tokens import TokenClaims, TokenVerifier
from app.db.session import Database
from app.db.tables import Rep
from app.errors import Forbidden, Unauthenticated, Unavailable
from app.settings import Settings

ASK = "Send a credential: Authorization: Bearer bw_… (an API key) or an access token."
KEY_MARK = "bw_"


class Gate:
    """Names the caller of a request by its credential."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._is_open = settings.auth == "off"
        self._database = database
        self._verifier = TokenVerifier.of(settings)
        self.known = KnownCallers()

    async def close(self) -> None:
        """End connections to the issuer of tokens."""
        if self._verifier is not None:
            await self._verifier.close()

    async def __call__(self, request: Request) -> Caller:
        """Return the caller of a request.

        Raises
        ------
        Unauthenticated
            Without a credential, or with one that is unknown, expired or revoked.
        Forbidden
            When a token is for a rep that is not known here.
        """
        if self._is_open:
            return LOCAL_CALLER
        credential = _credential_of(request)
        if credential is None:
            raise Unauthenticated(ASK)
        caller, is_known = self.known.find(credential)
        if not is_known:
            is_token = self._verifier is not None and not credential.startswith(KEY_MARK)
            look_up = self._by_token if is_token else self._by_key
            caller = await look_up(credential)
        if caller is None:
            raise Unauthenticated("This API key is not valid.")
        return caller

    async def _by_token(self, token: str) -> Caller:
        """Return the caller of an access token.

        Nobody tells of a token withdrawn by its issuer, so it lives as long as it says, and what it
        stands for is remembered for as long as that of a key.
        """
        assert self._verifier is not None
        state = self.known.state
        claims = await self._verifier.verify(token)
        reps = () if claims.rep_external_id is None else await self._reps_of(claims)
        caller = Caller(
            name=claims.name,
            role=claims.role,
            scope=scope_of(claims.role, reps),
            # The same subject of another issuer is another caller.
            identity=f"{claims.name}@{claims.issuer}",
            may=claims.scopes,
        )
        lasts = claims.expires_at - datetime.now(UTC)
        self.known.keep(token, caller, state, lasts.total_seconds())
        return caller

    async def _reps_of(self, claims: TokenClaims) -> tuple[int, ...]:
        by_external_id = select(Rep.id).where(Rep.external_id == claims.rep_external_id)
        async with self._database.reading_aside() as session:
            rep_id = await session.scalar(by_external_id)
            if rep_id is None:
                raise Forbidden("The token is for a rep that is not known here.")
            return await reps_seen(session, claims.role, rep_id)

    async def _by_key(self, key: str) -> Caller | None:
        state = self.known.state
        async with self._database.reading_aside() as session:
            holder = await find_key(session, key)
        if holder is None:
            self.known.keep(key, None, state)
            return None
        caller = Caller(
            name=holder.name,
            role=holder.role,
            scope=scope_of(holder.role, holder.rep_ids),
            identity=f"key:{holder.prefix}",
            may=holder.scopes,
        )
        self.known.keep(key, caller, state, holder.lasts_s)
        if holder.is_use_due:
            # A database that is full or read-only still answers readers.
            with suppress(Unavailable):
                async with self._database.writing_aside() as session:
                    await note_use(session, holder.key_id)
        return caller


def _credential_of(request: Request) -> str | None:
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        return None
    kind, _, credential = given[0].partition(" ")
    return credential.strip() if kind.lower() == "bearer" and credential.strip() else None
