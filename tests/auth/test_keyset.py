"""The issuer's keys: fetched once, renewed in time, kept when the issuer is away."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, get_args

import httpx
import orjson
import pytest

from app.auth import keyset
from app.auth.keyset import KeySet
from app.auth.tokens import TokenVerifier
from app.errors import Unauthenticated, Unavailable
from app.settings import Settings
from tests.auth.issuer import DISCOVERY, KEYS, Issuer, KeyPair, Misbehaviour, running_issuer

MakeVerifier = Callable[..., TokenVerifier]
# Too short to wait for in tests that want the next fetch, and too long in those that do not.
SOON, LATER = 0.01, 600.0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def trusting(issuer: Issuer) -> AsyncIterator[MakeVerifier]:
    """Make a verifier of the issuer, with settings."""
    async with AsyncExitStack() as stack:

        def make(
            cooldown_s: float = SOON, lifetime_s: float = LATER, **given: Any
        ) -> TokenVerifier:
            settings = Settings(
                **{
                    **issuer.settings(),
                    "oidc_refresh_cooldown_s": cooldown_s,
                    "oidc_key_lifetime_s": lifetime_s,
                    **given,
                }
            )
            verifier = TokenVerifier.of(settings)
            assert verifier is not None
            stack.push_async_callback(verifier.close)
            return verifier

        yield make


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "ANSWER_WITHIN_S", 0.5)


async def _outcomes(*verifications: Awaitable[Any]) -> set[str]:
    found = await asyncio.gather(*verifications, return_exceptions=True)
    return {type(outcome).__name__ for outcome in found}


# Fetching


async def test_the_first_tokens_at_once_fetch_the_keys_once(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    verifier = trusting()
    issuer.delay_s = 0.1

    outcomes = await _outcomes(*(verifier.verify(issuer.mint()) for _ in range(20)))

    assert outcomes == {"TokenClaims"}
    assert issuer.hits == {DISCOVERY: 1, KEYS: 1}


async def test_a_given_address_of_keys_makes_discovery_superfluous(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    assert await trusting(oidc_jwks_url=issuer.url + KEYS).verify(issuer.mint())
    assert issuer.hits == {KEYS: 1}


async def test_a_caller_who_goes_away_does_not_end_the_fetch_of_the_others(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    verifier = trusting(cooldown_s=LATER)
    issuer.delay_s = 0.1
    first = asyncio.create_task(verifier.verify(issuer.mint()))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(verifier.verify(issuer.mint()))

    first.cancel()

    assert await second
    assert issuer.hits[KEYS] == 1


async def test_a_token_without_kid_is_checked_with_the_only_key(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    issuer.keys = [KeyPair.ec()]

    assert await trusting().verify(issuer.mint(key=issuer.keys[0], header={"kid": None}))


async def test_two_keys_without_a_name_leave_a_token_without_one_undecided(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    issuer.keys = [KeyPair(None, "ES256", KeyPair.ec().private) for _ in range(2)]

    with pytest.raises(Unauthenticated, match="does not have"):
        await trusting().verify(issuer.mint(key=issuer.keys[0]))


async def test_two_kinds_of_key_under_one_name_are_told_apart(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    issuer.keys = [KeyPair.rsa("same"), KeyPair.ec("same")]
    verifier = trusting()

    for key in issuer.keys:
        assert await verifier.verify(issuer.mint(key=key))


async def test_a_key_too_short_to_be_trusted_opens_nothing(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    issuer.keys = [KeyPair.rsa(bits=1024)]

    with pytest.raises(Unauthenticated, match="too short"):
        await trusting().verify(issuer.mint())


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": 1},
        {"alg": "RS512"},
        {"alg": ["RS256"]},
        {"kid": 1},
        {"kty": "oct"},
        {"kty": ["RSA"]},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"n": None},
        {"n": "!"},
        {"n": ""},
        {"e": {}},
        {"d": "AQAB"},
        {"k": "AQAB"},
    ],
)
async def test_an_odd_key_is_left_out_and_the_others_serve(
    issuer: Issuer, trusting: MakeVerifier, change: dict[str, Any]
) -> None:
    rsa, ec = issuer.keys
    issuer.keys = [ec]
    issuer.extra_keys = [{**rsa.published(), **change}, "no key", None]
    verifier = trusting()

    assert await verifier.verify(issuer.mint(key=ec))
    with pytest.raises(Unauthenticated, match="does not have"):
        await verifier.verify(issuer.mint(key=rsa))


# Renewal


async def test_new_keys_are_known_with_the_first_token_they_sign(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    verifier = trusting()
    old = issuer.mint()
    await verifier.verify(old)
    await asyncio.sleep(2 * SOON)

    issuer.rotate()

    assert await verifier.verify(issuer.mint())
    with pytest.raises(Unauthenticated, match="does not have"):
        await verifier.verify(old)


async def test_keys_that_have_lived_long_enough_are_fetched_again(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    verifier = trusting(lifetime_s=0.05)
    old = issuer.mint()
    await verifier.verify(old)
    issuer.rotate()
    await asyncio.sleep(0.1)

    with pytest.raises(Unauthenticated, match="does not have"):
        await verifier.verify(old)


@pytest.mark.parametrize("delay_s", [0, 0.2])
async def test_a_flood_of_unknown_keys_fetches_once(
    issuer: Issuer, trusting: MakeVerifier, delay_s: float
) -> None:
    verifier = trusting(cooldown_s=0.6)
    await verifier.verify(issuer.mint())
    await asyncio.sleep(0.65)
    issuer.hits.clear()
    issuer.delay_s = delay_s
    forged = [issuer.mint(header={"kid": f"unknown-{n}"}) for n in range(200)]

    outcomes = await _outcomes(*(verifier.verify(token) for token in forged))

    assert outcomes == {"Unauthenticated"}
    assert issuer.hits == {DISCOVERY: 1, KEYS: 1}


async def test_a_slow_trickle_of_unknown_keys_fetches_once_per_cool_down(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    verifier = trusting(cooldown_s=0.4)
    started = time.monotonic()
    while time.monotonic() - started < 1:
        with pytest.raises(Unauthenticated):
            await verifier.verify(issuer.mint(header={"kid": "unknown"}))

    assert 2 <= issuer.hits[KEYS] <= 3


# Trouble


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("misbehaviour", get_args(Misbehaviour))
async def test_an_issuer_that_misbehaves_is_not_the_caller_s_fault(
    issuer: Issuer, trusting: MakeVerifier, misbehaviour: Misbehaviour
) -> None:
    verifier = trusting()
    issuer.misbehaves = misbehaviour
    started = time.monotonic()

    outcomes = await _outcomes(*(verifier.verify(issuer.mint()) for _ in range(5)))

    assert outcomes == {"Unavailable"}
    assert time.monotonic() - started < 4, "a slow issuer is given up"
    assert set(issuer.hits) <= {DISCOVERY, KEYS}, "no redirect is followed"

    issuer.misbehaves = None
    await asyncio.sleep(2 * SOON)
    assert await verifier.verify(issuer.mint()), "and it is asked again soon"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("misbehaviour", get_args(Misbehaviour))
async def test_old_keys_are_kept_while_the_issuer_misbehaves(
    issuer: Issuer, trusting: MakeVerifier, misbehaviour: Misbehaviour
) -> None:
    verifier = trusting(lifetime_s=0.05)
    await verifier.verify(issuer.mint())
    await asyncio.sleep(0.1)
    issuer.misbehaves = misbehaviour

    for _ in range(3):
        assert await verifier.verify(issuer.mint())
        with pytest.raises(Unauthenticated, match="does not have"):
            await verifier.verify(issuer.mint(header={"kid": "unknown"}))


async def test_old_keys_are_kept_while_the_issuer_is_away(trusting: MakeVerifier) -> None:
    with running_issuer() as issuer:
        verifier = trusting(lifetime_s=0.05, **issuer.settings())
        await verifier.verify(issuer.mint())
    await asyncio.sleep(0.1)

    for _ in range(3):
        assert await verifier.verify(issuer.mint())


async def test_nobody_waits_again_for_an_issuer_that_did_not_answer(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    verifier = trusting(lifetime_s=0.05)
    await verifier.verify(issuer.mint())
    await asyncio.sleep(0.1)
    issuer.misbehaves = "error"
    await verifier.verify(issuer.mint())
    issuer.misbehaves = "hang"
    started = time.monotonic()

    for _ in range(10):
        await asyncio.sleep(2 * SOON)
        assert await verifier.verify(issuer.mint())

    assert time.monotonic() - started < keyset.ANSWER_WITHIN_S


async def test_without_keys_the_issuer_is_asked_once_in_two_seconds_at_most(
    issuer: Issuer, trusting: MakeVerifier
) -> None:
    verifier = trusting(cooldown_s=LATER)
    issuer.misbehaves = "error"

    for _ in range(50):
        with pytest.raises(Unavailable, match="does not answer"):
            await verifier.verify(issuer.mint())

    assert issuer.hits == {DISCOVERY: 1}


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:5432/keys",
        "http://keys.example.com/keys",
        "https://me:secret@login.example.com/keys",
        "file:///etc/passwd",
        "https://[::1/keys",
        "/keys",
        7,
    ],
)
async def test_an_issuer_outside_cannot_send_us_to_an_address_that_is_not_safe(
    issuer: Issuer, address: Any
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        document = {"issuer": place, "jwks_uri": address}
        return httpx.Response(200, stream=httpx.ByteStream(orjson.dumps(document)))

    asked: list[str] = []
    place = "https://login.example.com/realm/"
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    settings = Settings(oidc_issuer=place, oidc_audience="a")
    verifier = TokenVerifier(settings, KeySet(settings, place, client))

    with pytest.raises(Unavailable):
        await verifier.verify(issuer.mint())

    assert asked == ["https://login.example.com/realm/.well-known/openid-configuration"]
    await verifier.close()


async def test_closing_ends_a_fetch_under_way(issuer: Issuer) -> None:
    verifier = TokenVerifier.of(Settings(**issuer.settings()))
    assert verifier is not None
    issuer.misbehaves = "hang"
    waiting = asyncio.create_task(verifier.verify(issuer.mint()))
    await asyncio.sleep(0.1)

    await asyncio.wait_for(verifier.close(), 1)

    with pytest.raises(asyncio.CancelledError):
        await waiting
