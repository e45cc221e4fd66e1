"""Nights: the schedule begins a run, which looks, and does something only when something is out."""

import asyncio
import html
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.session import Database
from app.jobs.child import run_child
from app.jobs.runs import RunContext
from app.schedules.firing import fire_due
from tests.conftest import ANY_VERSION, Drain
from tests.plans.test_rebalance import drift, plan

pytestmark = pytest.mark.usefixtures("designed_once")

__all__ = ["plan"]


async def schedule(client: httpx.AsyncClient, plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"layer_id": plan["layer_id"], "name": "nightly", "timezone": "Asia/Shanghai", **more}
    answer = await client.post("/v1/schedules", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def nights(client: httpx.AsyncClient, stored: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/schedules/{stored['id']}/nights")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def run_now(
    client: httpx.AsyncClient, drain: Drain, stored: dict[str, Any]
) -> dict[str, Any]:
    answer = await client.post(f"/v1/schedules/{stored['id']}:run")
    assert answer.status_code == 202, answer.text
    await drain()
    run = (await client.get(answer.headers["Location"])).json()
    assert run["state"] == "succeeded", run
    night: dict[str, Any] = (await client.get(run["result"]["href"])).json()
    return night


async def test_a_night_without_drift_does_nothing_and_says_so(
    client: httpx.AsyncClient, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan)

    night = await run_now(client, drain, stored)

    assert night["decision"] == "nothing"
    assert night["new_plan_id"] is None
    report = night["report"]
    assert report["reason"] == "Nothing is beyond its trigger."
    assert report["plan_id"] == plan["id"]
    standing = {row["code"]: row for row in report["standing"]["territories"]}
    for row in plan["balance"]:
        here = standing[row["code"]]
        assert here["customers"] == row["customers"]
        assert here["work_minutes"] == pytest.approx(row["work_minutes"])
        assert here["imbalance"]["work_minutes"] == pytest.approx(row["imbalance"]["work_minutes"])
    assert len((await client.get("/v1/plans")).json()["items"]) == 1
    page = await client.get(
        f"/v1/schedules/{stored['id']}/nights/{night['local_date']}/report.html"
    )
    assert "Nothing moved: the map after is the map before." in page.text
    known = {"If-None-Match": page.headers["ETag"]}
    assert (await client.get(str(page.url), headers=known)).status_code == 304


async def test_drift_is_proposed_and_a_second_proposal_replaces_the_first(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan)
    await drift(database)

    first = await run_now(client, drain, stored)

    assert first["decision"] == "proposed"
    proposal = (await client.get(f"/v1/plans/{first['new_plan_id']}")).json()
    assert proposal["state"] == "proposed"
    in_force = (await client.get(f"/v1/layers/{plan['layer_id']}")).json()["plan_in_force"]
    assert in_force["plan_id"] == plan["id"]
    assert "is at" in first["report"]["reason"]
    page = await client.get(
        f"/v1/schedules/{stored['id']}/nights/{first['local_date']}/report.html"
    )
    assert page.status_code == 200
    assert f"Before: plan {plan['id']}" in page.text
    assert f"After: plan {first['new_plan_id']}" in page.text
    move = (await client.get(f"/v1/plans/{first['new_plan_id']}/moves")).json()["items"][0]
    assert html.escape(move["text"].partition(": ")[2]) in page.text
    assert page.text.count("<img") == 3

    async with database.writing() as session:
        await session.execute(text("UPDATE schedule_night SET local_date = local_date - 1"))
    second = await run_now(client, drain, stored)

    states = {p["id"]: p["state"] for p in (await client.get("/v1/plans")).json()["items"]}
    assert states[first["new_plan_id"]] == "archived"
    assert states[second["new_plan_id"]] == "proposed"
    assert [night["decision"] for night in await nights(client, stored)] == ["proposed"] * 2


async def test_what_moves_within_the_budget_comes_into_force_by_itself(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any]
) -> None:
    little = await schedule(client, plan, publish_within={"customers": 0.0})
    enough = await schedule(client, plan, publish_within={"customers": 0.5})
    await drift(database)

    beyond = await run_now(client, drain, little)
    within = await run_now(client, drain, enough)

    assert beyond["decision"] == "proposed"
    assert within["decision"] == "published"
    in_force = (await client.get(f"/v1/layers/{plan['layer_id']}")).json()["plan_in_force"]
    assert in_force["plan_id"] == within["new_plan_id"]


