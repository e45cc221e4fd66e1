"""Who may do what, and who sees which customers."""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy.dialects.postgresql import Range

from app.activity import fold
from app.auth import create_key, revoke_key
from app.db.session import Database
from app.db.tables import Base, CustomerOverride, TerritoryOwner
from app.errors import NotFound
from app.settings import Settings
from tests.auth.clients import ClientAs
from tests.db.databases import owner
from tests.ground import ALWAYS, BEIJING, PAST, SHANGHAI, TOKYO, TOMORROW, put_in_force
from tests.search.crowd import add_customers

BODY = {"name": "N", "lon": 121.0, "lat": 31.0}


async def _add_customer(
    planner: httpx.AsyncClient, external_id: str, place: tuple[float, float], **members: Any
) -> int:
    body = {"name": external_id, "lon": place[0], "lat": place[1], **members}
    answer = await planner.put(f"/v1/customers/by-external-id/{external_id}", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def _add_rep(planner: httpx.AsyncClient, external_id: str, **members: Any) -> int:
    body = {"name": external_id, **members}
    answer = await planner.put(f"/v1/reps/by-external-id/{external_id}", json=body)
    return int(answer.json()["id"])


async def _own(
    database: Database, territory_id: int, rep_id: int, during: Range[datetime] = ALWAYS
) -> None:
    async with database.writing() as session:
        session.add(TerritoryOwner(territory_id=territory_id, rep_id=rep_id, during=during))


async def _name(
    database: Database,
    layer_id: int,
    customer_id: int,
    code: str,
    during: Range[datetime] = ALWAYS,
) -> None:
    async with database.writing() as session:
        session.add(
            CustomerOverride(
                layer_id=layer_id, customer_id=customer_id, territory_code=code, during=during,
                reason="named account",
            )
        )  # fmt: skip


async def _seen(client: httpx.AsyncClient, **query: Any) -> set[str]:
    """Return what a caller's list holds, checked against what it may fetch one by one."""
    items = (await client.get("/v1/customers", params=query)).raise_for_status().json()["items"]
    for item in items:
        assert (await client.get(f"/v1/customers/{item['id']}")).status_code == 200
    return {item["external_id"] for item in items}


# Keys


async def test_more_requests_at_once_than_connections_are_answered(
    planner: httpx.AsyncClient, settings: Settings
) -> None:
    at_once = 3 * settings.pool_size

    answers = await asyncio.gather(*(planner.get("/v1/layers") for _ in range(at_once)))

    assert [answer.status_code for answer in answers] == [200] * at_once


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer nonsense",
        "Bearer bw_",
        "Bearer bw_0123456789ab_",
        "Bearer bw_0123456789ab_unknown",
        "Bearer bw_\x00_x",
        "Basic YTpi",
    ],
)
async def test_without_a_valid_key_the_caller_is_asked_for_one(
    client_as: ClientAs, authorization: str | None
) -> None:
    stranger = await client_as(None)
    headers = {"Authorization": authorization} if authorization else {}

    answer = await stranger.get("/v1/customers", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_key_with_another_secret_is_not_valid(
    client_as: ClientAs, database: Database
) -> None:
    async with database.writing() as session:
        key = await create_key(session, "k", "admin")
    stranger = await client_as(None)

    answer = await stranger.get(
        "/v1/customers", headers={"Authorization": f"Bearer {key[:-1]}{'AB'[key[-1] == 'A']}"}
    )

    assert answer.status_code == 401


async def test_an_expired_key_is_not_valid(client_as: ClientAs, database: Database) -> None:
    async with database.writing() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        expired = await create_key(session, "old", "admin", expires_at=past)
        future = datetime.now(UTC) + timedelta(minutes=1)
        current = await create_key(session, "new", "admin", expires_at=future)
    stranger = await client_as(None)

    statuses = [
        (await stranger.get("/v1/reps", headers={"Authorization": f"Bearer {key}"})).status_code
        for key in (expired, current)
    ]

    assert statuses == [401, 200]


async def test_a_revoked_key_is_not_valid(planner: httpx.AsyncClient, database: Database) -> None:
    assert (await planner.get("/v1/customers")).status_code == 200
    prefix = planner.headers["Authorization"].split("_")[1]

    async with database.writing() as session:
        await revoke_key(session, prefix)

    assert (await planner.get("/v1/customers")).status_code == 401


async def test_revoking_a_key_that_does_not_exist_says_so(database: Database) -> None:
    with pytest.raises(NotFound, match="abc"):
        async with database.writing() as session:
            await revoke_key(session, "abc")


async def test_the_secret_of_a_key_is_not_stored(
    admin: httpx.AsyncClient, settings: Settings
) -> None:
    made = (await admin.post("/v1/api-keys", json={"name": "k", "role": "viewer"})).json()
    used = await admin.get("/v1/layers", headers={"Authorization": f"Bearer {made['key']}"})
    secret = made["key"].split("_", 2)[2]
    raw = base64.urlsafe_b64decode(secret + "=")

    with owner(settings) as connection:
        stored = connection.execute(
            "SELECT sha256 FROM api_key WHERE prefix = %s", (made["api_key"]["prefix"],)
        ).fetchall()
        rows = [
            row
            for table in Base.metadata.tables
            for (row,) in connection.execute(f"SELECT t::text FROM {table} AS t".encode())
        ]

    assert used.status_code == 200
    assert len(raw) == 32
    assert stored == [(hashlib.sha256(secret.encode()).digest(),)]
    text = "\n".join(rows)
    assert made["api_key"]["prefix"] in text, "what is looked for would be found"
    for form in (secret, raw.hex(), secret.encode().hex()):
        assert form not in text


async def test_no_two_keys_share_a_secret(database: Database) -> None:
    async with database.writing() as session:
        keys = [await create_key(session, "k", "viewer") for _ in range(20)]

    secrets = [base64.urlsafe_b64decode(key.split("_", 2)[2] + "=") for key in keys]
    assert len(set(secrets)) == 20
    # Each byte is drawn, none is always the same.
    assert all(len(set(column)) > 1 for column in zip(*secrets, strict=True))


async def test_with_authentication_off_no_key_is_needed(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/customers")).status_code == 200


async def test_the_service_s_own_addresses_need_no_key(client_as: ClientAs) -> None:
    stranger = await client_as(None)

    for address in ("/livez", "/readyz", "/version"):
        assert (await stranger.get(address)).status_code == 200


# Roles


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("POST", "/v1/customers", {**BODY, "external_id": "x"}),
        ("PUT", "/v1/customers/by-external-id/x", BODY),
        ("DELETE", "/v1/customers/1", None),
        ("POST", "/v1/reps", {"external_id": "x", "name": "N"}),
        ("PUT", "/v1/reps/by-external-id/x", {"name": "N"}),
        ("DELETE", "/v1/reps/1", None),
        ("POST", "/v1/layers", {"name": "x"}),
        ("GET", "/v1/runs", None),
        ("GET", "/v1/runs/1", None),
        ("GET", "/v1/runs/1/events", None),
        ("POST", "/v1/runs/1:cancel", None),
    ],
)
async def test_only_planners_and_admins_change_things_and_see_runs(
    client_as: ClientAs, planner: httpx.AsyncClient, method: str, address: str, body: Any
) -> None:
    rep_id = await _add_rep(planner, "R")
    statuses = {}

    for role in ("viewer", "rep", "manager", "planner", "admin"):
        caller = await client_as(role, rep_id if role in ("rep", "manager") else None)
        statuses[role] = (await caller.request(method, address, json=body)).status_code

    assert [statuses[role] for role in ("viewer", "rep", "manager")] == [403, 403, 403]
    assert not {statuses["planner"], statuses["admin"]} & {401, 403}


