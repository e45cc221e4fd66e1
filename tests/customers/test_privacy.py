"""What is held about one customer is given out whole, and goes away whole."""

import subprocess
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.access import Access
from app.db.cluster import Cluster
from app.db.session import Database
from app.settings import Settings
from tests.conftest import ANY_VERSION, Drain
from tests.ground import put_in_force

MARK = "Zyxwvu"
BODY = {
    "external_id": f'{MARK}-"17"', "name": f"{MARK} Clinic", "lon": 121.4987654, "lat": 31.2345678,
    "attributes": {"phone": f"{MARK}-555"},
}  # fmt: skip


ITS_ROW = f'"{MARK}-""17""",{MARK},121.5,31.2'
ITS_FILE = {"file": ("c.csv", f"external_id,name,lon,lat\n{ITS_ROW}\n".encode())}


@pytest.fixture
async def customer(client: httpx.AsyncClient, database: Database, drain: Drain) -> dict[str, Any]:
    """A customer that has left traces wherever one can."""
    made = await client.post("/v1/customers", json=BODY, headers={"Idempotency-Key": "k"})
    customer: dict[str, Any] = made.json()
    plan = await put_in_force(database)
    async with database.writing() as session:
        await session.execute(
            text(
                "INSERT INTO customer_override (layer_id, customer_id, territory_code, during,"
                " reason) VALUES (:layer, :customer, 'T01', tstzrange(now(), NULL), :reason)"
            ),
            {"layer": plan.layer_id, "customer": customer["id"], "reason": f"{MARK} asked"},
        )
    async with database.writing() as session:
        await session.execute(
            text("UPDATE customer_override SET reason = :reason"), {"reason": f"{MARK} asked again"}
        )
    await client.patch(
        f"/v1/customers/{customer['id']}", json={"name": f"{MARK} Hospital"}, headers=ANY_VERSION
    )
    for on_error in ("skip", "abort"):
        row = f'"{MARK}-""17""",{MARK},121.5,31.2'
        bad = f'"{MARK}-""17""",{MARK},121.5,far away'
        rows = "\n".join(["external_id,name,lon,lat", row, row, bad, ""])
        form = {"kind": "customers", "on_error": on_error}
        await client.post("/v1/imports", data=form, files={"file": ("c.csv", rows.encode())})
    await drain()
    return customer


