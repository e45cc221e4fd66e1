"""Back-tests: what evaluations of then have found, from snapshots; and what those do not tell."""

from datetime import date
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.activity import fold
from app.db.session import Database
from app.db.tables import Layer
from app.policies import evaluate_layer
from app.policies.facts import Reader
from tests.policies.conftest import (
    KINDS,
    Field,
    add_policy,
    field_of,
    places,
    territory_of,
)
from tests.search.crowd import add_customers

SMALL = {
    "max_customers": {"customers": 95},
    "growth": {"growth": 0.1},
    "efficiency_gap": {"gap": 0.05},
    "utilisation": {"tolerance": 0.01},
    "vacancy": {},
}


async def tried(
    client: httpx.AsyncClient, policy_id: int, first: str, last: str, **members: Any
) -> httpx.Response:
    body = {"from": first, "to": last, **members}
    return await client.post(f"/v1/policies/{policy_id}:backtest", json=body)


async def months_of(
    client: httpx.AsyncClient, policy_id: int, first: str, last: str, **members: Any
) -> list[dict[str, Any]]:
    answer = await tried(client, policy_id, first, last, **members)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["months"])


async def make_past(field: Field) -> None:
    """Keep the months from September 2024 to June 2026: customers come, revenue moves."""
    await field.run("UPDATE customer SET status = 'inactive' WHERE id % 3 = 0")
    month = date(2024, 9, 1)
    for nth in range(22):
        await field.run(
            "UPDATE customer SET status = 'active' WHERE id % 66 = :nth", nth=nth * 3 % 66
        )
        await field.run(
            "UPDATE customer SET revenue = revenue + id % 5 WHERE id % 4 = :n", n=nth % 4
        )
        await field.keep_month(month)
        month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


async def test_a_back_test_finds_what_an_evaluation_of_then_has_found(
    client: httpx.AsyncClient, field: Field
) -> None:
    await make_past(field)
    policies = {
        kind: (await add_policy(client, kind, parameters=SMALL[kind]))["id"] for kind in KINDS
    }
    # June is the newest picture: the customers of now are those of then.
    async with field.database.writing() as session:
        fired = await evaluate_layer(session, field.layer_id, date(2026, 6, 30))
    # Later everything is another.
    await field.run("UPDATE customer SET status = 'inactive' WHERE id % 5 < 3")
    await field.run("UPDATE customer SET revenue = 1, work_minutes = 1")
    await field.run("UPDATE measure_snapshot SET customers = 0 WHERE month = '2026-07-01'")

    for kind, policy_id in policies.items():
        (june,) = await months_of(
            client, policy_id, "2026-06-01", "2026-06-30", layer_id=field.layer_id
        )
        then = [alert for alert in fired if alert.kind == kind]
        assert then, kind
        assert june["unknown"] is None
        assert june["plan_id"] == field.plan_id
        assert [
            (found["territory_code"], found["sentence"], found["evidence"], found["proposal"])
            for found in june["fired"]
        ] == [(a.territory_code, a.sentence, a.evidence, a.proposal) for a in then], kind


async def test_nothing_is_stored_by_a_back_test(client: httpx.AsyncClient, field: Field) -> None:
    await make_past(field)
    policy = await add_policy(client, "max_customers", layer_id=field.layer_id,
                              parameters={"customers": 50})  # fmt: skip

    months = await months_of(client, policy["id"], "2026-04-15", "2026-06-30")

    assert [month["on"] for month in months] == ["2026-04-30", "2026-05-31", "2026-06-30"]
    assert [len(month["fired"]) for month in months] == [4, 4, 4]
    assert (await client.get("/v1/alerts")).json()["items"] == []


async def test_what_stood_at_the_end_of_the_month_before_is_not_new(
    client: httpx.AsyncClient, field: Field
) -> None:
    policy = await add_policy(client, "max_customers", layer_id=field.layer_id,
                              parameters={"customers": 50})  # fmt: skip
    await field.run("UPDATE customer SET status = 'inactive' WHERE id > 9")
    await field.keep_month(date(2026, 1, 1))
    await field.run("UPDATE customer SET status = 'active'")
    for month in (2, 3, 5):
        await field.keep_month(date(2026, month, 1))

    months = await months_of(client, policy["id"], "2026-01-01", "2026-05-31")
    later = await months_of(client, policy["id"], "2026-03-01", "2026-03-31")

    new = [[found["is_new"] for found in month["fired"]] for month in months]
    # April is not known: what stood before stands, and does not fire again in May.
    assert new == [[], [True] * 4, [False] * 4, [], [False] * 4]
    assert [month["unknown"] for month in months] == [
        None, None, None, "no snapshot for 2026-04", None,
    ]  # fmt: skip
    assert {found["is_new"] for found in later[0]["fired"]} == {False}


@pytest.mark.parametrize(
    ("kind", "gone", "reason"),
    [
        ("max_customers", "2026-06-01", "no snapshot for 2026-06"),
        ("utilisation", "2026-06-01", "no snapshot for 2026-06"),
        ("growth", "2025-06-01", "no snapshot for 2025-06"),
        ("growth", "2026-06-01", "no snapshot for 2026-06"),
        ("efficiency_gap", "2026-03-01", "no snapshot for 2026-03"),
        ("vacancy", "2026-06-01", None),
    ],
)
async def test_a_month_without_its_snapshots_says_so(
    client: httpx.AsyncClient, field: Field, kind: str, gone: str, reason: str | None
) -> None:
    await make_past(field)
    policy = await add_policy(client, kind, layer_id=field.layer_id, parameters=SMALL[kind])
    await field.run("DELETE FROM measure_snapshot WHERE month = CAST(:gone AS date)", gone=gone)

    (june,) = await months_of(client, policy["id"], "2026-06-01", "2026-06-30")

    assert june["unknown"] == reason
    assert bool(june["fired"]) == (reason is None)


