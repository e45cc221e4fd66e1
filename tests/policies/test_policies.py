"""Policies as people make and change them: kinds, versions, which of them counts, and refusals."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.session import Database
from tests.conftest import ANY_VERSION
from tests.db.databases import NewDatabase, new_database, owner
from tests.policies.conftest import KINDS, Field, add_policy, alerts, evaluated

__all__ = ["new_database"]


def test_a_new_database_watches_every_layer_for_the_numbers_of_the_sources(
    new_database: NewDatabase,
) -> None:
    with owner(new_database()) as connection:
        found = connection.execute(
            "SELECT kind, layer_id, parameters, proposal, enabled, version FROM policy ORDER BY id"
        ).fetchall()
        versions = connection.execute("SELECT count(*) FROM policy_version").fetchone()
        events = connection.execute("SELECT count(*) FROM audit_event").fetchone()

    assert found == [
        ("max_customers", None, {"customers": 150}, "split", True, 1),
        ("growth", None, {"growth": 0.3, "min_base": 20}, "split", True, 1),
        ("efficiency_gap", None, {"gap": 0.2}, "rebalance", True, 1),
        ("utilisation", None, {"tolerance": 0.15}, "rebalance", True, 1),
        ("vacancy", None, {"grace_days": 0}, "assign", True, 1),
    ]
    assert (versions, events) == ((5,), (0,))


async def test_a_policy_without_numbers_has_those_a_new_database_has(
    client: httpx.AsyncClient,
) -> None:
    made = [await add_policy(client, kind) for kind in KINDS]

    assert [(policy["parameters"], policy["proposal"]) for policy in made] == [
        ({"customers": 150}, "split"),
        ({"growth": 0.3, "min_base": 20}, "split"),
        ({"gap": 0.2}, "rebalance"),
        ({"tolerance": 0.15}, "rebalance"),
        ({"grace_days": 0}, "assign"),
    ]
    listed = (await client.get("/v1/policies")).json()["items"]
    assert listed == made


async def test_a_change_makes_a_version_and_alerts_keep_that_under_which_they_fired(
    client: httpx.AsyncClient, field: Field
) -> None:
    made = await client.post(
        "/v1/policies",
        json={"kind": "max_customers", "name": "Fifty", "parameters": {"customers": 50}},
    )
    address = made.headers["Location"]
    await evaluated(client, field.layer_id)

    patch = {"parameters": {"customers": 60}, "name": "Sixty"}
    changed = await client.patch(address, json=patch, headers={"If-Match": made.headers["ETag"]})
    same = await client.patch(address, json=patch, headers=ANY_VERSION)
    again = await evaluated(client, field.layer_id)

    assert (changed.json()["version"], changed.json()["parameters"]) == (2, {"customers": 60})
    assert changed.headers["ETag"] == (await client.get(address)).headers["ETag"]
    assert same.json() == changed.json(), "what changes nothing is no version"
    versions = (await client.get(f"{address}/versions")).json()
    assert [(v["version"], v["name"], v["parameters"]["customers"]) for v in versions] == [
        (1, "Fifty", 50), (2, "Sixty", 60),
    ]  # fmt: skip
    assert {version["made_by"] for version in versions} == {"local"}
    assert (again["fired"], again["n_lasting"]) == ([], 4)
    assert {(a["policy_version"], a["policy_name"]) for a in await alerts(client)} == {(1, "Fifty")}


async def test_only_the_newest_version_is_changed(client: httpx.AsyncClient) -> None:
    policy = await add_policy(client, "vacancy")
    address = f"/v1/policies/{policy['id']}"
    tag = (await client.get(address)).headers["ETag"]

    without = await client.patch(address, json={"name": "X"})
    first = await client.patch(address, json={"name": "X"}, headers={"If-Match": tag})
    late = await client.patch(address, json={"name": "Y"}, headers={"If-Match": tag})
    gone = await client.delete(address, headers={"If-Match": tag})
    unchanged = await client.get(address, headers={"If-None-Match": first.headers["ETag"]})

    statuses = [answer.status_code for answer in (without, first, late, gone, unchanged)]
    assert statuses == [428, 200, 412, 412, 304]
    assert (await client.get(address)).json()["name"] == "X"


async def test_an_archived_policy_stays_with_its_history_and_cannot_be_changed(
    client: httpx.AsyncClient,
) -> None:
    policy = await add_policy(client, "growth")
    address = f"/v1/policies/{policy['id']}"

    gone = await client.delete(address, headers=ANY_VERSION)
    late = await client.patch(address, json={"name": "X"}, headers=ANY_VERSION)
    twice = await client.delete(address, headers=ANY_VERSION)

    assert [gone.status_code, late.status_code, twice.status_code] == [204, 409, 409]
    assert (await client.get(address)).json()["archived_at"] is not None
    assert len((await client.get(f"{address}/versions")).json()) == 1
    assert (await client.get("/v1/policies")).json()["items"] == []
    archived = (await client.get("/v1/policies?archived=true")).json()["items"]
    assert [item["id"] for item in archived] == [policy["id"]]


async def test_the_policies_of_a_layer_stand_in_for_the_general_ones_of_their_kind(
    client: httpx.AsyncClient, field: Field
) -> None:
    general = await add_policy(client, "max_customers", parameters={"customers": 50})
    vacancy = await add_policy(client, "vacancy")
    own = await add_policy(client, "max_customers", layer_id=field.layer_id,
                           parameters={"customers": 5000})  # fmt: skip

    first = await evaluated(client, field.layer_id)
    # Turned off it still stands in: so a general one is turned off for one layer.
    address = f"/v1/policies/{own['id']}"
    await client.patch(address, json={"enabled": False}, headers=ANY_VERSION)
    second = await evaluated(client, field.layer_id)
    await client.delete(address, headers=ANY_VERSION)
    third = await evaluated(client, field.layer_id)

    assert {alert["policy_id"] for alert in first["fired"]} == {vacancy["id"]}
    assert second["fired"] == []
    assert {alert["policy_id"] for alert in third["fired"]} == {general["id"]}
    listed = await client.get("/v1/policies", params={"layer_id": field.layer_id})
    assert [item["id"] for item in listed.json()["items"]] == [general["id"], vacancy["id"]]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"kind": "max_customers", "parameters": {"customers": -1}}, "/parameters/customers"),
        ({"kind": "max_customers", "parameters": {"customers": 0}}, "/parameters/customers"),
        ({"kind": "max_customers", "parameters": {"customers": True}}, "/parameters/customers"),
        ({"kind": "max_customers", "parameters": {"customers": 1.5}}, "/parameters/customers"),
        ({"kind": "max_customers", "parameters": {"growth": 0.3}}, "/parameters/growth"),
        ({"kind": "growth", "parameters": {"growth": -0.3}}, "/parameters/growth"),
        ({"kind": "growth", "parameters": {"growth": 0}}, "/parameters/growth"),
        ({"kind": "growth", "parameters": {"growth": 1e300}}, "/parameters/growth"),
        ({"kind": "growth", "parameters": {"min_base": 0}}, "/parameters/min_base"),
        ({"kind": "efficiency_gap", "parameters": {"gap": -0.2}}, "/parameters/gap"),
        ({"kind": "utilisation", "parameters": {"tolerance": "no"}}, "/parameters/tolerance"),
        ({"kind": "vacancy", "parameters": {"grace_days": -1}}, "/parameters/grace_days"),
        ({"kind": "vacancy", "proposal": "fire"}, "/proposal"),
        ({"kind": "vacancy", "layer_id": 99}, "/layer_id"),
        ({"kind": "vacancy", "layer_id": -1}, "/layer_id"),
        ({"kind": "vacancy", "name": ""}, "/name"),
        ({"kind": "vacancy", "colour": "red"}, "/colour"),
        ({"kind": "weather"}, "/"),
        ({}, "/"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_its_place(
    client: httpx.AsyncClient, database: Database, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/policies", json={"name": "N", **body})

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM policy")) == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
async def test_numbers_that_json_has_not_are_refused(
    client: httpx.AsyncClient, number: str
) -> None:
    body = f'{{"kind": "growth", "name": "N", "parameters": {{"growth": {number}}}}}'

    answer = await client.post(
        "/v1/policies", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"kind": "growth"}, "/kind"),
        ({"layer_id": 1}, "/layer_id"),
        ({"id": 5}, "/id"),
        ({"parameters": {"customers": -5}}, "/parameters/customers"),
        ({"parameters": {"gap": 0.2}}, "/parameters/gap"),
        ({"proposal": "nothing"}, "/proposal"),
        ({"version": 9}, "/version"),
    ],
)
async def test_a_refused_change_makes_no_version(
    client: httpx.AsyncClient, patch: dict[str, Any], pointer: str
) -> None:
    policy = await add_policy(client, "max_customers")
    address = f"/v1/policies/{policy['id']}"

    answer = await client.patch(address, json=patch, headers=ANY_VERSION)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await client.get(address)).json() == policy


async def test_a_member_that_is_removed_gets_its_default(client: httpx.AsyncClient) -> None:
    policy = await add_policy(client, "max_customers", parameters={"customers": 9})
    address = f"/v1/policies/{policy['id']}"

    answer = await client.patch(address, json={"parameters": None}, headers=ANY_VERSION)

    assert answer.json()["parameters"] == {"customers": 150}


async def test_policies_come_in_pages(client: httpx.AsyncClient) -> None:
    made = [(await add_policy(client, kind))["id"] for kind in KINDS]

    page = (await client.get("/v1/policies?limit=3")).json()
    rest = (await client.get(page["links"][1]["href"])).json()

    assert [item["id"] for item in page["items"] + rest["items"]] == made
