"""Memory: an alert fires once, lasts, is acknowledged, resolves, and may fire again."""

import asyncio
from datetime import date
from typing import Any

import httpx
import numpy as np
import pytest

from app.db.session import Database
from app.db.tables import Layer
from app.policies import evaluate_layer
from app.policies.facts import Reader
from app.policies.rules import TerritoryFacts
from app.settings import Settings
from geo.cells import descendants
from tests.auth.clients import clients_of
from tests.conftest import ANY_VERSION
from tests.policies.conftest import (
    HERE,
    Field,
    add_policy,
    alerts,
    evaluated,
    field_of,
    places,
    territory_of,
)
from tests.search.crowd import add_customers
from tests.tiles.ground import patch

AWAY = "UPDATE customer SET status = 'inactive' WHERE external_id LIKE :like"
BACK = "UPDATE customer SET status = 'active' WHERE external_id LIKE :like"


async def facts_now(field: Field) -> dict[str, TerritoryFacts]:
    async with field.database.reading() as session:
        layer = await session.get_one(Layer, field.layer_id)
        seen = await Reader(session, layer, "UTC").now(date.today())
    return {territory.code: territory for territory in seen.facts.territories}


async def test_an_alert_fires_once_resolves_by_itself_and_fires_again(
    client: httpx.AsyncClient, field: Field
) -> None:
    policy = await add_policy(client, "max_customers", layer_id=field.layer_id,
                              parameters={"customers": 50})  # fmt: skip

    first = await evaluated(client, field.layer_id)
    second = await evaluated(client, field.layer_id)
    await field.run(AWAY, like="%")
    third = await evaluated(client, field.layer_id)
    await field.run(BACK, like="%")
    fourth = await evaluated(client, field.layer_id)

    codes = ["T01", "T02", "T03", "T04"]
    assert [alert["territory_code"] for alert in first["fired"]] == codes
    assert {alert["policy_id"] for alert in first["fired"]} == {policy["id"]}
    assert (second["fired"], second["n_lasting"]) == ([], 4)
    assert [alert["id"] for alert in third["resolved"]] == [a["id"] for a in first["fired"]]
    assert [alert["territory_code"] for alert in fourth["fired"]] == codes
    stored = await alerts(client)
    assert [alert["state"] for alert in stored] == ["resolved"] * 4 + ["open"] * 4
    assert {alert["resolution"] for alert in stored[:4]} == {"the condition no longer holds"}
    assert await alerts(client, state="open") == stored[4:]
    assert await alerts(client, policy_id=policy["id"], state=["resolved", "open"]) == stored
    assert await alerts(client, policy_id=policy["id"] + 1) == []
    assert await alerts(client, layer_id=field.layer_id + 1) == []


async def test_alerts_come_in_pages(client: httpx.AsyncClient, field: Field) -> None:
    await add_policy(client, "max_customers", parameters={"customers": 50})
    await evaluated(client, field.layer_id)

    answer = (await client.get("/v1/alerts", params={"limit": 3, "state": "open"})).json()
    following = {link["rel"]: link["href"] for link in answer["links"]}["next"]
    rest = (await client.get(following)).json()

    codes = [alert["territory_code"] for alert in [*answer["items"], *rest["items"]]]
    assert codes == ["T01", "T02", "T03", "T04"]
    assert "next" not in {link["rel"] for link in rest["links"]}


async def test_an_acknowledged_alert_lasts_and_resolves_like_any_other(
    client: httpx.AsyncClient, field: Field
) -> None:
    await add_policy(client, "max_customers", parameters={"customers": 50})
    alert_id = (await evaluated(client, field.layer_id))["fired"][0]["id"]
    address = f"/v1/alerts/{alert_id}"

    said = await client.post(f"{address}:acknowledge", json={"note": "After the fair"})
    again = await evaluated(client, field.layer_id)
    kept = (await client.get(address)).json()
    await field.run(AWAY, like="%")
    await evaluated(client, field.layer_id)
    late = await client.post(f"{address}:acknowledge", json={})

    assert (said.json()["state"], said.json()["note"]) == ("acknowledged", "After the fair")
    assert said.json()["acknowledged_by"] == "local"
    assert (again["fired"], kept["state"]) == ([], "acknowledged")
    assert (await client.get(address)).json()["state"] == "resolved"
    assert late.status_code == 409
    events = (await client.get("/v1/audit?entity=policy_firing")).json()["items"]
    assert [(event["entity_id"], event["after"]["note"]) for event in events] == [
        (alert_id, "After the fair")
    ]


async def test_what_is_not_known_neither_fires_nor_resolves(
    client: httpx.AsyncClient, field: Field
) -> None:
    policy = await add_policy(client, "growth", layer_id=field.layer_id)
    today = date.today()
    last_year = today.replace(year=today.year - 1, day=1)
    for digit in "1234":
        await field.run(AWAY, like=f"%{digit}")
    await field.keep_month(last_year)
    await field.run(BACK, like="%")

    fired = (await evaluated(client, field.layer_id))["fired"]
    await field.run("DELETE FROM measure_snapshot")
    after = await evaluated(client, field.layer_id)

    assert len(fired) == 4
    assert after["resolved"] == []
    assert after["unknown"] == [
        {
            "policy_id": policy["id"], "kind": "growth",
            "reason": f"no snapshot for {last_year:%Y-%m}",
        }
    ]  # fmt: skip
    assert [alert["state"] for alert in await alerts(client)] == ["open"] * len(fired)