async def test_each_month_is_judged_by_the_plan_and_the_owners_of_then(
    client: httpx.AsyncClient, field: Field
) -> None:
    policy = await add_policy(client, "vacancy", layer_id=field.layer_id)
    await field.run(
        "UPDATE publication SET during = tstzrange('2026-03-01', '2026-05-31 23:59:59.999+00')"
    )
    await field.run(
        """UPDATE territory_owner SET during = tstzrange('2026-03-01', '2026-04-10')
        WHERE territory_id = :id""",
        id=field.territory_ids[0],
    )

    months = await months_of(client, policy["id"], "2026-02-01", "2026-05-31")

    february, march, april, may = months
    assert february["unknown"] == "no plan is in force on the layer"
    assert [found["territory_code"] for found in march["fired"]] == ["T04"]
    assert [found["territory_code"] for found in april["fired"]] == ["T01", "T04"]
    assert april["fired"][0]["evidence"] == {
        "vacant_since": "2026-04-10", "days": 20, "threshold": 0, "on": "2026-04-30",
    }  # fmt: skip
    assert may["plan_id"] is None, "the plan ended before the last day did"


async def test_months_that_are_not_over_are_left_out(
    client: httpx.AsyncClient, field: Field
) -> None:
    policy = await add_policy(client, "vacancy", layer_id=field.layer_id)

    assert await months_of(client, policy["id"], "2150-01-01", "2150-12-31") == []
    assert await months_of(client, policy["id"], "2026-02-02", "2026-02-27") == []


async def test_what_is_of_today_is_said(client: httpx.AsyncClient, field: Field) -> None:
    await make_past(field)
    await field.run(
        """INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
        VALUES (:layer_id, 1, 'T01', tstzrange('2026-06-15', NULL), 'Key account')""",
        layer_id=field.layer_id,
    )
    policy = await add_policy(client, "utilisation", layer_id=field.layer_id)

    may, june = await months_of(client, policy["id"], "2026-05-01", "2026-06-30")

    of_today = "capacity and heads of reps are those of today"
    assert may["caveats"] == [of_today]
    assert june["caveats"] == [of_today, "named accounts are counted where they live"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"from": "2026-02-01", "to": "2026-01-31"}, "/to"),
        ({"from": "2010-01-01", "to": "2026-01-31"}, "/to"),
        ({"from": "2026-02-30", "to": "2026-03-31"}, "/from"),
        ({"from": 5, "to": "2026-03-31"}, "/from"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-03-31"}, "/from"),
        ({"from": "0001-01-01", "to": "0002-03-31"}, "/from"),
        ({"from": "2026-01-01", "to": "9999-12-31"}, "/to"),
        ({"to": "2026-03-31"}, "/from"),
        ({"from": "2026-01-01", "to": "2026-03-31"}, "/layer_id"),
        ({"from": "2026-01-01", "to": "2026-03-31", "layer_id": 99}, "/layer_id"),
        ({"from": "2026-01-01", "to": "2026-03-31", "layer": 1}, "/layer"),
    ],
)
async def test_days_and_layers_that_cannot_be_meant_are_refused(
    client: httpx.AsyncClient, database: Database, body: dict[str, Any], pointer: str
) -> None:
    policy = await add_policy(client, "vacancy")

    answer = await client.post(f"/v1/policies/{policy['id']}:backtest", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_policy_of_one_layer_is_not_tried_on_another(
    client: httpx.AsyncClient, field: Field
) -> None:
    other = (await client.post("/v1/layers", json={"name": "other"})).json()["id"]
    policy = await add_policy(client, "vacancy", layer_id=field.layer_id)

    answer = await tried(client, policy["id"], "2026-01-01", "2026-02-01", layer_id=other)
    ten_years = await tried(client, policy["id"], "2016-03-01", "2026-02-28")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "other-layer"
    assert ten_years.status_code == 200
    assert len(ten_years.json()["months"]) == 120


@pytest.mark.parametrize("resolution", [5, 6, 7, 8])
async def test_a_snapshot_of_today_folds_to_the_customers_of_today(
    database: Database, resolution: int
) -> None:
    field = await field_of(database, resolution)
    lon, lat, cells = places(500)
    await add_customers(database, lon, lat, work_minutes=10.0)
    await fold(database)
    await field.keep_month(date(2026, 6, 1))

    async with database.reading() as session:
        layer = await session.get_one(Layer, field.layer_id)
        seen = await Reader(session, layer, "UTC").at_end_of(date(2026, 6, 1))

    home = territory_of(field, cells)
    wanted = [int((home == nth).sum()) for nth in range(4)]
    assert [territory.customers for territory in seen.facts.territories] == wanted
    assert [territory.work_minutes for territory in seen.facts.territories] == [
        n * 10.0 for n in wanted
    ]


async def test_a_cell_that_territories_share_is_taken_to_have_grown_alike(
    database: Database,
) -> None:
    field = await field_of(database, 8)
    lon, lat, cells = places(500)
    await add_customers(database, lon, lat)
    await field.keep_month(date(2025, 6, 1))
    async with database.writing() as session:
        await session.execute(text("UPDATE measure_snapshot SET customers = customers * 2"))

    async with database.reading() as session:
        layer = await session.get_one(Layer, field.layer_id)
        seen = await Reader(session, layer, "UTC").at_end_of(date(2025, 6, 1))

    home = territory_of(field, cells)
    wanted = [2 * int((home == nth).sum()) for nth in range(4)]
    assert [territory.customers for territory in seen.facts.territories] == wanted
    assert sum(wanted) == 2 * np.count_nonzero(home >= 0)
