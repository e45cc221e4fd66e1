"""Which access tokens open the door, and as whom; every other token is refused with a reason."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.auth.keys import ALL_SCOPES
from app.auth.tokens import TokenVerifier
from app.errors import Unauthenticated
from app.settings import Settings
from tests.auth.forgeries import FORGERIES
from tests.auth.issuer import AUDIENCE, Issuer, KeyPair, encoded, running_issuer, sign


async def _refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token)
    return refused.value.detail


# Good tokens


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_token_of_the_issuer_says_who_calls(
    issuer: Issuer, verifier: TokenVerifier, algorithm: str
) -> None:
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)

    claims = await verifier.verify(
        issuer.mint("planner", key=issuer.key(algorithm), sub="u-17", exp=expires.timestamp())
    )

    assert (claims.subject, claims.issuer, claims.role) == ("u-17", issuer.url, "planner")
    assert (claims.expires_at, claims.rep_external_id) == (expires, None)
    assert claims.name == "oidc:u-17"


@pytest.mark.parametrize("role", ["admin", "planner", "viewer"])
async def test_the_rep_of_an_unlimited_role_is_not_asked_for(
    issuer: Issuer, verifier: TokenVerifier, role: str
) -> None:
    assert (await verifier.verify(issuer.mint(role))).role == role


@pytest.mark.parametrize("role", ["manager", "rep"])
async def test_a_limited_role_comes_with_its_rep(
    issuer: Issuer, verifier: TokenVerifier, role: str
) -> None:
    claims = await verifier.verify(issuer.mint(role, bailiwick_rep="华东-01"))

    assert (claims.role, claims.rep_external_id) == (role, "华东-01")


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT", None])
async def test_the_usual_kinds_of_token_are_accepted(
    issuer: Issuer, verifier: TokenVerifier, kind: str | None
) -> None:
    assert await verifier.verify(issuer.mint(header={"typ": kind}))


async def test_a_clock_that_is_a_little_ahead_is_forgiven(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    soon = int(time.time()) + 50

    assert await verifier.verify(issuer.mint(nbf=soon, iat=soon))


async def test_one_audience_of_several_may_be_ours(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert await verifier.verify(issuer.mint(aud=["billing", AUDIENCE]))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (None, set(ALL_SCOPES)),
        ("openid profile", set(ALL_SCOPES)),
        ("openid bailiwick:read", {"read"}),
        ("bailiwick:read bailiwick:write", {"read", "write"}),
        ("bailiwick:everything", set()),
        ("bailiwick:reader", set()),
    ],
)
async def test_scopes_of_ours_limit_a_token(
    issuer: Issuer, verifier: TokenVerifier, scope: str | None, expected: set[str]
) -> None:
    assert (await verifier.verify(issuer.mint(scope=scope))).scopes == expected


async def test_headers_that_offer_a_key_are_ignored_in_a_genuine_token(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    offer = {"jku": "http://127.0.0.1:9/keys", "jwk": KeyPair.ec().published(), "x5c": ["AA"]}

    assert await verifier.verify(issuer.mint(header=offer))


# Forgeries


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_token_is_refused_with_its_reason(
    issuer: Issuer, verifier: TokenVerifier, name: str
) -> None:
    reason, forge = FORGERIES[name]

    assert reason in await _refusal(verifier, forge(issuer))


@pytest.mark.parametrize("kid", ["issuer's", "attacker's"])
@pytest.mark.parametrize("offer", ["jku", "x5u", "jwk", "x5c"])
async def test_a_token_that_brings_its_own_key_is_refused_and_fetches_nothing(
    issuer: Issuer, verifier: TokenVerifier, offer: str, kid: str
) -> None:
    with running_issuer() as attacker:
        key = attacker.key()
        offers = {
            "jku": f"{attacker.url}/keys",
            "x5u": f"{attacker.url}/certificate",
            "jwk": key.published(),
            "x5c": [encoded(b"certificate")],
        }
        names = {"issuer's": issuer.key().kid, "attacker's": key.kid}
        header = {offer: offers[offer], "kid": names[kid]}

        await _refusal(verifier, issuer.mint("admin", key=key, header=header))

        assert not attacker.hits


async def test_no_refusal_repeats_what_the_token_says(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    for _, forge in FORGERIES.values():
        detail = await _refusal(verifier, forge(issuer))
        assert len(detail) < 100
        assert detail.isascii()
        assert "127.0.0.1" not in detail


# Any token


@examples(deadline=None)
@given(data=st.data())
async def test_no_change_to_a_token_verifies_or_ends_in_another_error(
    issuer: Issuer, verifier: TokenVerifier, data: st.DataObject
) -> None:
    token = data.draw(st.sampled_from([issuer.mint(key=key) for key in issuer.keys]))
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, min(len(token), start + 40)))
    insert = data.draw(st.text("AZaz09-_.=+/ \n\x00é", max_size=12))

    changed = token[:start] + insert + token[end:]

    if changed != token:
        await _refusal(verifier, changed)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
CLAIM_NAMES = st.sampled_from(
    ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "bailiwick_role", "bailiwick_rep", "scope"]
)


@examples(deadline=None)
@given(odd=st.dictionaries(CLAIM_NAMES, JSON_VALUES, min_size=1, max_size=3))
async def test_whatever_the_issuer_signs_is_understood_or_refused(
    issuer: Issuer, verifier: TokenVerifier, odd: dict[str, Any]
) -> None:
    header = {"alg": "ES256", "kid": issuer.key("ES256").kid}
    claims = issuer.claims("rep", bailiwick_rep="R1") | odd

    try:
        believed = await verifier.verify(sign(header, claims, issuer.key("ES256")))
    except Unauthenticated:
        return

    assert believed.role in ("admin", "planner", "manager", "rep", "viewer")
    assert believed.expires_at > datetime.now(UTC)


@examples(deadline=None)
@given(
    odd=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "cty"]), JSON_VALUES
    )
)
async def test_whatever_a_header_says_is_ignored_or_refused(
    issuer: Issuer, verifier: TokenVerifier, odd: dict[str, Any]
) -> None:
    header = {"alg": "ES256", "kid": issuer.key("ES256").kid} | odd

    try:
        believed = await verifier.verify(sign(header, issuer.claims(), issuer.key("ES256")))
    except Unauthenticated:
        return

    assert believed.subject == "planner-1"


# Names of claims and roles


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["offline_access", "planner"]}}),
        ("https://example.com/role", {"https://example.com/role": "planner"}),
        ("groups", {"groups": ["planner", "planner"]}),
    ],
)
async def test_the_role_is_found_where_the_issuer_writes_it(
    issuer: Issuer, claim: str, claims: dict[str, Any]
) -> None:
    verifier = TokenVerifier.of(Settings(**issuer.settings(), oidc_role_claim=claim))
    assert verifier is not None

    assert (await verifier.verify(issuer.mint(None, **claims))).role == "planner"
    for odd in ({}, {"realm_access": "planner"}, {"realm_access": {"roles": {"planner": 1}}}):
        assert "names no role" in await _refusal(verifier, issuer.mint(None, **odd))
    await verifier.close()


async def test_the_issuer_s_own_names_of_roles_are_translated_and_ours_no_longer_count(
    issuer: Issuer,
) -> None:
    names = {"Sales Ops": "planner", "Field": "viewer", "Field EU": "viewer"}
    verifier = TokenVerifier.of(Settings(**issuer.settings(), oidc_roles=names))
    assert verifier is not None

    planner = await verifier.verify(issuer.mint(bailiwick_role=["Sales Ops", "admin"]))
    viewer = await verifier.verify(issuer.mint(bailiwick_role=["Field", "Field EU"]))

    assert (planner.role, viewer.role) == ("planner", "viewer")
    assert "names no role" in await _refusal(verifier, issuer.mint("admin"))
    await verifier.close()


def test_without_an_issuer_there_is_no_verifier() -> None:
    assert TokenVerifier.of(Settings()) is None
