"""The public keys of the issuer: fetched when needed, kept when the issuer is away.

Only addresses from the settings, or from the issuer's own discovery document, are ever fetched;
nothing that a token says leads to another one.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import orjson
import structlog

from app.errors import Unauthenticated, Unavailable
from app.settings import Settings, secure_address

log = structlog.get_logger()

LARGEST_ANSWER = 256 * 1024
ANSWER_WITHIN_S = 5.0
# Without any key nobody can enter, so the issuer is asked again sooner than after a cool-down.
RETRY_WITHOUT_KEYS_S = 2.0
RSA_SIGNATURES = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
CURVE_SIGNATURES = {
    "EC P-256": "ES256",
    "EC P-384": "ES384",
    "EC P-521": "ES512",
    "OKP Ed25519": "EdDSA",
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key for each way it may be used: what a token says cannot make it used in another."""

    kid: str | None
    by_algorithm: Mapping[str, jwt.PyJWK]


class IssuerTrouble(Exception):
    """The issuer answered nothing that can be used; the text says why."""


class KeySet:
    """The signing keys of one issuer, for the algorithms that are accepted."""

    def __init__(self, settings: Settings, issuer: str, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._issuer = issuer
        self._client = client
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._refreshing: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, settings: Settings, issuer: str) -> "KeySet":
        """Return an empty key set; the first token fetches the keys."""
        client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=ANSWER_WITHIN_S,
            # Proxies of the environment are for the issuer outside, not for one on loopback.
            trust_env=issuer.startswith("https:"),
            # Raw bytes are counted, so that a small answer cannot unpack into a large one.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        return cls(settings, issuer, client)

    async def close(self) -> None:
        """End a fetch under way and the connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        await self._client.aclose()

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the key that may check a token.

        Raises
        ------
        Unauthenticated
            When the issuer has no such key for this algorithm.
        Unavailable
            When no key at all is known and the issuer does not answer.
        """
        await self._keep_fresh()
        if not self._keys:
            raise Unavailable("The issuer of access tokens does not answer.")
        named = self._named(kid)
        if not named and kid is not None:
            # It may be newer than our keys.
            await self._refresh(self._settings.oidc_refresh_cooldown_s)
            named = self._named(kid)
        if not named:
            raise Unauthenticated("The token is signed with a key that the issuer does not have.")
        for key in named:
            if algorithm in key.by_algorithm:
                return key.by_algorithm[algorithm]
        raise Unauthenticated("The key of the token is for another kind of signature.")

    def _named(self, kid: str | None) -> tuple[SigningKey, ...]:
        if kid is None:
            # OpenID Connect Core §10.1: a token names its key unless the issuer has only one.
            return self._keys if len(self._keys) == 1 else ()
        return tuple(key for key in self._keys if key.kid == kid)

    async def _keep_fresh(self) -> None:
        cooldown_s = self._settings.oidc_refresh_cooldown_s
        if not self._keys:
            await self._refresh(min(cooldown_s, RETRY_WITHOUT_KEYS_S))
        elif time.monotonic() - self._fetched_at > self._settings.oidc_key_lifetime_s:
            # After a failure nobody waits for the issuer, and the old keys serve.
            has_failed = self._tried_at > self._fetched_at
            await self._refresh(cooldown_s, waits=not has_failed)

    async def _refresh(self, cooldown_s: float, waits: bool = True) -> None:
        """Fetch the keys, at most once per cool-down; whoever comes meanwhile joins."""
        if self._refreshing is None or self._refreshing.done():
            if time.monotonic() - self._tried_at < cooldown_s:
                return
            self._tried_at = time.monotonic()
            self._refreshing = asyncio.create_task(self._fetch_and_keep())
        if waits:
            # A caller who goes away must not end the fetch that others wait for.
            await asyncio.shield(self._refreshing)

    async def _fetch_and_keep(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                self._keys = await self._fetch()
        except (IssuerTrouble, httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            log.warning("signing_keys_not_refreshed", reason=reason, kept=len(self._keys))
        else:
            self._fetched_at = time.monotonic()
            log.info("signing_keys_refreshed", count=len(self._keys))

    async def _fetch(self) -> tuple[SigningKey, ...]:
        address = self._settings.oidc_jwks_url or await self._discover()
        document = await self._get(address)
        listed = document.get("keys")
        if not isinstance(listed, list):
            raise IssuerTrouble("the key set has no list of keys")
        keys = tuple(
            SigningKey(entry.get("kid"), usable)
            for entry in listed
            if (usable := _usable(entry, self._settings.oidc_algorithms))
        )
        if not keys:
            raise IssuerTrouble("the key set has no key for the algorithms that are accepted")
        return keys

    async def _discover(self) -> str:
        """Return where the keys are (OpenID Connect Discovery 1.0 §4)."""
        place = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        document = await self._get(place)
        if document.get("issuer") != self._issuer:
            raise IssuerTrouble("the discovery document is of another issuer")
        address = document.get("jwks_uri")
        if not isinstance(address, str):
            raise IssuerTrouble("the discovery document names no jwks_uri")
        try:
            secure_address(address)
        except ValueError as error:
            raise IssuerTrouble(f"jwks_uri {error}") from None
        if self._issuer.startswith("https:") and not address.startswith("https:"):
            raise IssuerTrouble("jwks_uri must begin with https://")
        return address

    async def _get(self, address: str) -> dict[str, Any]:
        """Return a JSON object from the issuer."""
        async with self._client.stream("GET", address) as answer:
            if answer.status_code != httpx.codes.OK:
                raise IssuerTrouble(f"status {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > LARGEST_ANSWER:
                    raise IssuerTrouble(f"an answer over {LARGEST_ANSWER} bytes")
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise IssuerTrouble("an answer that is not JSON") from None
        if not isinstance(document, dict):
            raise IssuerTrouble("an answer that is no JSON object")
        return document


def _usable(entry: Any, accepted: tuple[str, ...]) -> dict[str, jwt.PyJWK]:
    """Return the key of one entry for each algorithm it may be used with; none of it if odd."""
    # A secret or private key in a published list is a mistake, and no longer anybody's alone.
    if not isinstance(entry, dict) or "d" in entry or "k" in entry:
        return {}
    if not isinstance(entry.get("kid"), str | None):
        return {}
    uses = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return {}
    kind = entry.get("kty")
    curve = CURVE_SIGNATURES.get(f"{kind} {entry.get('crv')}")
    fits = RSA_SIGNATURES if kind == "RSA" else {curve}
    usable = {}
    for name in accepted:
        if name in fits and entry.get("alg", name) == name:
            try:
                usable[name] = jwt.PyJWK(entry, algorithm=name)
            except jwt.PyJWTError:
                return {}
    return usable
