"""Access tokens of an OIDC issuer: what a token says, once everything about it is verified.

PyJWT checks signature, issuer, audience and times. This module decides before that which key may
check it, and after that which role the claims stand for.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast, get_args

import jwt
from jwt.utils import base64url_decode

from app.auth.keys import ALL_SCOPES, LIMITED_ROLES
from app.auth.keyset import KeySet
from app.errors import Unauthenticated
from app.settings import Role, Settings

LONGEST_TOKEN = 8192
LEEWAY_S = 60
# Three parts in base64url, without the padding that PyJWT would let pass.
COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# RFC 9068 asks for at+jwt; Keycloak and many others write JWT; RFC 7519 lets it be absent.
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# Extensions of RFC 7515 and RFC 7797 which change what is signed; no issuer of access tokens has
# a use for them.
REFUSED_HEADERS = ("crit", "b64")
# OpenID Connect Core §2 bounds `sub`; claims end up in the audit and in queries.
LONGEST_NAME = 255
SCOPE_PREFIX = "bailiwick:"
REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is meant for another audience.",
    jwt.InvalidIssuerError: "The token comes from another issuer.",
    jwt.InvalidAlgorithmError: "The token is signed in a way that is not accepted.",
    jwt.InvalidKeyError: "The key of the token is too short to be trusted.",
    jwt.InvalidSignatureError: "The signature of the token does not hold.",
}


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says.

    `rep_external_id` is given exactly for the roles manager and rep. `scopes` holds all scopes
    when the token limits none.
    """

    subject: str
    issuer: str
    role: Role
    rep_external_id: str | None
    expires_at: datetime
    scopes: frozenset[str]

    @property
    def name(self) -> str:
        """The caller in the audit; `sub` rather than a person's name or address."""
        return f"oidc:{self.subject}"


class TokenVerifier:
    """Verifies tokens of the one issuer of the settings."""

    def __init__(self, settings: Settings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys

    @classmethod
    def of(cls, settings: Settings) -> "TokenVerifier | None":
        """Return the verifier, or nothing when no issuer is configured; fetches nothing yet."""
        if settings.oidc_issuer is None:
            return None
        return cls(settings, KeySet.of(settings, settings.oidc_issuer))

    async def close(self) -> None:
        """End connections to the issuer."""
        await self._keys.close()

    async def verify(self, token: str) -> TokenClaims:
        """Return what the token says.

        Raises
        ------
        Unauthenticated
            With the reason, when the token is not to be believed.
        Unavailable
            When no key of the issuer is known and the issuer does not answer.
        """
        try:
            header = _header(token)
            algorithm = header.get("alg")
            if algorithm not in self._settings.oidc_algorithms:
                raise jwt.InvalidAlgorithmError
            key = await self._keys.find(header.get("kid"), algorithm)
            claims = jwt.decode(
                token,
                key,
                algorithms=self._settings.oidc_algorithms,
                audience=self._settings.oidc_audience,
                issuer=self._settings.oidc_issuer,
                leeway=LEEWAY_S,
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(_reason(error)) from None
        return self._believe(claims)

    def _believe(self, claims: Mapping[str, Any]) -> TokenClaims:
        """Return the verified claims in our own words."""
        role = _role(_claim(claims, self._settings.oidc_role_claim), self._settings.oidc_roles)
        rep = None
        if role in LIMITED_ROLES:
            claim = self._settings.oidc_rep_claim
            rep = _text(_claim(claims, claim), f"The role {role} needs the claim {claim}.")
        return TokenClaims(
            subject=_text(claims["sub"], "The claim sub of the token cannot be used."),
            issuer=claims["iss"],
            role=role,
            rep_external_id=rep,
            expires_at=_expiry(claims["exp"]),
            scopes=_scopes(claims.get("scope", _joined(claims.get("scp")))),
        )


def _header(token: str) -> dict[str, Any]:
    """Return the header of a token; nothing of it is verified yet."""
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated(f"The token is longer than {LONGEST_TOKEN} characters.")
    if COMPACT_FORM.fullmatch(token) is None:
        raise Unauthenticated("This is not an access token.")
    header = jwt.get_unverified_header(token)
    # Of two members with the same name, PyJWT and a proxy before us could believe different ones.
    json.loads(base64url_decode(token.partition(".")[0]), object_pairs_hook=_refuse_twins)
    if any(name in header for name in REFUSED_HEADERS):
        raise Unauthenticated("The token asks for an extension that is not supported.")
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise Unauthenticated("The token is of a kind that gives no access (typ).")
    return header


def _refuse_twins(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) < len(members):
        raise Unauthenticated("The header of the token names a member twice.")
    return unique


def _reason(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token lacks the claim {error.claim}."
    return REASONS.get(type(error), "The token is malformed.")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by the path to it (`realm_access.roles`)."""
    # Some issuers name their claims by addresses, which hold dots.
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _role(value: Any, names: Mapping[str, Role]) -> Role:
    """Return the one role that the claim names; two roles are refused rather than ranked."""
    given = value if isinstance(value, list) else [value]
    known = names or {role: role for role in cast("tuple[Role, ...]", get_args(Role))}
    roles = {known[name] for name in given if isinstance(name, str) and name in known}
    if not roles:
        raise Unauthenticated("The token names no role of this service.")
    if len(roles) > 1:
        raise Unauthenticated("The token names more than one role of this service.")
    return roles.pop()


def _text(value: Any, refusal: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise Unauthenticated(refusal)
    return value


def _expiry(value: Any) -> datetime:
    """Return the end of a token's life; here, other than for `nbf`, there is no leeway."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unauthenticated("The claim exp of the token is no number.")
    if value <= time.time():
        raise Unauthenticated(REASONS[jwt.ExpiredSignatureError])
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unauthenticated("The claim exp of the token is no time.") from None


def _scopes(value: Any) -> frozenset[str]:
    """Return the scopes; a token that speaks of none of ours is limited by its role alone."""
    if value is None:
        return frozenset(ALL_SCOPES)
    if not isinstance(value, str):
        raise Unauthenticated("The claim scope of the token is no text.")
    named = [name for name in value.split(" ") if name.startswith(SCOPE_PREFIX)]
    ours = {name.removeprefix(SCOPE_PREFIX) for name in named}
    return frozenset(ALL_SCOPES) & ours if ours else frozenset(ALL_SCOPES)


def _joined(value: Any) -> Any:
    """Return the claim `scp`, which some issuers write as a list, in the form of `scope`."""
    is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return " ".join(value) if is_list else value
