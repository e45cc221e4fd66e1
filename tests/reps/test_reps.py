"""Reps over HTTP."""

from typing import Any

import httpx
import pytest

from app.db.session import Database
from app.db.tables import TerritoryOwner
from tests.conftest import ANY_VERSION
from tests.ground import ALWAYS, put_in_force

FULL = {
    "name": "Lin Mei",
    "home_lon": 121.44,
    "home_lat": 31.2,
    "days_per_year": 200.0,
    "hours_per_day": 7.5,
    "field_share": 0.5,
    "ability": 0.9,
    "fte": 2.0,
    "skills": ["hospital"],
    "manager_id": None,
}


async def _put(
    client: httpx.AsyncClient, external_id: str, status: int = 201, **members: Any
) -> dict[str, Any]:
    answer = await client.put(
        f"/v1/reps/by-external-id/{external_id}", json={"name": external_id, **members}
    )
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_created_rep_reads_back_with_its_capacity(client: httpx.AsyncClient) -> None:
    created = await client.post("/v1/reps", json={**FULL, "external_id": "REP-1"})

    assert created.status_code == 201
    read = (await client.get(created.headers["Location"])).json()
    assert read == created.json()
    assert {name: read[name] for name in FULL} == FULL
    assert read["capacity_minutes"] == pytest.approx(200 * 7.5 * 60 * 0.5 * 0.9 * 2)


async def test_a_rep_may_have_no_home(client: httpx.AsyncClient) -> None:
    rep = await _put(client, "r")

    assert (rep["home_lon"], rep["home_lat"]) == (None, None)


async def test_a_home_at_zero_is_a_home(client: httpx.AsyncClient) -> None:
    rep = await _put(client, "r", home_lon=0, home_lat=0)

    assert (rep["home_lon"], rep["home_lat"]) == (0, 0)


@pytest.mark.parametrize("half", [{"home_lon": 121.44}, {"home_lat": 31.2}])
async def test_half_a_home_is_refused(client: httpx.AsyncClient, half: dict[str, float]) -> None:
    answer = await client.put("/v1/reps/by-external-id/r", json={"name": "R", **half})

    assert answer.status_code == 422
    assert "belong together" in answer.text


async def test_repeating_an_upsert_changes_nothing(client: httpx.AsyncClient) -> None:
    first = await _put(client, "r", **FULL)

    assert await _put(client, "r", 200, **FULL) == first


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"home_lon": None, "home_lat": None},
        {"home_lon": 121.45},
        {"fte": 1.0},
        {"skills": []},
    ],
)
async def test_an_upsert_that_changes_something_raises_the_version(
    client: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    await _put(client, "r", **FULL)

    after = await _put(client, "r", 200, **{**FULL, **change})

    assert after["version"] == 2
    assert {name: after[name] for name in change} == change


async def test_an_external_id_is_taken_once(client: httpx.AsyncClient) -> None:
    await _put(client, "r")

    answer = await client.post("/v1/reps", json={**FULL, "external_id": "r"})

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/external_id"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_manager_who_does_not_exist_is_refused(
    client: httpx.AsyncClient, method: str
) -> None:
    body = {**FULL, "manager_id": 999}
    if method == "POST":
        answer = await client.post("/v1/reps", json={**body, "external_id": "r"})
    else:
        answer = await client.put("/v1/reps/by-external-id/r", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/manager_id"


@pytest.mark.parametrize(
    "wrong",
    [
        {"days_per_year": 0},
        {"days_per_year": 367},
        {"hours_per_day": 25},
        {"field_share": 1.01},
        {"fte": -1},
        {"home_lon": 31.2, "home_lat": 121.44},
        {"skills": ["a\x00b"]},
    ],
)
async def test_values_that_cannot_be_are_refused(
    client: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await client.put("/v1/reps/by-external-id/r", json={**FULL, **wrong})

    assert answer.status_code == 422


async def test_deleting_a_rep_leaves_its_team_without_manager(client: httpx.AsyncClient) -> None:
    head = await _put(client, "head")
    rep = await _put(client, "rep", manager_id=head["id"])

    assert (await client.delete(f"/v1/reps/{head['id']}", headers=ANY_VERSION)).status_code == 204

    assert (await client.get(f"/v1/reps/{rep['id']}")).json()["manager_id"] is None
    assert (await client.get(f"/v1/reps/{head['id']}")).status_code == 404
    assert (await client.delete(f"/v1/reps/{head['id']}", headers=ANY_VERSION)).status_code == 404


async def test_a_rep_who_was_ever_responsible_stays_known(
    client: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    head = await _put(client, "head")
    async with database.writing() as session:
        session.add(
            TerritoryOwner(territory_id=plan.territories["T01"], rep_id=head["id"], during=ALWAYS)
        )

    answer = await client.delete(f"/v1/reps/{head['id']}", headers=ANY_VERSION)

    assert answer.status_code == 409
    assert (await client.get(f"/v1/reps/{head['id']}")).status_code == 200


async def test_the_list_holds_every_rep(client: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c"):
        await _put(client, name)

    answer = (await client.get("/v1/reps")).json()

    assert [rep["external_id"] for rep in answer["items"]] == ["a", "b", "c"]