async def test_a_date_has_one_run_whoever_begins_it_and_a_missed_one_is_caught_up_once(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan, cron="0 2 * * *")
    now = datetime.now(UTC)
    assert await fire_due(database, now) == 0
    later = now + timedelta(days=5)

    begun = await asyncio.gather(*(fire_due(database, later) for _ in range(4)))
    await drain()
    again = await fire_due(database, later)

    assert sum(begun) == 1
    assert again == 0
    (night,) = await nights(client, stored)
    assert night["state"] == "succeeded"
    assert datetime.fromisoformat(night["due_at"]) <= later
    assert later - datetime.fromisoformat(night["due_at"]) < timedelta(days=1)
    await fire_due(database, later + timedelta(days=1))
    assert len(await nights(client, stored)) == 2


async def test_a_schedule_waits_while_another_run_is_at_work_on_the_layer(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan)
    later = datetime.now(UTC) + timedelta(days=2)
    answer = await client.post(f"/v1/plans/{plan['id']}:rebalance", json={})
    assert answer.status_code == 202
    refused = await client.post(f"/v1/schedules/{stored['id']}:run")

    assert await fire_due(database, later) == 0
    assert refused.status_code == 409
    assert await nights(client, stored) == []
    await drain()
    assert await fire_due(database, later) == 1


async def test_it_is_not_done_twice_on_a_date(
    client: httpx.AsyncClient, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan)
    night = await run_now(client, drain, stored)

    again = await client.post(f"/v1/schedules/{stored['id']}:run")

    assert again.status_code == 409
    assert again.json()["errors"][0]["detail"].endswith(night["local_date"])


async def test_a_night_that_was_cancelled_can_be_done_anew(
    client: httpx.AsyncClient, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan)
    begun = await client.post(f"/v1/schedules/{stored['id']}:run")
    under_way = await client.post(f"/v1/schedules/{stored['id']}:run")
    cancelled = await client.post(f"{begun.headers['Location']}:cancel")
    assert cancelled.status_code == 202, cancelled.text

    night = await run_now(client, drain, stored)

    assert under_way.status_code == 409
    assert night["decision"] == "nothing"
    assert len(await nights(client, stored)) == 1


async def test_a_layer_without_a_plan_in_force_is_said(
    client: httpx.AsyncClient, drain: Drain, plan: dict[str, Any]
) -> None:
    other = (await client.post("/v1/layers", json={"name": "other"})).json()
    stored = await schedule(client, {"layer_id": other["id"]})

    night = await run_now(client, drain, stored)

    assert night["decision"] == "no_plan"
    assert night["report"]["reason"] == "No plan is in force on the layer."


async def test_a_schedule_is_changed_under_its_version_and_begins_anew_at_its_new_time(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan, enabled=False)
    address = f"/v1/schedules/{stored['id']}"
    assert await fire_due(database, datetime.now(UTC) + timedelta(days=3)) == 0

    blind = await client.patch(address, json={"enabled": True})
    stale = await client.patch(address, json={"enabled": True}, headers={"If-Match": '"x"'})
    changed = await client.patch(address, json={"enabled": True}, headers=ANY_VERSION)

    assert [blind.status_code, stale.status_code, changed.status_code] == [428, 412, 200]
    assert changed.json()["version"] == 2
    due = (await client.get(f"{address}/next")).json()["due_at"]
    assert datetime.fromisoformat(due) > datetime.now(UTC)
    assert await fire_due(database) == 0
    assert (await client.delete(address, headers=ANY_VERSION)).status_code == 204
    assert (await client.get(address)).status_code == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"timezone": "Mars/Base"}, "/timezone"),
        ({"cron": "* * * * *"}, "/cron"),
        ({"cron": "never at all now"}, "/cron"),
        ({"layer_id": 999}, "/layer_id"),
        ({"kind": "weekly"}, "/kind"),
        ({"rebalance": {"budget": {"customers": 2}}}, "/rebalance/budget/customers"),
        ({"publish_within": {"revenue": -1}}, "/publish_within/revenue"),
        ({"publish_within": {}}, "/publish_within"),
        ({"publish_within": {"customers": None}}, "/publish_within"),
        ({"cron": "0 0 * * * *"}, "/cron"),
    ],
)
async def test_a_wrong_schedule_is_refused_by_its_field(
    client: httpx.AsyncClient, layer_id: int, change: dict[str, Any], pointer: str
) -> None:
    body = {"layer_id": layer_id, "name": "n", "timezone": "UTC", **change}

    answer = await client.post("/v1/schedules", json=body)

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await client.get("/v1/schedules")).json()["items"] == []


