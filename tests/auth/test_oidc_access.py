"""What an access token of the issuer opens, beside and like an API key."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from app.auth import create_key
from app.db.session import Database
from app.db.tables import TerritoryOwner
from app.main import create_app
from app.settings import Settings
from tests.auth.issuer import Issuer
from tests.ground import ALWAYS, BEIJING, SHANGHAI, TOKYO, put_in_force
from tests.second_process import transport_to

WithToken = Callable[..., Awaitable[httpx.AsyncClient]]
WithKey = Callable[..., Awaitable[httpx.AsyncClient]]
BODY = {"external_id": "new", "name": "N", "lon": 121.0, "lat": 31.0}
REPS = {"head": None, "one": "head", "two": None}


@pytest.fixture
async def trusting(
    settings: Settings, database: Database, issuer: Issuer
) -> AsyncIterator[FastAPI]:
    """An application that trusts the issuer."""
    issuer.misbehaves = None
    application = create_app(settings.model_copy(update={"auth": "on", **issuer.settings()}))
    yield application
    await application.state.gate.close()
    await application.state.database.close()


@pytest.fixture
async def client_with(trusting: FastAPI) -> AsyncIterator[WithToken]:
    """Make a client that sends a credential."""
    async with AsyncExitStack() as stack:

        async def make(credential: str) -> httpx.AsyncClient:
            return await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=transport_to(trusting),
                    base_url="http://localhost",
                    headers={"Authorization": f"Bearer {credential}"},
                )
            )

        yield make


@pytest.fixture
def with_token(client_with: WithToken, issuer: Issuer) -> WithToken:
    """Make a client with a token of the role and claims asked for."""

    async def make(role: str, **claims: Any) -> httpx.AsyncClient:
        return await client_with(issuer.mint(role, **claims))

    return make


@pytest.fixture
def with_key(client_with: WithToken, database: Database) -> WithKey:
    """Make a client with a new API key."""

    async def make(role: str, rep_id: int | None = None) -> httpx.AsyncClient:
        async with database.writing() as session:
            return await client_with(await create_key(session, role, role, rep_id))

    return make


@pytest.fixture
async def reps(with_token: WithToken, database: Database) -> dict[str, int]:
    """Three customers, two territories with a rep each, the first of them in a team."""
    plan = await put_in_force(database)
    planner = await with_token("planner")
    places = {"shanghai": SHANGHAI, "beijing": BEIJING, "tokyo": TOKYO}
    for name, (lon, lat) in places.items():
        body = {"external_id": name, "name": name, "lon": lon, "lat": lat}
        (await planner.post("/v1/customers", json=body)).raise_for_status()
    ids: dict[str, int] = {}
    for name, head in REPS.items():
        body = {"external_id": name, "name": name, "manager_id": ids.get(head or "")}
        ids[name] = (await planner.post("/v1/reps", json=body)).raise_for_status().json()["id"]
    async with database.writing() as session:
        for code, name in (("T01", "one"), ("T02", "two")):
            session.add(
                TerritoryOwner(territory_id=plan.territories[code], rep_id=ids[name], during=ALWAYS)
            )
    return ids


async def _seen(client: httpx.AsyncClient) -> set[str]:
    answer = await client.get("/v1/customers")
    return {item["external_id"] for item in answer.raise_for_status().json()["items"]}


# Roles and scope


@pytest.mark.parametrize(
    ("role", "rep", "expected"),
    [
        ("admin", None, {"shanghai", "beijing", "tokyo"}),
        ("planner", None, {"shanghai", "beijing", "tokyo"}),
        ("manager", "head", {"shanghai"}),
        ("manager", "two", {"beijing"}),
        ("rep", "one", {"shanghai"}),
        ("rep", "two", {"beijing"}),
        ("rep", "head", set()),
    ],
)
async def test_a_token_shows_what_an_api_key_of_the_same_role_and_rep_shows(
    with_token: WithToken,
    with_key: WithKey,
    reps: dict[str, int],
    role: str,
    rep: str | None,
    expected: set[str],
) -> None:
    by_token = await with_token(role, bailiwick_rep=rep)
    by_key = await with_key(role, reps.get(rep or ""))

    assert await _seen(by_token) == await _seen(by_key) == expected


async def test_a_viewer_by_token_or_key_is_shown_no_single_customer(
    with_token: WithToken, with_key: WithKey
) -> None:
    for viewer in (await with_token("viewer"), await with_key("viewer", None)):
        assert (await viewer.get("/v1/customers")).status_code == 403


@pytest.mark.parametrize("role", ["admin", "planner", "manager", "rep", "viewer"])
async def test_only_tokens_of_planners_and_admins_change_things(
    with_token: WithToken, reps: dict[str, int], role: str
) -> None:
    client = await with_token(role, bailiwick_rep="one")

    made = await client.post("/v1/customers", json=BODY)
    keys = await client.get("/v1/api-keys")

    assert made.status_code == (201 if role in ("admin", "planner") else 403)
    assert keys.status_code == (200 if role == "admin" else 403)


@pytest.mark.parametrize(
    ("scope", "reads", "writes"),
    [
        ("openid email", 200, 201),
        ("openid bailiwick:read", 200, 403),
        ("bailiwick:read bailiwick:write", 200, 201),
        ("bailiwick:metrics", 403, 403),
    ],
)
async def test_scopes_of_a_token_take_away_from_what_its_role_may(
    with_token: WithToken, scope: str, reads: int, writes: int
) -> None:
    client = await with_token("planner", scope=scope)

    assert (await client.get("/v1/customers")).status_code == reads
    assert (await client.post("/v1/customers", json=BODY)).status_code == writes


async def test_no_scope_gives_a_viewer_more_than_a_viewer_may(with_token: WithToken) -> None:
    client = await with_token("viewer", scope="bailiwick:read bailiwick:write")

    assert (await client.post("/v1/customers", json=BODY)).status_code == 403


@pytest.mark.parametrize("rep", ["nobody", "1", "' OR true --"])
async def test_a_token_for_a_rep_that_is_not_known_opens_nothing(
    with_token: WithToken, reps: dict[str, int], rep: str
) -> None:
    client = await with_token("rep", bailiwick_rep=rep)

    assert (await client.get("/v1/customers")).status_code == 403


# Refusals


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({"aud": "billing"}, "audience"),
        ({"bailiwick_role": "root"}, "role"),
    ],
)
async def test_a_refused_token_is_answered_with_the_reason_and_not_repeated(
    client_with: WithToken, issuer: Issuer, claims: dict[str, Any], reason: str
) -> None:
    token = issuer.mint("admin", sub="ada-lovelace", **claims)
    client = await client_with(token)

    with structlog.testing.capture_logs() as logs:
        answer = await client.get("/v1/customers")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert reason in answer.json()["detail"]
    for secret in (*token.split("."), "ada-lovelace"):
        assert secret not in answer.text
        assert secret not in str(logs)


async def test_an_issuer_that_is_away_is_no_fault_of_the_caller_and_keys_still_work(
    with_token: WithToken, with_key: WithKey, issuer: Issuer
) -> None:
    issuer.misbehaves = "error"

    by_token = await (await with_token("admin")).get("/v1/customers")
    by_key = await (await with_key("admin")).get("/v1/customers")

    assert (by_token.status_code, by_key.status_code) == (503, 200)
    assert int(by_token.headers["Retry-After"]) > 0


async def test_without_an_issuer_of_ours_a_token_is_nothing(
    settings: Settings, database: Database, issuer: Issuer
) -> None:
    application = create_app(settings.model_copy(update={"auth": "on"}))
    headers = {"Authorization": f"Bearer {issuer.mint('admin')}"}
    transport = transport_to(application)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers=headers
    ) as client:
        assert (await client.get("/v1/customers")).status_code == 401
    await application.state.database.close()


# Audit


async def test_the_audit_names_the_subject_and_the_issuer_of_a_token(
    with_token: WithToken, issuer: Issuer
) -> None:
    planner = await with_token("planner", sub="u-17", email="ada@example.com")
    (await planner.post("/v1/customers", json=BODY)).raise_for_status()

    answer = await (await with_token("admin")).get("/v1/audit", params={"entity": "customer"})

    (event,) = answer.json()["items"]
    assert event["actor"].startswith(f"oidc:u-17@{issuer.url}")
    assert event["role"] == "planner"
    assert "ada@example.com" not in answer.text
