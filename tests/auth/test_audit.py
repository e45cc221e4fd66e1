"""Every change is written down: who, when, what, before and after; and nothing un-writes it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from app.db.access import Access
from app.db.session import Acting, Database
from app.db.tables import Base
from app.settings import Settings
from tests.auth.clients import ClientAs
from tests.auth.world import make_world
from tests.conftest import ANY_VERSION, Drain
from tests.db.databases import owner

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


# Which changes are written down

# Tables whose changes are no event, and why nothing people own is lost by that.
NOT_AUDITED = {
    "activity_cell": "sums of customers",
    "activity_total": "sums of customers",
    "activity_delta": "changes of these sums, on their way",
    "artifact": "what a run made of a plan, and makes again",
    "audit_event": "the audit itself",
    "data_change": "counts of changes",
    "data_generation": "counts of changes",
    "geofence_cell": "cells under a fence, whose outline is written down",
    "heat_state": "the day that sums stand at",
    "idempotency_key": "answers kept for a day",
    "import_fault": "the report of a run",
    "measure_snapshot": "sums of customers by month",
    "plan_cell": "the alignment of a plan, unpacked",
    "plan_certificate": "made with its plan",
    "plan_edit": "what undoes an edit; who made it stands in plan_event",
    "plan_event": "what happened to a plan: a log of its own",
    "plan_front": "made by a run",
    "plan_front_point": "made by a run",
    "plan_move": "made by a run",
    "rebalance": "made by a run",
    "plan_input": "sums of customers, kept with the plans made from them",
    "plan_source": "made with its plan",
    "policy_version": "a policy as it was, whose change is written down",
    "run_event": "what a run told: a log of its own",
    "schedule_night": "what a run made of a schedule",
    "set_aside_index": "indexes while an import goes on",
    "upload": "the file of a run, whose coming is written down",
    "upload_chunk": "the file of a run, whose coming is written down",
}
# Of tables that are audited: what is no event of its own.
TOLD_OTHERWISE = {
    ("territory", "INSERT"): "comes with its plan",
    ("territory", "DELETE"): "goes with its plan",
    ("policy_firing", "INSERT"): "kept with its evidence",
    ("policy_firing", "DELETE"): "the service removes none",
    ("run", "DELETE"): "the service removes none",
}
# Rows that the trigger looks at, where these are not all.
NOT_BULK = "NOT is_bulk()"
ONLY_WHEN = {
    ("customer", "INSERT"): NOT_BULK,
    ("rep", "INSERT"): NOT_BULK,
    ("customer", "UPDATE"): "old.version IS DISTINCT FROM new.version",
    ("policy_firing", "UPDATE"): "old.acknowledged_at IS DISTINCT FROM new.acknowledged_at",
    ("run", "UPDATE"): (
        "(old.cancel_requested IS DISTINCT FROM new.cancel_requested)"
        " OR ((old.state = 'queued'::text) AND (new.state = 'cancelled'::text))"
    ),
}
AUDITING = """
    -- Triggers that write the audit for each row, whichever of its columns has changed.
    SELECT relname, event,
        coalesce(substring(pg_get_triggerdef(trigger.oid) FROM 'WHEN \\(\\((.*)\\)\\) EXECUTE'), '')
    FROM pg_trigger AS trigger
    JOIN pg_class ON pg_class.oid = tgrelid
    JOIN (VALUES ('INSERT', 4), ('DELETE', 8), ('UPDATE', 16)) AS events (event, bit)
        ON tgtype & bit <> 0
    WHERE tgfoid = 'public.record_audit()'::regprocedure AND tgenabled = 'O' AND tgtype & 1 = 1
        AND tgattr = ''
