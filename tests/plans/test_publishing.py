"""Bringing plans into force, and looking territories up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.db.session import Database
from tests.conftest import ANY_VERSION
from tests.plans.checks import cell_of
from tests.plans.conftest import DesignPlan, add_customers

pytestmark = pytest.mark.usefixtures("designed_once")


@pytest.fixture
async def plan_id(customers: int, layer_id: int, design_plan: DesignPlan) -> int:
    run = await design_plan(layer_id=layer_id, n_territories=4)
    return int(run["result"]["plan_id"])


@pytest.fixture
async def other_plan_id(plan_id: int, layer_id: int, design_plan: DesignPlan) -> int:
    run = await design_plan(layer_id=layer_id, n_territories=5)
    return int(run["result"]["plan_id"])


async def publish(client: httpx.AsyncClient, plan_id: int, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/plans/{plan_id}:publish", json=body, headers=ANY_VERSION)


async def test_a_published_plan_is_in_force(
    client: httpx.AsyncClient, plan_id: int, layer_id: int
) -> None:
    answer = await publish(client, plan_id)

    assert answer.status_code == 201
    layer = (await client.get(f"/v1/layers/{layer_id}")).json()
    assert layer["plan_in_force"]["plan_id"] == plan_id
    assert (await client.get(f"/v1/plans/{plan_id}")).json()["state"] == "published"


async def test_lookup_list_filter_and_cells_agree_on_every_customer(
    client: httpx.AsyncClient, database: Database, plan_id: int
) -> None:
    await publish(client, plan_id)
    plan = (await client.get(f"/v1/plans/{plan_id}")).json()
    cells = dict((await client.get(f"/v1/plans/{plan_id}/cells")).json()["cells"])
    async with database.reading() as session:
        rows = await session.execute(text("SELECT id, ST_X(geom), ST_Y(geom) FROM customer"))
        customers = [tuple(row) for row in rows]

    points = [{"lon": lon, "lat": lat} for _, lon, lat in customers]
    found = (await client.post("/v1/territories/at:batch", json={"points": points})).json()["items"]
    by_lookup = {
        customer[0]: placements[0]["territory"]["code"] if placements else None
        for customer, placements in zip(customers, found, strict=True)
    }
    by_cell = {
        number: cells.get(cell_of(lon, lat, plan["resolutions"][0]))
        for number, lon, lat in customers
    }
    by_filter: dict[int, str | None] = dict.fromkeys(by_cell)
    for row in plan["balance"]:
        listed = await client.get(
            "/v1/customers", params={"territory_id": row["territory_id"], "limit": 1000}
        )
        by_filter |= {item["id"]: row["code"] for item in listed.json()["items"]}

    assert by_lookup == by_cell == by_filter


async def test_territory_at_a_point_names_the_rep_whose_home_is_near(
    client: httpx.AsyncClient, plan_id: int
) -> None:
    plan = (await client.get(f"/v1/plans/{plan_id}")).json()
    for row in plan["balance"]:
        lon, lat = row["label_point"]
        rep = {"external_id": row["code"], "name": row["code"], "home_lon": lon, "home_lat": lat}
        assert (await client.post("/v1/reps", json=rep)).status_code == 201

    assert (await publish(client, plan_id)).json()["owners"] == 4

    for row in plan["balance"]:
        lon, lat = row["label_point"]
        answer = await client.get("/v1/territories/at", params={"lon": lon, "lat": lat})
        (item,) = answer.json()["items"]
        assert item["territory"]["code"] == item["rep"]["name"] == row["code"]


async def test_white_space_is_an_empty_answer(client: httpx.AsyncClient, plan_id: int) -> None:
    await publish(client, plan_id)

    answer = await client.get("/v1/territories/at", params={"lon": -150, "lat": 0})

    assert answer.json() == {"items": []}


async def test_the_next_plan_takes_over_at_its_instant_and_the_past_is_kept(
    client: httpx.AsyncClient, plan_id: int, other_plan_id: int
) -> None:
    await publish(client, plan_id)
    start = datetime.now(UTC) + timedelta(hours=1)
    assert (await publish(client, other_plan_id, effective_from=start.isoformat())).is_success

    async def plan_at(instant: datetime) -> int:
        params = {"lon": 113.0, "lat": 30.5, "as_of": instant.isoformat()}
        (item,) = (await client.get("/v1/territories/at", params=params)).json()["items"]
        return int(item["plan_id"])

    assert await plan_at(start - timedelta(seconds=1)) == plan_id
    assert await plan_at(start) == other_plan_id


async def test_a_replaced_plan_is_superseded(
    client: httpx.AsyncClient, plan_id: int, other_plan_id: int
) -> None:
    await publish(client, plan_id)
    await publish(client, other_plan_id)

    plans = (await client.get("/v1/plans")).json()["items"]

    assert {plan["id"]: plan["state"] for plan in plans} == {
        plan_id: "superseded",
        other_plan_id: "published",
    }


async def test_two_layers_over_the_same_ground_each_have_their_plan(
    client: httpx.AsyncClient, plan_id: int, layer_id: int, design_plan: DesignPlan
) -> None:
    body = {"name": "education", "customer_filter": {"segment": ["education"]}}
    education_id = (await client.post("/v1/layers", json=body)).json()["id"]
    run = await design_plan(layer_id=education_id, n_territories=2)
    education_plan_id = run["result"]["plan_id"]
    await publish(client, plan_id)
    await publish(client, education_plan_id)

    answer = await client.get("/v1/territories/at", params={"lon": 113.0, "lat": 30.5})

    assert {item["layer_id"]: item["plan_id"] for item in answer.json()["items"]} == {
        layer_id: plan_id,
        education_id: education_plan_id,
    }
    only = {"lon": 113.0, "lat": 30.5, "layer": education_id}
    (item,) = (await client.get("/v1/territories/at", params=only)).json()["items"]
    assert item["plan_id"] == education_plan_id


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"effective_from": "2020-01-01T00:00:00Z"}, 422),
        ({"effective_from": "tomorrow"}, 422),
        ({"effective_from": "2030-01-01T00:00:00"}, 422),
        ({"when": "now"}, 422),
    ],
)
async def test_a_wrong_instant_is_refused(
    client: httpx.AsyncClient, plan_id: int, change: dict[str, Any], status: int
) -> None:
    answer = await publish(client, plan_id, **change)

    assert answer.status_code == status
    assert (await client.get(f"/v1/plans/{plan_id}")).json()["state"] == "draft"


async def test_a_plan_in_force_cannot_be_published_again(
    client: httpx.AsyncClient, plan_id: int
) -> None:
    await publish(client, plan_id)

    assert (await publish(client, plan_id)).status_code == 409


async def test_nothing_comes_into_force_before_a_published_successor(
    client: httpx.AsyncClient, plan_id: int, other_plan_id: int
) -> None:
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    await publish(client, plan_id, effective_from=later)

    answer = await publish(client, other_plan_id)

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["code"] == "successor"


async def test_an_unknown_plan_cannot_be_published(client: httpx.AsyncClient) -> None:
    assert (await publish(client, 4711)).status_code == 404


async def test_drift_is_none_right_after_publishing_and_shows_new_customers(
    client: httpx.AsyncClient, database: Database, plan_id: int
) -> None:
    await publish(client, plan_id)
    before = (await client.get(f"/v1/plans/{plan_id}/drift")).json()
    assert before["is_within_tolerance"]
    for row in before["territories"]:
        assert row["imbalance"] == pytest.approx(row["imbalance_as_designed"])

    lon, lat = (await client.get(f"/v1/plans/{plan_id}")).json()["balance"][0]["label_point"]
    await add_customers(database, np.full(60, lon), np.full(60, lat), "N")

    after = (await client.get(f"/v1/plans/{plan_id}/drift")).json()
    drifted = after["territories"][0]
    assert drifted["customers"] == before["territories"][0]["customers"] + 60
    assert drifted["imbalance"] > after["tolerance"]
    assert not after["is_within_tolerance"]


async def test_drift_of_a_draft_is_refused(client: httpx.AsyncClient, plan_id: int) -> None:
    assert (await client.get(f"/v1/plans/{plan_id}/drift")).status_code == 409


async def test_a_publication_that_has_not_begun_can_be_withdrawn(
    client: httpx.AsyncClient, plan_id: int, other_plan_id: int
) -> None:
    await publish(client, plan_id)
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    await publish(client, other_plan_id, effective_from=later)

    assert (
        await client.post(f"/v1/plans/{other_plan_id}:withdraw", headers=ANY_VERSION)
    ).status_code == 204

    params = {
        "lon": 113.0,
        "lat": 30.5,
        "as_of": (datetime.now(UTC) + timedelta(days=3)).isoformat(),
    }
    (item,) = (await client.get("/v1/territories/at", params=params)).json()["items"]
    assert item["plan_id"] == plan_id
    assert (await client.get(f"/v1/plans/{other_plan_id}")).json()["state"] == "draft"
    assert (
        await client.post(f"/v1/plans/{plan_id}:withdraw", headers=ANY_VERSION)
    ).status_code == 409
    assert (await publish(client, other_plan_id)).is_success


async def test_a_rep_with_territories_cannot_be_deleted(
    client: httpx.AsyncClient, plan_id: int
) -> None:
    rep = {"external_id": "R", "name": "R", "home_lon": 113, "home_lat": 30}
    rep_id = (await client.post("/v1/reps", json=rep)).json()["id"]
    await publish(client, plan_id)

    answer = await client.delete(f"/v1/reps/{rep_id}", headers=ANY_VERSION)

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["code"] == "in-use"