async def test_a_night_tells_what_policies_find(
    client: httpx.AsyncClient, drain: Drain, plan: dict[str, Any]
) -> None:
    body = {
        "name": "Over 50", "layer_id": plan["layer_id"], "proposal": "split",
        "kind": "max_customers", "parameters": {"customers": 50},
    }  # fmt: skip
    answer = await client.post("/v1/policies", json=body)
    assert answer.status_code == 201, answer.text
    stored = await schedule(client, plan)

    night = await run_now(client, drain, stored)

    fired = night["report"]["policies"]["fired"]
    assert {alert["territory_code"] for alert in fired} >= {row["code"] for row in plan["balance"]}
    alerts = (await client.get(f"/v1/alerts?layer_id={plan['layer_id']}")).json()["items"]
    assert {alert["id"] for alert in alerts} >= {alert["id"] for alert in fired}


async def test_a_review_tells_of_the_quarter_and_changes_nothing(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any]
) -> None:
    await drift(database)
    async with database.writing() as session:
        # Months that are over, as snapshots would have them: half of today, then all of it.
        for months, part in ((4, 2), (1, 1)):
            await session.execute(
                text("""
                    INSERT INTO measure_snapshot
                        (month, cell, class, segment, customers, work_minutes, potential, revenue)
                    SELECT date_trunc('month', now() AT TIME ZONE 'Asia/Shanghai')::date
                            - make_interval(months => :months), cell_parent(cell, 6), class,
                        segment, count(*) / :part, sum(work_minutes) / :part, 0, 0
                    FROM customer GROUP BY 1, 2, 3, 4
                """),
                {"months": months, "part": part},
            )
    stored = await schedule(client, plan, kind="review", cron="0 3 1 1,4,7,10 *")

    night = await run_now(client, drain, stored)

    assert night["decision"] == "reviewed"
    review = night["report"]["review"]
    assert review["change"]["reason"] is None
    for row in review["change"]["territories"]:
        assert row["work_minutes"] == pytest.approx(2 * row["work_minutes_before"], rel=0.01)
    assert len(review["change"]["places"]) > 5
    assert {row["code"] for row in review["growth"]["territories"]} == {
        row["code"] for row in plan["balance"]
    }
    page = await client.get(
        f"/v1/schedules/{stored['id']}/nights/{night['local_date']}/report.html"
    )
    assert "Where work changed most" in page.text
    assert len((await client.get("/v1/plans")).json()["items"]) == 1


async def test_one_worker_does_all_that_is_due_on_a_layer(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = [
        await schedule(client, plan, kind=kind, cron="0 2 * * *")
        for kind in ("rebalance", "review", "rebalance")
    ]
    async with database.writing() as session:
        await session.execute(text("UPDATE schedule SET since = now() - interval '2 days'"))

    await drain()

    for each in stored:
        (night,) = await nights(client, each)
        assert night["state"] == "succeeded"


@pytest.mark.one_process
async def test_a_night_leaves_a_plan_alone_that_people_brought_into_force_meanwhile(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    copied = await client.post(f"/v1/plans/{plan['id']}:copy", json={}, headers=ANY_VERSION)
    other_id = copied.json()["id"]
    stored = await schedule(client, plan, publish_within={"customers": 1})
    await drift(database)

    async def publish_first(context: RunContext, *given: Any) -> None:
        body = {"accept_changes": True}
        address = f"/v1/plans/{other_id}:publish"
        answer = await client.post(address, json=body, headers=ANY_VERSION)
        assert answer.status_code == 201, answer.text
        await run_child(context, *given)

    monkeypatch.setattr("app.schedules.nightly.run_child", publish_first)
    begun = await client.post(f"/v1/schedules/{stored['id']}:run")
    await drain()

    run = (await client.get(begun.headers["Location"])).json()
    assert run["state"] == "failed", run
    in_force = (await client.get(f"/v1/layers/{plan['layer_id']}")).json()["plan_in_force"]
    assert in_force["plan_id"] == other_id
    assert len((await client.get("/v1/plans")).json()["items"]) == 2
    (night,) = await nights(client, stored)
    address = f"/v1/schedules/{stored['id']}/nights/{night['local_date']}"
    assert "ceased to be in force" in (await client.get(address)).json()["error"]["detail"]
    page = await client.get(f"{address}/report.html")
    assert page.status_code == 404
    assert page.json()["errors"][0]["detail"] == f"/v1/runs/{run['id']}"


async def test_what_people_proposed_again_is_not_put_away(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any]
) -> None:
    stored = await schedule(client, plan)
    await drift(database)
    first = await run_now(client, drain, stored)
    address = f"/v1/plans/{first['new_plan_id']}"
    for step, body in (("reject", {"reason": "no"}), ("propose", {})):
        answer = await client.post(f"{address}:{step}", json=body, headers=ANY_VERSION)
        assert answer.status_code == 200, answer.text
    async with database.writing() as session:
        await session.execute(text("UPDATE schedule_night SET local_date = local_date - 1"))

    await run_now(client, drain, stored)

    assert (await client.get(address)).json()["state"] == "proposed"
