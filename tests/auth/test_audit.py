"""Every change is written down: who, when, what, before and after; and nothing un-writes it."""

from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from app.db.access import Access
from app.db.session import Database
from app.settings import Settings
from tests.auth.clients import ClientAs
from tests.auth.world import make_world
from tests.conftest import ANY_VERSION, Drain

BODY = {"external_id": "C1", "name": "Riverside Clinic", "lon": 121.49, "lat": 31.24}


async def _events(admin: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await admin.get("/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def _execute(database: Database, *statements: str) -> None:
    async with database.writing() as session:
        for statement in statements:
            await session.execute(text(statement))


async def test_a_change_names_its_author_and_what_was_before_and_after(
    client_as: ClientAs, admin: httpx.AsyncClient
) -> None:
    planner = await client_as("planner")
    made = (await planner.post("/v1/customers", json=BODY)).json()

    changed = await planner.patch(
        f"/v1/customers/{made['id']}", json={"class": "A", "lon": 121.5},
        headers={**ANY_VERSION, "X-Request-ID": "my-request"},
    )  # fmt: skip
    await planner.delete(f"/v1/customers/{made['id']}", headers=ANY_VERSION)

    assert changed.status_code == 200
    created, update, deleted = await _events(admin, entity="customer", entity_id=made["id"])
    prefix = planner.headers["Authorization"].split("_")[1]
    assert {event["actor"] for event in (created, update, deleted)} == {f"key:{prefix} (a planner)"}
    assert (created["action"], created["before"], created["role"]) == ("insert", None, "planner")
    assert created["after"]["name"] == BODY["name"]
    assert update["request_id"] == "my-request"
    assert update["before"]["class"] == "C"
    assert update["after"]["class"] == "A"
    assert update["before"]["geom"]["coordinates"] == [121.49, 31.24]
    assert update["after"]["geom"]["coordinates"] == [121.5, 31.24]
    assert set(update["after"]) == {"class", "geom", "cell", "version", "updated_at"}
    assert (deleted["action"], deleted["after"]) == ("delete", None)
    assert deleted["before"]["class"] == "A"


async def test_what_changes_nothing_is_no_event(admin: httpx.AsyncClient) -> None:
    path = "/v1/customers/by-external-id/C1"
    body = {name: value for name, value in BODY.items() if name != "external_id"}

    for _ in range(3):
        await admin.put(path, json=body)

    assert len(await _events(admin, entity="customer")) == 1


async def test_secrets_of_keys_are_not_in_the_audit(admin: httpx.AsyncClient) -> None:
    made = (await admin.post("/v1/api-keys", json={"name": "k", "role": "viewer"})).json()
    await admin.delete(f"/v1/api-keys/{made['api_key']['prefix']}")

    events = await _events(admin, entity="api_key")

    assert [event["action"] for event in events][-2:] == ["insert", "update"]
    assert "sha256" not in str(events)
    assert made["key"].split("_", 2)[2] not in str(events)


async def test_an_import_is_one_event_for_its_new_rows_and_one_for_each_changed_row(
    admin: httpx.AsyncClient, drain: Drain
) -> None:
    await admin.post("/v1/customers", json=BODY)
    rows = ["external_id,name,lon,lat", "C1,Renamed,121.49,31.24", "C2,Second,121.5,31.2"]
    file = ("c.csv", "\n".join(rows).encode(), "text/csv")

    run = (await admin.post("/v1/imports", files={"file": file}, data={"kind": "customers"})).json()
    await drain()

    _, *events = await _events(admin, entity="customer")
    assert {event["run_id"] for event in events} == {run["id"]}
    assert sorted(event["action"] for event in events) == ["import", "update"]
    bulk = next(event for event in events if event["action"] == "import")
    assert (bulk["after"]["created"], bulk["after"]["updated"]) == (1, 1)
    update = next(event for event in events if event["action"] == "update")
    assert update["before"]["name"] == BODY["name"]
    _, second = (await admin.get("/v1/customers")).json()["items"]
    assert await _events(admin, entity="customer", entity_id=second["id"]) == [bulk]
    assert await _events(admin, entity="customer", entity_id=second["id"] + 1) == []
    assert await _events(admin, entity="rep", entity_id=second["id"]) == []
    own = (await admin.get(f"/v1/customers/{second['id']}/personal-data")).json()
    assert [change["action"] for change in own["changes"]] == ["import"]
    (asked,) = await _events(admin, entity="run", action="insert")
    assert asked["actor"].startswith("key:")
    assert {event["actor"] for event in events} == {asked["actor"]} == {run["requested_by"]}


async def test_what_a_run_does_is_found_by_who_asked_for_it(
    client_as: ClientAs, admin: httpx.AsyncClient, drain: Drain
) -> None:
    # Both keys bear the same name, which is free text.
    one, other = await client_as("planner"), await client_as("planner")
    for number, planner in enumerate((one, other)):
        rows = f"external_id,name,lon,lat\nC{number},N,121.49,31.24\n"
        file = {"file": ("c.csv", rows.encode(), "text/csv")}
        await planner.post("/v1/imports", files=file, data={"kind": "customers"})
    await drain()
    prefix = one.headers["Authorization"].split("_")[1]

    events = await _events(admin, actor=f"key:{prefix} (a planner)", entity="customer")

    assert [event["action"] for event in events] == ["import"]


async def test_a_publication_names_who_published_as_the_audit_does(
    client_as: ClientAs, database: Database
) -> None:
    world = await make_world(database)
    admin, planner = await client_as("admin"), await client_as("planner")
    prefix = planner.headers["Authorization"].split("_")[1]

    answer = await planner.post(
        f"/v1/plans/{world.foreign['plan_id']}:publish", headers=ANY_VERSION
    )

    assert answer.status_code == 201, answer.text
    assert answer.json()["published_by"] == f"key:{prefix} (a planner)"
    (event,) = await _events(
        admin, entity="publication", actor=answer.json()["published_by"], action="insert"
    )
    assert event["after"]["published_by"] == event["actor"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor = 'somebody else'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "INSERT INTO audit_event (actor, action, entity) VALUES ('me', 'delete', 'plan')",
        "SELECT write_audit('delete', 'plan', 1, NULL, NULL)",
    ],
)
async def test_the_application_can_only_read_the_audit(
    admin: httpx.AsyncClient, database: Database, statement: str
) -> None:
    await admin.post("/v1/customers", json=BODY)

    with pytest.raises(DBAPIError, match="permission denied"):
        # Else a trigger would refuse it, which is not what is asked about.
        await _execute(database, "SET LOCAL bailiwick.erasing = 'on'", statement)


async def test_no_trigger_of_ones_own_writes_into_the_audit(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"denied for function public\.record_audit"):
        await _execute(
            database,
            "CREATE TEMP TABLE customer (id bigint, name text)",
            "CREATE TRIGGER forging AFTER INSERT ON pg_temp.customer "
            "FOR EACH ROW EXECUTE FUNCTION public.record_audit()",
        )


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"],
)
async def test_not_even_the_owner_changes_the_audit_by_mistake(
    admin: httpx.AsyncClient, settings: Settings, statement: str
) -> None:
    await admin.post("/v1/customers", json=BODY)

    engine = create_engine(Access.of(settings).owner_url)
    with pytest.raises(DBAPIError, match="never changed"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()

    assert await _events(admin, entity="customer")


async def test_the_audit_is_paged_and_filtered(admin: httpx.AsyncClient) -> None:
    for number in range(5):
        await admin.post("/v1/layers", json={"name": f"layer-{number}"})

    first = (await admin.get("/v1/audit", params={"entity": "layer", "limit": 3})).json()
    following = next(link["href"] for link in first["links"] if link["rel"] == "next")
    second = (await admin.get(following)).json()

    names = [item["after"]["name"] for item in first["items"] + second["items"]]
    assert names == [f"layer-{number}" for number in range(5)]
    actor = first["items"][0]["actor"]
    assert len(await _events(admin, entity="layer", actor=actor)) == 5
    assert await _events(admin, entity="layer", actor="nobody") == []
    assert await _events(admin, entity="layer", until=first["items"][0]["at"]) == []
    assert len(await _events(admin, entity="layer", since=first["items"][0]["at"])) == 5