"""


def _expected_triggers() -> Iterator[tuple[str, str, str]]:
    for table in Base.metadata.tables.keys() - NOT_AUDITED.keys():
        for event in ("INSERT", "UPDATE", "DELETE"):
            if (table, event) not in TOLD_OTHERWISE:
                condition = ONLY_WHEN.get((table, event), "")
                yield table, event, condition


def test_every_table_of_what_people_own_writes_its_changes_down(settings: Settings) -> None:
    with owner(settings) as connection:
        found = connection.execute(AUDITING.encode()).fetchall()

    assert NOT_AUDITED.keys() <= Base.metadata.tables.keys()
    assert sorted(found) == sorted(_expected_triggers())


@pytest.mark.parametrize(
    ("table", "change", "before", "after"),
    [
        ("customer", "name = 'N', version = 2", {"name": "OWN customer", "version": 1},
         {"name": "N", "version": 2}),
        ("rep", "name = 'N', fte = 0.5", {"name": "OWN head", "fte": 1}, {"name": "N", "fte": 0.5}),
        ("policy", "enabled = false", {"enabled": True}, {"enabled": False}),
        ("policy_firing", "acknowledged_at = '2026-06-02Z', note = 'N'",
         {"acknowledged_at": None, "note": None},
         {"acknowledged_at": "2026-06-02T00:00:00+00:00", "note": "N"}),
        ("layer", "name = 'N'", {"name": "sales"}, {"name": "N"}),
        ("plan", "name = 'N'", {"name": "plan"}, {"name": "N"}),
        ("territory", "name = 'N'", {"name": "T01"}, {"name": "N"}),
        ("plan_comment", "text = 'N'", {"text": "why"}, {"text": "N"}),
        ("geofence", "name = 'N'", {"name": "one"}, {"name": "N"}),
        ("api_key", "role = 'admin'", {"role": "viewer"}, {"role": "admin"}),
        ("publication", "published_by = 'N'", {"published_by": "me"}, {"published_by": "N"}),
        ("territory_owner", "rep_id = 3", {"rep_id": 2}, {"rep_id": 3}),
        ("customer_override", "territory_code = 'T02'", {"territory_code": "T01"},
         {"territory_code": "T02"}),
        ("run", "cancel_requested = true", {"cancel_requested": False}, {"cancel_requested": True}),
    ],
)  # fmt: skip
async def test_whatever_people_own_tells_who_changed_it_and_how(
    client: httpx.AsyncClient, database: Database, table: str, change: str,
    before: dict[str, Any], after: dict[str, Any],
) -> None:  # fmt: skip
    await make_world(database)
    await _execute(database, NAMED_ACCOUNT, COMMENT)

    async with database.writing(Acting("key:0 (Lin Mei)", "planner", "my-request")) as session:
        changed = f"UPDATE {table} SET {change} WHERE id = (SELECT min(id) FROM {table})"
        await session.execute(text(changed))

    (event,) = await _events(client, actor="key:0 (Lin Mei)")
    assert (event["entity"], event["action"]) == (table, "update")
    assert (event["role"], event["request_id"]) == ("planner", "my-request")
    assert (event["before"], event["after"]) == (before, after)


NAMED_ACCOUNT = """
    INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
    SELECT 1, min(id), 'T01', tstzrange(now(), NULL), 'asked' FROM customer
"""
COMMENT = "INSERT INTO plan_comment (plan_id, author, text) VALUES (1, 'me', 'why')"


@pytest.mark.parametrize(
    ("entity", "method", "address", "body", "before", "after"),
    [
        ("rep", "PATCH", "/v1/reps/{rep_id}", {"fte": 0.5}, {"fte": 1}, {"fte": 0.5}),
        ("geofence", "PATCH", "/v1/geofences/{geofence_id}", {"name": "N"}, {"name": "one"},
         {"name": "N"}),
        ("geofence", "DELETE", "/v1/geofences/{geofence_id}", None, {"name": "one"}, None),
        ("layer", "POST", "/v1/layers", {"name": "new"}, None, {"name": "new"}),
        ("api_key", "POST", "/v1/api-keys", {"name": "N", "role": "viewer"}, None, {"name": "N"}),
    ],
)  # fmt: skip
async def test_a_request_that_changes_something_is_told_by_its_caller_and_id(
    client_as: ClientAs, database: Database, entity: str, method: str, address: str, body: Any,
    before: dict[str, Any] | None, after: dict[str, Any] | None,
) -> None:  # fmt: skip
    world = await make_world(database)
    admin = await client_as("admin")
    prefix = admin.headers["Authorization"].split("_")[1]

    answer = await admin.request(
        method, address.format(**world.own), json=body,
        headers={**ANY_VERSION, "X-Request-ID": "my-request"},
    )  # fmt: skip

    assert answer.is_success, answer.text
    (event,) = await _events(admin, entity=entity, actor=f"key:{prefix} (a admin)")
    assert (event["role"], event["request_id"]) == ("admin", "my-request")
    for told, expected in ((event["before"], before), (event["after"], after)):
        assert (told is None) == (expected is None)
        assert {**(told or {}), **(expected or {})} == (told or {})


# What nobody can do to it


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