async def test_without_a_plan_in_force_nothing_is_known(
    client: httpx.AsyncClient, field: Field
) -> None:
    await add_policy(client, "max_customers", parameters={"customers": 50})
    await evaluated(client, field.layer_id)
    await field.run("DELETE FROM publication")

    found = await evaluated(client, field.layer_id)

    assert (found["plan_id"], found["fired"], found["resolved"]) == (None, [], [])
    assert found["unknown"][0]["reason"] == "no plan is in force on the layer"


async def test_an_alert_stays_with_its_territory_when_another_plan_has_one_of_its_code(
    client: httpx.AsyncClient, field: Field
) -> None:
    await add_policy(client, "max_customers", parameters={"customers": 50})
    first = await evaluated(client, field.layer_id)
    await field.run("UPDATE territory SET code = 'T09' WHERE code = 'T04'")

    second = await evaluated(client, field.layer_id)

    assert [alert["territory_code"] for alert in second["fired"]] == ["T09"]
    assert [alert["id"] for alert in second["resolved"]] == [first["fired"][3]["id"]]
    assert second["n_lasting"] == 3


async def test_vacancy_is_counted_from_when_the_last_rep_left(
    client: httpx.AsyncClient, field: Field
) -> None:
    await add_policy(client, "vacancy", layer_id=field.layer_id)
    ends = "2026-03-05 12:00+00"
    await field.run(
        "UPDATE territory_owner SET during = tstzrange('2020-01-01', CAST(:ends AS timestamptz)) "
        "WHERE territory_id = :id",
        id=field.territory_ids[0], ends=ends,
    )  # fmt: skip

    found = await evaluated(client, field.layer_id)

    told = {alert["territory_code"]: alert for alert in found["fired"]}
    assert told.keys() == {"T01", "T04"}
    assert told["T01"]["evidence"]["vacant_since"] == "2026-03-05"
    # T04 never had one: since the plan is in force.
    assert told["T04"]["evidence"]["vacant_since"] == "2020-01-01"
    assert told["T01"]["sentence"] == "T01 has no rep since 2026-03-05: assign a rep."
    assert told["T01"]["proposal"] == "assign"


async def test_two_evaluations_at_once_fire_once(client: httpx.AsyncClient, field: Field) -> None:
    await add_policy(client, "max_customers", parameters={"customers": 50})

    found = await asyncio.gather(*(evaluated(client, field.layer_id) for _ in range(4)))

    assert sorted(len(one["fired"]) for one in found) == [0, 0, 0, 4]
    assert len(await alerts(client)) == 4


async def test_a_job_evaluates_in_its_own_transaction(
    client: httpx.AsyncClient, field: Field
) -> None:
    await add_policy(client, "max_customers", parameters={"customers": 50})

    async with field.database.writing() as session:
        fired = await evaluate_layer(session, field.layer_id, date(2026, 11, 28))

    stored = await alerts(client)
    assert [alert.id for alert in fired] == [alert["id"] for alert in stored]
    assert {alert["fired_on"] for alert in stored} == {"2026-11-28"}


@pytest.mark.parametrize("customer_filter", [{}, {"class": ["A", "B"]}, {"tag": ["key"]}])
@pytest.mark.parametrize("resolution", [5, 7, "mixed"])
async def test_customers_and_work_are_those_counted_one_by_one(
    client: httpx.AsyncClient, database: Database, customer_filter: dict[str, Any],
    resolution: int | str,
) -> None:  # fmt: skip
    level = 7 if resolution == "mixed" else int(resolution)
    cells = patch(*HERE, 0.9, level)
    if resolution == "mixed":
        # The finest has no rollup: there customers are summed up.
        fine = [descendants(cells[part::40], level + step) for part, step in ((0, 1), (1, 3))]
        rest = cells[np.arange(len(cells)) % 40 > 1]
        cells = np.sort(np.concatenate([rest, *fine]))
    field = await field_of(database, cells=cells, customer_filter=customer_filter)
    lon, lat, fine_cells = places(300)
    rng = np.random.default_rng(5)
    columns = {
        "class": rng.choice(["A", "B", "C"], 300).tolist(),
        "tags": rng.choice(["key", "other", ""], 300).tolist(),
        "status": rng.choice(["active", "lead", "inactive"], 300).tolist(),
        "work_minutes": rng.integers(1, 500, 300).astype(float).tolist(),
    }
    await add_customers(database, lon, lat, **columns)
    await field.run(
        """INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
        SELECT :layer_id, customer.id, CASE WHEN n < 20 THEN 'T01' ELSE 'T99' END,
            tstzrange('2020-01-01', NULL), 'Key account'
        FROM generate_series(0, 29) AS n JOIN customer ON external_id = 'C' || n""",
        layer_id=field.layer_id,
    )

    found = await facts_now(field)

    home = territory_of(field, fine_cells)
    home[:20], home[20:30] = 0, -1
    counts = np.array(columns["status"]) != "inactive"
    if "class" in customer_filter:
        counts &= np.isin(columns["class"], ["A", "B"])
    if "tag" in customer_filter:
        counts &= np.array(columns["tags"]) == "key"
    for nth in range(4):
        mine = counts & (home == nth)
        told = found[f"T0{nth + 1}"]
        assert told.customers == mine.sum()
        assert told.work_minutes == np.array(columns["work_minutes"])[mine].sum()


