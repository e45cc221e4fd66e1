"""Customers that belong to a territory by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.db.session import Database
from tests.auth.world import World, make_world
from tests.conftest import ANY_VERSION

WHY = {"territory": "T02", "reason": "Served from head office"}


@pytest.fixture
async def world(database: Database) -> World:
    return await make_world(database)


def path_of(world: World) -> str:
    return f"/v1/layers/{world.own['layer_id']}/named-accounts"


async def home_of(client: httpx.AsyncClient, world: World) -> str:
    answer = await client.get(f"/v1/customers/{world.own['customer_id']}/territories")
    own = [item for item in answer.json()["items"] if item["layer_id"] == world.own["layer_id"]]
    return str(own[0]["territory"]["code"])


async def test_an_account_wins_over_the_cell_until_it_ends(
    client: httpx.AsyncClient, world: World
) -> None:
    path, customer_id = path_of(world), world.own["customer_id"]
    assert await home_of(client, world) == "T01"

    made = await client.put(f"{path}/{customer_id}", json=WHY)

    assert made.status_code == 201, made.text
    assert (made.json()["territory"], made.json()["to"]) == ("T02", None)
    assert await home_of(client, world) == "T02"
    listed = (await client.get(path)).json()
    assert [item["customer_id"] for item in listed["items"]] == [customer_id]
    assert (listed["customers"], listed["layer_customers"], listed["share"]) == (1, 2, 0.5)
    plan = (await client.get(f"/v1/plans/{world.own['plan_id']}")).json()
    assert plan["named_accounts"] == {"customers": 1, "share": 0.5, "without_territory": 0}

    assert (await client.delete(f"{path}/{customer_id}")).status_code == 204
    assert await home_of(client, world) == "T01"
    assert (await client.get(path)).json()["customers"] == 0
    assert (await client.delete(f"{path}/{customer_id}")).status_code == 404


async def test_a_later_word_counts_and_leaves_what_lies_before_and_behind(
    client: httpx.AsyncClient, world: World
) -> None:
    path = f"{path_of(world)}/{world.own['customer_id']}"
    await client.put(path, json=WHY)
    days = [datetime.now(UTC) + timedelta(days=n) for n in (1, 2)]
    spell = {"from": days[0].isoformat(), "to": days[1].isoformat()}

    done = await client.put(path, json={"territory": "T1", "reason": "Fair", **spell})

    assert done.status_code == 200
    items = (await client.get(path_of(world))).json()["items"]
    items.sort(key=lambda item: item["from"])
    assert [item["territory"] for item in items] == ["T02", "T01", "T02"]
    ends = [(item["from"], item["to"]) for item in items]
    assert ends[0][1] == ends[1][0]
    assert ends[1][1] == ends[2][0]
    assert ends[2][1] is None
    assert [item["is_in_force"] for item in items] == [True, False, False]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**WHY, "territory": "T77"}, "/territory"),
        ({**WHY, "reason": ""}, "/reason"),
        ({**WHY, "from": "2020-01-01T00:00:00Z"}, "/from"),
        ({**WHY, "to": "2020-01-01T00:00:00Z"}, "/to"),
    ],
)
async def test_what_cannot_be_is_refused_by_field(
    client: httpx.AsyncClient, world: World, body: dict[str, Any], pointer: str
) -> None:
    path = path_of(world)

    answer = await client.put(f"{path}/{world.own['customer_id']}", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await client.get(path)).json()["items"] == []


async def test_a_customer_whom_the_layer_leaves_out_is_no_account(
    client: httpx.AsyncClient, world: World
) -> None:
    href = f"/v1/customers/{world.own['customer_id']}"
    await client.patch(href, json={"status": "inactive"}, headers=ANY_VERSION)

    answer = await client.put(f"{path_of(world)}/{world.own['customer_id']}", json=WHY)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "not-in-layer"
