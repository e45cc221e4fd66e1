"""A POST that is sent again with its key is answered again and done once."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.session import Database
from app.jobs.housekeeping import keep_house
from app.settings import Settings
from tests.auth.clients import ClientAs, clients_of
from tests.conftest import Drain

BODY = {"external_id": "C1", "name": "Riverside Clinic", "lon": 121.49, "lat": 31.24}
AREA = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
OTHER_KEY = {"Idempotency-Key": "other"}


async def _count(client: httpx.AsyncClient, path: str = "/v1/customers") -> int:
    return len((await client.get(path)).json()["items"])


async def test_the_same_request_gets_the_first_answer_and_is_done_once(
    client: httpx.AsyncClient,
) -> None:
    first = await client.post("/v1/customers", json=BODY, headers=KEY)
    again = await client.post("/v1/customers", json=BODY, headers=KEY)

    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    for name in ("Location", "ETag", "Content-Type"):
        assert first.headers[name] == again.headers[name]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await _count(client) == 1


async def test_twenty_at_once_are_done_once(client: httpx.AsyncClient) -> None:
    body = {"name": "fence", "geometry": AREA}

    answers = await asyncio.gather(
        *(client.post("/v1/geofences", json=body, headers=KEY) for _ in range(20))
    )

    served = [answer for answer in answers if answer.status_code == 201]
    # The others waited for a connection, not for an answer: they may simply come again.
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert served
    assert len({answer.content for answer in served}) == 1
    assert await _count(client, "/v1/geofences") == 1


async def test_a_key_stands_for_one_request(client: httpx.AsyncClient) -> None:
    await client.post("/v1/customers", json=BODY, headers=KEY)

    other_body = await client.post("/v1/customers", json={**BODY, "name": "N"}, headers=KEY)
    other_place = await client.post("/v1/reps", json={"external_id": "R", "name": "N"}, headers=KEY)

    for answer in (other_body, other_place):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == "idempotency-key-reused"
    assert await _count(client, "/v1/reps") == 0


async def test_a_refused_request_does_not_use_its_key_up(client: httpx.AsyncClient) -> None:
    refused = await client.post("/v1/customers", json={**BODY, "lat": 95}, headers=KEY)
    accepted = await client.post("/v1/customers", json=BODY, headers=KEY)

    assert (refused.status_code, accepted.status_code) == (422, 201)


async def test_a_conflict_is_found_out_each_time(client: httpx.AsyncClient) -> None:
    await client.post("/v1/customers", json=BODY)

    answers = [await client.post("/v1/customers", json=BODY, headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [409, 409]


async def test_keys_of_two_callers_are_two_keys(client_as: ClientAs) -> None:
    planners = [await client_as("planner") for _ in range(2)]

    answers = [
        await planner.post("/v1/layers", json={"name": f"layer-{number}"}, headers=KEY)
        for number, planner in enumerate(planners)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]


async def test_a_rotated_key_is_another_caller(client_as: ClientAs) -> None:
    admin, old = await client_as("admin"), await client_as("planner")
    fence = {"name": "fence", "geometry": AREA}
    first = [
        await old.post("/v1/customers", json=BODY, headers=KEY),
        await old.post("/v1/geofences", json=fence, headers=OTHER_KEY),
    ]
    prefix = old.headers["Authorization"].split("_")[1]
    rotation = await admin.post(f"/v1/api-keys/{prefix}:rotate", json={"overlap_s": 600})
    new = {"Authorization": f"Bearer {rotation.json()['key']}"}

    conflict = await old.post("/v1/customers", json=BODY, headers={**KEY, **new})
    executed = await old.post("/v1/geofences", json=fence, headers={**OTHER_KEY, **new})
    of_the_old = await old.post("/v1/customers", json=BODY, headers=KEY)

    assert [answer.status_code for answer in first] == [201, 201]
    assert (conflict.status_code, executed.status_code) == (409, 201)
    assert executed.headers["Location"] != first[1].headers["Location"]
    for answer in (conflict, executed):
        assert "Idempotency-Replayed" not in answer.headers
    assert of_the_old.content == first[0].content
    assert of_the_old.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    "change",
    ["role = 'viewer'", "role = 'rep', rep_id = 1", "scopes = '{read}'", "scopes = '{metrics}'"],
)
async def test_who_may_not_do_it_any_more_does_not_get_the_answer_again(
    client_as: ClientAs, database: Database, change: str
) -> None:
    planner = await client_as("planner")
    await planner.post("/v1/reps", json={"external_id": "R", "name": "R"})
    first = await planner.post("/v1/customers", json=BODY, headers=KEY)
    async with database.writing() as session:
        await session.execute(text(f"UPDATE api_key SET {change}"))

    again = await planner.post("/v1/customers", json=BODY, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 403)
    assert BODY["name"] not in again.text


async def test_an_upload_that_is_sent_again_is_one_run(
    client: httpx.AsyncClient, drain: Drain
) -> None:
    async def send(content: bytes) -> httpx.Response:
        # Each form has a boundary of its own.
        return await client.post(
            "/v1/imports",
            headers=KEY,
            data={"kind": "customers"},
            files={"file": ("c.csv", content)},
        )

    content = b"external_id,name,lon,lat\nC1,One,121.5,31.2\n"
    first, again = await send(content), await send(content)
    other = await send(content + b"C2,Two,121.5,31.2\n")
    await drain()

    assert first.json() == again.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert other.status_code == 422
    assert len((await client.get("/v1/runs")).json()["items"]) == 1
    assert await _count(client) == 1


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "ключ".encode()])
async def test_a_key_that_cannot_be_one_is_refused(client: httpx.AsyncClient, key: Any) -> None:
    answer = await client.post("/v1/customers", json=BODY, headers={"Idempotency-Key": key})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/header/Idempotency-Key"


async def test_the_secret_of_a_key_is_not_kept_to_be_given_again(
    client: httpx.AsyncClient,
) -> None:
    body = {"name": "k", "role": "viewer"}

    refused = await client.post("/v1/api-keys", json=body, headers=KEY)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/header/Idempotency-Key"
    assert await _count(client, "/v1/api-keys") == 0


async def test_an_answer_is_kept_for_a_day(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await client.post("/v1/layers", json={"name": "x"}, headers=KEY)
    async with database.writing() as session:
        await session.execute(
            text("UPDATE idempotency_key SET created_at = now() - interval '25 hours'")
        )

    assert await keep_house(database, settings) == 1

    again = await client.post("/v1/layers", json={"name": "x"}, headers=KEY)
    assert again.status_code == 409, "it is a new request now"


@pytest.fixture
async def client_as(settings: Any, database: Database) -> Any:
    async with clients_of(settings, database) as make:
        yield make
