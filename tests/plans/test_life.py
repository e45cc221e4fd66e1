"""From draft to published and back: who may take which step, and what is written down of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.session import Database
from app.settings import Settings
from tests.auth.clients import ClientAs, clients_of
from tests.conftest import ANY_VERSION
from tests.plans.conftest import DesignPlan

pytestmark = pytest.mark.usefixtures("designed_once")

Step = Callable[..., Awaitable[httpx.Response]]
N_CELLS = text("SELECT count(*) FROM plan_cell WHERE plan_id = :plan")


async def step(client: httpx.AsyncClient, plan_id: int, name: str, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/plans/{plan_id}:{name}", json=body, headers=ANY_VERSION)


async def state_of(client: httpx.AsyncClient, plan_id: int) -> str:
    return str((await client.get(f"/v1/plans/{plan_id}")).json()["state"])


async def actions(client: httpx.AsyncClient, plan_id: int) -> list[str]:
    events = (await client.get(f"/v1/plans/{plan_id}/events")).json()["items"]
    return [event["action"] for event in events]


@pytest.fixture
async def client_as(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    async with clients_of(settings, database) as make:
        yield make


@pytest.fixture
async def plans(customers: int, layer_id: int, design_plan: DesignPlan) -> tuple[int, int]:
    """Two drafts of one layer, which have little in common."""
    runs = [await design_plan(layer_id=layer_id, n_territories=n) for n in (4, 5)]
    return runs[0]["result"]["plan_id"], runs[1]["result"]["plan_id"]


async def test_a_plan_goes_through_its_states_and_each_step_is_written_down(
    client: httpx.AsyncClient, database: Database, plans: tuple[int, int]
) -> None:
    plan_id = plans[0]
    proposed = await step(client, plan_id, "propose", note="for Monday")
    assert proposed.status_code == 200
    assert proposed.json()["state"] == "proposed"
    async with database.reading() as session:
        assert await session.scalar(N_CELLS, {"plan": plan_id}) == proposed.json()["n_cells"]

    rejected = await step(client, plan_id, "reject", reason="T02 is too large")
    assert rejected.json()["state"] == "draft"
    async with database.reading() as session:
        assert await session.scalar(N_CELLS, {"plan": plan_id}) == 0
    await step(client, plan_id, "propose")
    assert (await step(client, plan_id, "approve")).json()["state"] == "approved"
    assert (await step(client, plan_id, "publish")).status_code == 201
    assert await state_of(client, plan_id) == "published"
    async with database.reading() as session:
        assert await session.scalar(N_CELLS, {"plan": plan_id}) == proposed.json()["n_cells"]

    events = (await client.get(f"/v1/plans/{plan_id}/events")).json()["items"]
    assert [event["action"] for event in events] == [
        "proposed", "rejected", "proposed", "approved", "published",
    ]  # fmt: skip
    assert events[0]["detail"] == {"note": "for Monday"}
    assert events[1]["detail"] == {"reason": "T02 is too large"}
    assert {event["actor"] for event in events} == {"local"}


@pytest.mark.parametrize("name", ["propose", "approve", "reject", "archive", "rollback"])
async def test_a_step_that_the_state_does_not_allow_names_both_and_changes_nothing(
    client: httpx.AsyncClient, plans: tuple[int, int], name: str
) -> None:
    await step(client, plans[0], "publish")
    before = (await client.get(f"/v1/plans/{plans[0]}")).content

    body = {"reason": "no"} if name == "reject" else {}
    answer = await step(client, plans[0], name, **body)

    assert answer.status_code == 409
    assert "is published" in answer.json()["detail"]
    assert answer.json()["errors"][0]["detail"] == "allowed now: nothing"
    assert (await client.get(f"/v1/plans/{plans[0]}")).content == before


async def test_what_is_allowed_instead_is_said(
    client: httpx.AsyncClient, plans: tuple[int, int]
) -> None:
    answer = await step(client, plans[0], "approve")

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["detail"] == "allowed now: :propose, :archive, :publish"


async def test_steps_name_the_version_that_was_seen(
    client: httpx.AsyncClient, plans: tuple[int, int]
) -> None:
    href = f"/v1/plans/{plans[0]}"
    etag = (await client.get(href)).headers["ETag"]

    assert (await client.post(f"{href}:propose")).status_code == 428
    done = await client.post(f"{href}:propose", headers={"If-Match": etag})
    late = await client.post(f"{href}:archive", headers={"If-Match": etag})

    assert done.status_code == 200
    assert done.headers["ETag"] == (await client.get(href)).headers["ETag"] != etag
    assert late.status_code == 412


async def test_an_archived_plan_rests_and_is_not_published(
    client: httpx.AsyncClient, plans: tuple[int, int]
) -> None:
    assert (await step(client, plans[0], "archive", note="old")).json()["state"] == "archived"

    assert (await step(client, plans[0], "publish")).status_code == 409
    assert (await step(client, plans[0], "propose")).status_code == 409


# --- approval ------------------------------------------------------------------------------------


async def test_what_moves_many_needs_the_approval_of_somebody_else(
    client_as: ClientAs, plans: tuple[int, int]
) -> None:
    lin, wei = await client_as("planner"), await client_as("planner")
    assert (await step(lin, plans[0], "publish")).status_code == 201, "a first plan moves nobody"

    refused = await step(lin, plans[1], "publish")
    assert refused.status_code == 409
    share = (await lin.get(f"/v1/plans/{plans[0]}/diff/{plans[1]}")).json()["customers"]["share"]
    assert share > 0.05
    assert f"({share:.1%})" in refused.json()["detail"]
    assert {fault["code"] for fault in refused.json()["errors"]} == {"not-approved", "own-plan"}
    assert await state_of(lin, plans[0]) == "published"

    await step(lin, plans[1], "propose")
    assert (await step(lin, plans[1], "publish")).status_code == 409
    own = await step(lin, plans[1], "approve")
    assert own.status_code == 409
    assert lin.headers["Authorization"].split("_")[1] in own.json()["errors"][0]["detail"]
    assert (await step(wei, plans[1], "approve")).status_code == 200

    assert (await step(lin, plans[1], "publish")).status_code == 201
    assert await state_of(lin, plans[1]) == "published"


async def test_who_asked_for_the_design_does_not_approve_it(
    client_as: ClientAs, database: Database, plans: tuple[int, int]
) -> None:
    lin, wei = await client_as("planner"), await client_as("planner")
    await step(lin, plans[0], "publish")
    async with database.writing() as session:
        prefix = wei.headers["Authorization"].split("_")[1]
        await session.execute(
            text("UPDATE run SET requested_by = :by"), {"by": f"key:{prefix} (a planner)"}
        )
    await step(lin, plans[1], "propose")

    answer = await step(wei, plans[1], "approve")

    assert answer.status_code == 409
    assert prefix in answer.json()["errors"][0]["detail"]


async def test_a_share_of_one_asks_for_no_approval(
    settings: Settings, database: Database, plans: tuple[int, int]
) -> None:
    freely = settings.model_copy(update={"approval_above_share": 1.0})
    async with clients_of(freely, database) as client_as:
        lin = await client_as("planner")
        await step(lin, plans[0], "publish")

        assert (await step(lin, plans[1], "publish")).status_code == 201


# --- rollback ------------------------------------------------------------------------------------


async def plan_at(client: httpx.AsyncClient, instant: datetime | None = None) -> int:
    params: dict[str, Any] = {"lon": 113.0, "lat": 30.5}
    if instant is not None:
        params["as_of"] = instant.isoformat()
    (item,) = (await client.get("/v1/territories/at", params=params)).json()["items"]
    return int(item["plan_id"])


async def test_a_rollback_brings_the_earlier_plan_back_and_keeps_the_past(
    client: httpx.AsyncClient, plans: tuple[int, int]
) -> None:
    await step(client, plans[0], "publish")
    await step(client, plans[1], "publish")
    between = datetime.now(UTC)

    done = await step(client, plans[0], "rollback")

    assert done.status_code == 201, done.text
    assert done.json()["plan_id"] == plans[0]
    assert await plan_at(client) == plans[0]
    assert await plan_at(client, between) == plans[1]
    assert await state_of(client, plans[0]) == "published"
    assert await state_of(client, plans[1]) == "superseded"
    assert (await actions(client, plans[0]))[-1] == "rolled_back"
    assert (await step(client, plans[0], "rollback")).status_code == 409


async def test_a_rollback_needs_no_approval(client_as: ClientAs, plans: tuple[int, int]) -> None:
    lin, wei = await client_as("planner"), await client_as("planner")
    await step(lin, plans[0], "publish")
    await step(lin, plans[1], "propose")
    await step(wei, plans[1], "approve")
    await step(lin, plans[1], "publish")

    assert (await step(lin, plans[0], "rollback")).status_code == 201


async def test_a_rollback_to_come_can_be_withdrawn_and_the_history_stays(
    client: httpx.AsyncClient, plans: tuple[int, int]
) -> None:
    rep = {"external_id": "R", "name": "R", "home_lon": 113, "home_lat": 30.5}
    await client.post("/v1/reps", json=rep)
    await step(client, plans[0], "publish")
    first = datetime.now(UTC)
    await step(client, plans[1], "publish")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    done = await step(client, plans[0], "rollback", effective_from=tomorrow)
    assert done.status_code == 201
    assert await plan_at(client) == plans[1]

    assert (await step(client, plans[0], "withdraw")).status_code == 204

    assert await state_of(client, plans[0]) == "superseded"
    assert await plan_at(client, first) == plans[0]
    view = (await client.get(f"/v1/plans/{plans[0]}")).json()
    assert [row["rep"]["name"] for row in view["balance"] if row["rep"]] == ["R"]
    assert (await actions(client, plans[0]))[-1] == "withdrawn"


async def test_a_rollback_before_a_successor_or_into_the_past_is_refused(
    client: httpx.AsyncClient, plans: tuple[int, int]
) -> None:
    now = datetime.now(UTC)
    await step(client, plans[0], "publish")
    await step(client, plans[1], "publish")
    past = (now - timedelta(days=1)).isoformat()

    early = await step(client, plans[0], "rollback", effective_from=past)

    assert early.status_code == 422
    assert early.json()["errors"][0]["pointer"] == "/effective_from"
    assert await plan_at(client) == plans[1]


# --- comments ------------------------------------------------------------------------------------


async def test_comments_are_kept_with_their_author_who_alone_deletes_them(
    client_as: ClientAs, plans: tuple[int, int]
) -> None:
    lin, wei = await client_as("planner"), await client_as("planner")
    href = f"/v1/plans/{plans[0]}/comments"
    made = await lin.post(href, json={"text": "Why so far north?", "territory": "T02"})
    assert made.status_code == 201
    await wei.post(href, json={"text": "The river."})

    listed = (await wei.get(href)).json()["items"]
    assert [comment["text"] for comment in listed] == ["Why so far north?", "The river."]
    assert listed[0]["territory"] == "T02"
    assert listed[0]["author"] != listed[1]["author"]
    assert (await wei.delete(f"{href}/{made.json()['id']}")).status_code == 403
    assert (await lin.delete(f"{href}/{made.json()['id']}")).status_code == 204
    assert len((await wei.get(href)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"text": ""}, "/text"),
        ({"text": "x" * 2001}, "/text"),
        ({"text": "x", "territory": "T77"}, "/territory"),
    ],
)
async def test_a_comment_that_cannot_be_is_refused_by_field(
    client: httpx.AsyncClient, plans: tuple[int, int], body: dict[str, str], pointer: str
) -> None:
    answer = await client.post(f"/v1/plans/{plans[0]}/comments", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