async def test_tags_and_states_have_no_history_and_that_is_said(
    client: httpx.AsyncClient, database: Database
) -> None:
    field = await field_of(database, customer_filter={"tag": ["key"]})
    await field.keep_month(date(2025, 11, 1))
    for kind in ("growth", "efficiency_gap"):
        await add_policy(client, kind)

    found = await evaluated(client, field.layer_id)

    assert {item["reason"] for item in found["unknown"]} == {
        "snapshots do not tell which customers have the tags or states of the layer"
    }


async def test_a_viewer_reads_no_evidence_on_a_few_and_nobody_else_s_words(
    settings: Settings, database: Database
) -> None:
    field = await field_of(database)
    lon, lat, cells = places(200)
    is_far = territory_of(field, cells) != 3
    few = np.flatnonzero(~is_far)[:3]
    kept = np.sort(np.concatenate([np.flatnonzero(is_far), few]))
    await add_customers(database, lon[kept], lat[kept], work_minutes=10.0)
    async with clients_of(settings, database) as client_as:
        planner, viewer = await client_as("planner"), await client_as("viewer")
        manager = await client_as("manager", field.reps["T01"])
        rep = await client_as("rep", field.reps["T02"])
        await add_policy(planner, "max_customers", parameters={"customers": 2})
        await add_policy(planner, "utilisation")
        await field.run("SELECT 1")
        fired = (await evaluated(planner, field.layer_id))["fired"]
        for alert in fired:
            await planner.post(f"/v1/alerts/{alert['id']}:acknowledge", json={"note": "Mr Li"})

        seen = await alerts(viewer)
        own = [await alerts(caller) for caller in (manager, rep)]
        detail = await alerts(planner)

    assert {alert["note"] for alert in detail} == {"Mr Li"}
    assert {alert["note"] for alert in [*seen, *own[0], *own[1]]} == {None}
    assert {alert["acknowledged_by"] for alert in seen} == {None}
    by_code = {(alert["territory_code"], alert["kind"]): alert for alert in seen}
    assert by_code["T04", "max_customers"]["evidence"] is None
    assert by_code["T04", "max_customers"]["sentence"] == "T04: Watch max_customers"
    # The smallest of the others is hidden as well: with it the few would be known from the sum.
    told = [by_code[code, "max_customers"]["evidence"] for code in ("T01", "T02", "T03")]
    assert sorted(evidence["customers"] > 5 for evidence in told if evidence) == [True, True]
    for territory, found in zip(("T01", "T02"), own, strict=True):
        assert {alert["territory_code"] for alert in found} == {territory}


async def test_limited_callers_are_not_compared_with_others(
    settings: Settings, database: Database, field: Field
) -> None:
    today = date.today()
    for month in range(1, 13):
        await field.keep_month(today.replace(month=month, day=1))
        await field.keep_month(today.replace(year=today.year - 1, month=month, day=1))
    await field.run("UPDATE rep SET fte = 9 WHERE external_id = 'R1'")
    async with clients_of(settings, database) as client_as:
        planner = await client_as("planner")
        rep = await client_as("rep", field.reps["T01"])
        await add_policy(planner, "efficiency_gap", parameters={"gap": 0.5})

        fired = (await evaluated(planner, field.layer_id))["fired"]

        assert [alert["territory_code"] for alert in fired] == ["T01"]
        assert fired[0]["evidence"]["gap"][0] < -0.5
        assert await alerts(rep) == []
        answer = await rep.get(f"/v1/alerts/{fired[0]['id']}")
        assert answer.status_code == 404


async def test_an_unknown_layer_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/policies:evaluate", json={"layer_id": 5})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/layer_id"


async def test_an_archived_policy_and_one_turned_off_have_no_open_alerts(
    client: httpx.AsyncClient, field: Field
) -> None:
    for change in ("patch", "delete"):
        policy = await add_policy(client, "max_customers", parameters={"customers": 50})
        await evaluated(client, field.layer_id)
        address = f"/v1/policies/{policy['id']}"
        if change == "patch":
            await client.patch(address, json={"enabled": False}, headers=ANY_VERSION)
        else:
            await client.delete(address, headers=ANY_VERSION)

        found = await alerts(client, policy_id=policy["id"])

        assert [alert["state"] for alert in found] == ["resolved"] * 4
        assert {alert["resolution"] for alert in found} == {
            "the policy does not count here any more"
        }
        assert (await evaluated(client, field.layer_id))["fired"] == []