@pytest.mark.parametrize("role", ["planner", "admin"])
async def test_unlimited_roles_with_detail_see_every_customer(
    client_as: ClientAs, planner: httpx.AsyncClient, role: str
) -> None:
    await _add_customer(planner, "shanghai", SHANGHAI)
    await _add_customer(planner, "tokyo", TOKYO)

    assert await _seen(await client_as(role)) == {"shanghai", "tokyo"}


async def test_a_viewer_sees_no_single_customer(
    client_as: ClientAs, planner: httpx.AsyncClient
) -> None:
    await _add_customer(planner, "shanghai", SHANGHAI)
    viewer = await client_as("viewer")

    for path in (
        "/v1/customers",
        "/v1/customers/1",
        "/v1/search/radius?lon=121.47&lat=31.23&radius_m=100000",
        "/v1/search/nearest?lon=121.47&lat=31.23&k=1",
    ):
        assert (await viewer.get(path)).status_code == 403, path


# Scope


async def test_a_rep_sees_the_customers_in_the_cells_of_its_own_territories(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    for name, place in (("shanghai", SHANGHAI), ("beijing", BEIJING), ("tokyo", TOKYO)):
        await _add_customer(planner, name, place)
    first, second, idle = [await _add_rep(planner, name) for name in ("one", "two", "idle")]
    await _own(database, plan.territories["T01"], first)
    await _own(database, plan.territories["T02"], second)

    assert await _seen(await client_as("rep", first)) == {"shanghai"}
    assert await _seen(await client_as("rep", second)) == {"beijing"}
    assert await _seen(await client_as("rep", idle)) == set()


async def test_a_named_account_moves_a_customer_from_one_rep_to_the_other(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    customer_id = await _add_customer(planner, "shanghai", SHANGHAI)
    first, second = await _add_rep(planner, "one"), await _add_rep(planner, "two")
    await _own(database, plan.territories["T01"], first)
    await _own(database, plan.territories["T02"], second)

    await _name(database, plan.layer_id, customer_id, "T02")

    assert await _seen(await client_as("rep", first)) == set()
    assert await _seen(await client_as("rep", second)) == {"shanghai"}


async def test_a_named_account_outside_of_all_cells_belongs_to_its_territory(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    customer_id = await _add_customer(planner, "tokyo", TOKYO)
    rep = await _add_rep(planner, "one")
    await _own(database, plan.territories["T01"], rep)

    await _name(database, plan.layer_id, customer_id, "T01")

    assert await _seen(await client_as("rep", rep)) == {"tokyo"}


@pytest.mark.parametrize("during", [PAST, TOMORROW])
async def test_a_named_account_of_another_time_changes_nothing_now(
    client_as: ClientAs,
    planner: httpx.AsyncClient,
    database: Database,
    during: Range[datetime],
) -> None:
    plan = await put_in_force(database)
    customer_id = await _add_customer(planner, "shanghai", SHANGHAI)
    rep = await _add_rep(planner, "one")
    await _own(database, plan.territories["T01"], rep)

    await _name(database, plan.layer_id, customer_id, "T02", during)

    assert await _seen(await client_as("rep", rep)) == {"shanghai"}


async def test_a_named_account_of_one_layer_leaves_the_other_layer_alone(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    sales = await put_in_force(database, "sales")
    service = await put_in_force(database, "service")
    customer_id = await _add_customer(planner, "shanghai", SHANGHAI)
    seller, engineer = await _add_rep(planner, "seller"), await _add_rep(planner, "engineer")
    await _own(database, sales.territories["T01"], seller)
    await _own(database, service.territories["T01"], engineer)

    await _name(database, sales.layer_id, customer_id, "T02")

    assert await _seen(await client_as("rep", seller)) == set()
    assert await _seen(await client_as("rep", engineer)) == {"shanghai"}


@pytest.mark.parametrize("during", [PAST, TOMORROW])
async def test_ownership_of_another_time_shows_nothing_now(
    client_as: ClientAs,
    planner: httpx.AsyncClient,
    database: Database,
    during: Range[datetime],
) -> None:
    plan = await put_in_force(database)
    await _add_customer(planner, "shanghai", SHANGHAI)
    rep = await _add_rep(planner, "one")

    await _own(database, plan.territories["T01"], rep, during)

    assert await _seen(await client_as("rep", rep)) == set()


@pytest.mark.parametrize("during", [PAST, TOMORROW])
async def test_a_plan_that_is_not_in_force_shows_nothing(
    client_as: ClientAs,
    planner: httpx.AsyncClient,
    database: Database,
    during: Range[datetime],
) -> None:
    plan = await put_in_force(database, during=during)
    await _add_customer(planner, "shanghai", SHANGHAI)
    rep = await _add_rep(planner, "one")

    await _own(database, plan.territories["T01"], rep)

    assert await _seen(await client_as("rep", rep)) == set()


async def test_a_manager_sees_what_everyone_below_sees(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    for name, place in (("shanghai", SHANGHAI), ("beijing", BEIJING)):
        await _add_customer(planner, name, place)
    head = await _add_rep(planner, "head")
    team = await _add_rep(planner, "team", manager_id=head)
    rep = await _add_rep(planner, "rep", manager_id=team)
    other = await _add_rep(planner, "other")
    await _own(database, plan.territories["T01"], rep)
    await _own(database, plan.territories["T02"], other)

    assert await _seen(await client_as("manager", head)) == {"shanghai"}
    assert await _seen(await client_as("manager", team)) == {"shanghai"}
    assert await _seen(await client_as("manager", other)) == {"beijing"}
    assert await _seen(await client_as("rep", head)) == set(), "a rep's key has no team"


async def test_managers_in_a_circle_see_each_other_s_customers_and_end(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    await _add_customer(planner, "shanghai", SHANGHAI)
    first = await _add_rep(planner, "one")
    second = await _add_rep(planner, "two", manager_id=first)
    await planner.put("/v1/reps/by-external-id/one", json={"name": "one", "manager_id": second})
    await _own(database, plan.territories["T01"], second)

    assert await _seen(await client_as("manager", first)) == {"shanghai"}


async def test_the_rep_of_a_layer_sees_only_the_customers_of_the_layer(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database, "education", {"segment": ["education"]})
    await _add_customer(planner, "school", SHANGHAI, segment="education")
    shop = await _add_customer(planner, "shop", SHANGHAI, segment="retail")
    await _add_customer(planner, "closed", SHANGHAI, segment="education", status="inactive")
    rep = await _add_rep(planner, "one")
    await _own(database, plan.territories["T01"], rep)
    # Not even a named account brings a customer in that the layer is not about.
    await _name(database, plan.layer_id, shop, "T01")

    assert await _seen(await client_as("rep", rep)) == {"school"}


async def test_filters_do_not_widen_what_a_rep_sees(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    for name, place in (("shanghai", SHANGHAI), ("beijing", BEIJING)):
        await _add_customer(planner, name, place)
    rep = await _add_rep(planner, "one")
    await _own(database, plan.territories["T01"], rep)
    caller = await client_as("rep", rep)

    assert await _seen(caller, territory_id=plan.territories["T02"]) == set()
    assert await _seen(caller, territory_id=plan.territories["T01"]) == {"shanghai"}
    assert await _seen(caller, external_id="beijing") == set()
    assert await _seen(caller, bbox="-180,-90,180,90") == {"shanghai"}


async def test_a_foreign_customer_looks_like_one_that_does_not_exist(
    client_as: ClientAs, planner: httpx.AsyncClient, database: Database
) -> None:
    await put_in_force(database)
    foreign_id = await _add_customer(planner, "shanghai", SHANGHAI)
    caller = await client_as("rep", await _add_rep(planner, "one"))

    foreign = await caller.get(f"/v1/customers/{foreign_id}")
    missing = await caller.get("/v1/customers/999")

    assert foreign.status_code == missing.status_code == 404
    assert _without_ids(foreign, foreign_id) == _without_ids(missing, 999)
    assert set(foreign.headers) == set(missing.headers)


def _without_ids(answer: httpx.Response, customer_id: int) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    del document["trace_id"]
    return {**document, "detail": document["detail"].replace(str(customer_id), "#")}


async def test_a_rep_sees_only_itself_among_the_reps_and_a_manager_its_team(
    client_as: ClientAs, planner: httpx.AsyncClient
) -> None:
    head = await _add_rep(planner, "head")
    rep = await _add_rep(planner, "rep", manager_id=head)
    other = await _add_rep(planner, "other")

    async def seen(client: httpx.AsyncClient) -> set[int]:
        return {item["id"] for item in (await client.get("/v1/reps")).json()["items"]}

    assert await seen(await client_as("rep", rep)) == {rep}
    assert await seen(await client_as("manager", head)) == {head, rep}
    assert await seen(await client_as("viewer")) == {head, rep, other}
    assert (await (await client_as("rep", rep)).get(f"/v1/reps/{other}")).status_code == 404


@pytest.mark.parametrize("n_customers", [3, 8])
async def test_what_a_catchment_may_expect_is_for_who_sees_all_and_not_of_a_few(
    client_as: ClientAs, database: Database, planner: httpx.AsyncClient, n_customers: int
) -> None:
    await add_customers(database, np.full(n_customers, 121.47), np.full(n_customers, 31.23))
    await fold(database)
    body = {
        "group": "g", "max_distance_m": 9000,
        "anchors": [{"name": "only", "lon": 121.47, "lat": 31.23}],
    }  # fmt: skip
    made = (await planner.post("/v1/geofences:catchments", json=body)).json()["catchments"][0]
    rep_id = await _add_rep(planner, "LANDLESS")
    callers = {
        "planner": planner,
        "viewer": await client_as("viewer"),
        "rep": await client_as("rep", rep_id),
    }

    answers = {
        role: await caller.get(f"/v1/geofences/{made['geofence_id']}")
        for role, caller in callers.items()
    }

    assert made["expected"]["customers"] == n_customers
    models = {role: answer.json()["model"] for role, answer in answers.items()}
    assert models["planner"]["expected"] == made["expected"]
    assert models["viewer"].get("expected") == (made["expected"] if n_customers >= 5 else None)
    assert "expected" not in models["rep"]
    assert models["rep"]["max_distance_m"] == 9000
    # A tag of what another sees must not stand for what one sees oneself.
    assert (answers["rep"].headers["ETag"] == answers["viewer"].headers["ETag"]) == (
        n_customers < 5
    )