def _dump(settings: Settings) -> str:
    places = Cluster(settings.home).places
    url = Access.of(settings).owner_url.set(drivername="postgresql")
    command = [places.binaries / "pg_dump", "--inserts", url.render_as_string(False)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_all_that_is_held_is_given_out(
    client: httpx.AsyncClient, customer: dict[str, Any]
) -> None:
    answer = await client.get(f"/v1/customers/{customer['id']}/personal-data")

    data = answer.json()
    assert data["customer"]["external_id"] == BODY["external_id"]
    assert data["named_accounts"][0]["reason"] == f"{MARK} asked again"
    actions = [(change["entity"], change["action"]) for change in data["changes"]]
    assert actions[0] == ("customer", "insert")
    assert ("customer_override", "insert") in actions
    assert ("customer_override", "update") in actions
    assert ("customer", "update") in actions
    (answer,) = data["answers"]
    assert MARK in answer["body"]
    assert len(data["import_faults"]) == 2, "as many as :erase removes"
    assert data["import_errors"]
    assert all(MARK in fault["detail"] for fault in data["import_errors"])


async def test_after_a_deletion_all_that_is_still_held_is_given_out(
    client: httpx.AsyncClient, customer: dict[str, Any]
) -> None:
    href = f"/v1/customers/{customer['id']}"
    before = (await client.get(f"{href}/personal-data")).json()
    await client.delete(href, headers=ANY_VERSION)

    deleted = (await client.get(f"{href}/personal-data")).json()
    await client.post(f"{href}:erase")
    erased = await client.get(f"{href}/personal-data")

    assert deleted["customer"] is None
    assert deleted["named_accounts"] == []
    assert ("customer", "delete") in [(c["entity"], c["action"]) for c in deleted["changes"]]
    for copies in ("answers", "import_faults", "import_errors"):
        assert deleted[copies] == before[copies] != []
    assert erased.status_code == 404


async def test_what_is_another_object_s_is_not_given_out(
    client: httpx.AsyncClient, customer: dict[str, Any]
) -> None:
    rep = {"external_id": BODY["external_id"], "name": "A rep of the same id"}
    made = await client.post("/v1/reps", json=rep, headers={"Idempotency-Key": "rep"})
    assert made.status_code == 201

    data = (await client.get(f"/v1/customers/{customer['id']}/personal-data")).json()

    assert "A rep of the same id" not in str(data)


@pytest.mark.parametrize("is_deleted_before", [False, True])
async def test_nothing_of_an_erased_customer_is_left_in_the_database(
    client: httpx.AsyncClient,
    settings: Settings,
    customer: dict[str, Any],
    is_deleted_before: bool,
) -> None:
    neighbour = {**BODY, "external_id": "other", "name": "Other", "attributes": {}}
    await client.post("/v1/customers", json=neighbour, headers={"Idempotency-Key": "other"})
    href = f"/v1/customers/{customer['id']}"
    assert MARK in _dump(settings)
    if is_deleted_before:
        assert (await client.delete(href, headers=ANY_VERSION)).status_code == 204

    erasure = await client.post(f"{href}:erase")

    assert erasure.status_code == 200, erasure.text
    assert erasure.json()["import_faults_removed"] == 2
    assert MARK not in _dump(settings)
    assert (await client.get(href)).status_code == 404
    events = (await client.get("/v1/audit", params={"entity": "customer"})).json()["items"]
    of_it = [event for event in events if event["entity_id"] == customer["id"]]
    assert of_it[-1]["action"] == "erase"
    assert all(event["before"] is event["after"] is None for event in of_it)
    of_other = [event for event in events if event["entity_id"] not in (customer["id"], None)]
    assert of_other[0]["after"]["name"] == "Other", "others are as they were"
    again = await client.post("/v1/customers", json=neighbour, headers={"Idempotency-Key": "other"})
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_while_an_import_could_bring_it_back_nothing_is_erased(
    client: httpx.AsyncClient, customer: dict[str, Any]
) -> None:
    await client.post("/v1/imports", data={"kind": "customers"}, files=ITS_FILE)

    answer = await client.post(f"/v1/customers/{customer['id']}:erase")

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["code"] == "import-unfinished"


@pytest.mark.parametrize("state", ["cancelled", "failed"])
async def test_nothing_of_an_erased_customer_is_left_in_the_file_of_an_import_that_is_over(
    client: httpx.AsyncClient,
    settings: Settings,
    database: Database,
    customer: dict[str, Any],
    state: str,
) -> None:
    run = await client.post("/v1/imports", data={"kind": "customers"}, files=ITS_FILE)
    async with database.writing() as session:
        # Ended by somebody who had no time to clear away, and before the house is kept.
        await session.execute(
            text("UPDATE run SET state = :state WHERE id = :id"),
            {"state": state, "id": run.json()["id"]},
        )
    assert MARK.encode().hex() in _dump(settings)

    assert (await client.post(f"/v1/customers/{customer['id']}:erase")).status_code == 200

    assert MARK.encode().hex() not in _dump(settings)


async def test_a_cancelled_import_lets_its_file_go(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    run = await client.post("/v1/imports", data={"kind": "customers"}, files=ITS_FILE)
    assert MARK.encode().hex() in _dump(settings)

    await client.post(f"/v1/runs/{run.json()['id']}:cancel")

    assert MARK.encode().hex() not in _dump(settings)


async def test_faults_of_others_stay_when_who_is_erased_has_a_short_name(
    client: httpx.AsyncClient, drain: Drain
) -> None:
    made = await client.post("/v1/customers", json={**BODY, "external_id": "1", "name": "A"})
    rows = b"external_id,name,lon,lat\nother,Other,121.5,far away\n"
    files = {"file": ("c.csv", rows)}
    run = await client.post("/v1/imports", data={"kind": "customers"}, files=files)
    await drain()

    erasure = await client.post(f"/v1/customers/{made.json()['id']}:erase")

    assert erasure.json()["import_faults_removed"] == 0
    left = await client.get(f"/v1/imports/{run.json()['id']}/errors")
    assert len(left.json()["items"]) == 1


async def test_who_never_was_cannot_be_erased(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/customers/77:erase")).status_code == 404
