"""Fronts: plans that trade balance, compactness and disruption, from the API and the shell."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select, text

import app.cli.session
from app.cli.front import _show, front
from app.db.scope import Scope
from app.db.session import Database
from app.db.tables import Plan, PlanFront, PlanFrontPoint
from app.errors import NotFound
from app.plans import front_store
from app.plans.front_schemas import FrontView
from app.plans.front_scores import (
    NOBODY,
    Ground,
    disruption,
    match,
    score_owners,
    undominated,
)
from app.plans.front_store import get_front, ladder
from app.plans.request import PlanRequest, Tolerances
from app.settings import Settings
from geo.certificate_checker import check, read
from tests.conftest import ANY_VERSION, Drain
from tests.ground import put_in_force
from tests.plans.conftest import DesignPlan, add_customers

pytestmark = pytest.mark.usefixtures("designed_once")

MakeFront = Callable[[int], Awaitable[dict[str, Any]]]


@pytest.fixture
async def plan(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> dict[str, Any]:
    run = await design_plan(
        layer_id=layer_id, n_territories=5, name="Spring", tolerances={"customers": None}
    )
    assert run["state"] == "succeeded", run
    answer: dict[str, Any] = (await client.get(run["result"]["href"])).json()
    return answer


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short ladder, for tests of what becomes of a front and not of what is on it."""
    monkeypatch.setattr(front_store, "LADDER", (0.4, 1.0, 3.0))


@pytest.fixture
def make_front(client: httpx.AsyncClient, drain: Drain) -> MakeFront:
    async def make(plan_id: int) -> dict[str, Any]:
        answer = await client.post(f"/v1/plans/{plan_id}:front")
        assert answer.status_code == 202, answer.text
        await drain()
        run = (await client.get(answer.headers["Location"])).json()
        assert run["state"] == "succeeded", run
        front: dict[str, Any] = (await client.get(run["result"]["href"])).json()
        return front

    return make


def axes_of(front: dict[str, Any]) -> list[tuple[float, ...]]:
    """What plans are compared by, of the points that are not dominated."""
    return [
        (
            point["imbalance"]["work_minutes"],
            point["objective_value"],
            *([point["disruption"]["work_minutes"]] if "disruption" in front["axes"] else []),
        )
        for point in front["points"]
        if not point["is_dominated"]
    ]


def are_undominated(points: list[tuple[float, ...]]) -> bool:
    """The definition, pair by pair."""
    return not any(
        all(a <= b for a, b in zip(one, other, strict=True))
        and any(a < b for a, b in zip(one, other, strict=True))
        for one in points
        for other in points
    )


async def test_a_front_trades_balance_for_compactness_and_its_members_are_plans(
    client: httpx.AsyncClient, plan: dict[str, Any], make_front: MakeFront
) -> None:
    front = await make_front(plan["id"])

    points = front["points"]
    assert 5 <= len(points) <= 9
    assert front["axes"] == ["imbalance", "objective"]
    assert are_undominated(axes_of(front))
    assert front["n_designed"] == len(points) - 1 + front["n_dominated"]
    assert front["is_demand_of_plan"]
    found = [point["imbalance"]["work_minutes"] for point in points]
    assert found == sorted(found)
    (itself,) = (point for point in points if point["kind"] == "plan")
    assert (itself["plan_id"], itself["objective_ratio"]) == (plan["id"], 1.0)
    assert itself["imbalance"]["work_minutes"] == pytest.approx(
        plan["max_imbalance"]["work_minutes"]
    )
    assert itself["territories_changed"] == 0
    for point in points:
        if point["kind"] != "member":
            continue
        member = (await client.get(point["href"])).json()
        assert member["state"] == "draft"
        assert member["name"] == point["name"] == f"Spring at {point['tolerance']:.2%}"
        assert member["tolerances"]["work_minutes"] == point["tolerance"]
        assert member["n_cells"] == plan["n_cells"]
        assert member["max_imbalance"]["work_minutes"] == pytest.approx(
            point["imbalance"]["work_minutes"]
        )
        certificate = await client.get(f"{point['href']}/certificate")
        assert check(read(certificate.content))["verdict"] == "holds"
        manifest = (await client.get(f"{point['href']}/manifest")).json()
        assert manifest["front"] == {"plan_id": plan["id"]}


@pytest.mark.usefixtures("few")
async def test_a_member_can_be_published_and_then_disruption_is_an_axis(
    client: httpx.AsyncClient, plan: dict[str, Any], make_front: MakeFront
) -> None:
    first = await make_front(plan["id"])
    member = next(point for point in first["points"] if point["kind"] == "member")
    assert (
        await client.post(f"{member['href']}:publish", json={}, headers=ANY_VERSION)
    ).status_code == 201

    front = await make_front(plan["id"])

    assert front["axes"] == ["imbalance", "objective", "disruption"]
    assert front["incumbent_plan_id"] == member["plan_id"]
    assert are_undominated(axes_of(front))
    (incumbent,) = (point for point in front["points"] if point["kind"] == "incumbent")
    assert incumbent["plan_id"] == member["plan_id"]
    assert incumbent["disruption"] == {"work_minutes": 0, "customers": 0, "territories": 0}
    assert incumbent["objective_value"] == pytest.approx(member["objective_value"])
    assert any(
        point["disruption"]["work_minutes"] > 0 for point in front["points"] if point != incumbent
    )


@pytest.mark.usefixtures("few")
async def test_the_plan_in_force_is_compared_with_itself(
    client: httpx.AsyncClient, plan: dict[str, Any], make_front: MakeFront
) -> None:
    assert (
        await client.post(f"/v1/plans/{plan['id']}:publish", json={}, headers=ANY_VERSION)
    ).status_code == 201

    front = await make_front(plan["id"])

    assert front["axes"][2] == "disruption"
    assert front["incumbent_plan_id"] == plan["id"]
    kinds = [point["kind"] for point in front["points"]]
    assert "incumbent" not in kinds
    (itself,) = (point for point in front["points"] if point["kind"] == "plan")
    assert itself["disruption"]["work_minutes"] == 0
    assert not itself["is_dominated"]


@pytest.mark.usefixtures("few")
async def test_a_second_front_replaces_the_first_and_keeps_what_somebody_touched(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], make_front: MakeFront
) -> None:
    first = await make_front(plan["id"])
    members = [point["plan_id"] for point in first["points"] if point["kind"] == "member"]
    kept = members[0]
    await client.post(f"/v1/plans/{kept}:publish", json={}, headers=ANY_VERSION)
    await add_customers(database, 113 + np.zeros(5), 30.5 + np.zeros(5), prefix="N")

    front = await make_front(plan["id"])

    assert not front["is_demand_of_plan"]
    for member in members:
        status = (await client.get(f"/v1/plans/{member}")).status_code
        assert status == (200 if member == kept else 404)
    async with database.reading() as session:
        n_points = await session.scalar(select(func.count(PlanFrontPoint.position)))
        assert n_points == len(front["points"])
        assert await session.scalar(select(func.count(PlanFront.plan_id))) == 1


async def test_until_it_is_made_the_answer_says_how_to_make_it(
    client: httpx.AsyncClient, plan: dict[str, Any]
) -> None:
    address = f"/v1/plans/{plan['id']}"
    before = await client.get(f"{address}/front")
    run = (await client.post(f"{address}:front")).json()
    during = await client.get(f"{address}/front")

    assert before.status_code == during.status_code == 404
    assert before.json()["errors"][0]["detail"] == f"POST {address}:front"
    assert during.json()["errors"][0]["detail"] == f"/v1/runs/{run['id']}"


@pytest.mark.usefixtures("few")
async def test_a_cancelled_front_leaves_nothing(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], drain: Drain
) -> None:
    run = (await client.post(f"/v1/plans/{plan['id']}:front")).json()
    await client.post(f"/v1/runs/{run['id']}:cancel")
    await drain()

    async with database.reading() as session:
        assert await session.scalar(select(func.count(Plan.id))) == 1
        assert await session.scalar(select(func.count(PlanFront.plan_id))) == 0


@pytest.mark.usefixtures("few")
async def test_a_front_that_fails_while_it_is_stored_leaves_nothing(
    client: httpx.AsyncClient,
    database: Database,
    plan: dict[str, Any],
    drain: Drain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, calls = front_store.store_plan, []

    async def fail_at_the_second(*arguments: Any, **more: Any) -> int:
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("the power is gone")
        return await store(*arguments, **more)

    monkeypatch.setattr(front_store, "store_plan", fail_at_the_second)
    run = (await client.post(f"/v1/plans/{plan['id']}:front")).json()
    await drain()

    assert (await client.get(f"/v1/runs/{run['id']}")).json()["state"] == "failed"
    assert len(calls) == 2
    async with database.reading() as session:
        assert await session.scalar(select(func.count(Plan.id))) == 1
        assert await session.scalar(select(func.count(PlanFront.plan_id))) == 0


async def test_there_is_no_front_of_a_missing_plan_or_for_a_limited_caller(
    client: httpx.AsyncClient, database: Database
) -> None:
    assert (await client.post("/v1/plans/9:front")).status_code == 404
    assert (await client.get("/v1/plans/9/front")).status_code == 404
    found = await put_in_force(database)
    async with database.reading() as session:
        with pytest.raises(NotFound, match="There is no plan"):
            await get_front(session, Scope(frozenset({1})), found.plan_id)


async def test_a_plan_without_a_request_cannot_be_varied(
    client: httpx.AsyncClient, database: Database
) -> None:
    found = await put_in_force(database)

    answer = await client.post(f"/v1/plans/{found.plan_id}:front")

    assert answer.status_code == 409
    assert "varied" in answer.json()["detail"]


@pytest.mark.usefixtures("few")
async def test_deleting_a_plan_takes_its_front_along(
    database: Database, plan: dict[str, Any], make_front: MakeFront
) -> None:
    await make_front(plan["id"])

    async with database.writing() as session:
        await session.execute(text("DELETE FROM plan WHERE id = :id"), {"id": plan["id"]})
    async with database.reading() as session:
        assert await session.scalar(select(func.count(PlanFrontPoint.position))) == 0


@pytest.mark.parametrize("is_same_demand", [False, True])
def test_the_ladder_stands_around_the_tolerance_that_was_asked(is_same_demand: bool) -> None:
    request = PlanRequest(layer_id=1, n_territories=2, tolerances=Tolerances(work_minutes=0.05))

    steps = ladder(request, is_same_demand)

    assert steps == pytest.approx(sorted(set(steps)))
    assert len(steps) == (6 if is_same_demand else 7)
    assert (0.05 in steps) is not is_same_demand
    assert min(steps) < 0.05 < max(steps)


@pytest.mark.parametrize("tolerance", [0.001, 0.5, 1.0])
def test_the_ladder_stays_where_designs_make_sense(tolerance: float) -> None:
    request = PlanRequest(
        layer_id=1, n_territories=2, tolerances=Tolerances(work_minutes=tolerance)
    )

    steps = ladder(request, False)

    assert 0.001 <= min(steps) < max(steps) <= 0.5 + 1e-12
    assert len(set(steps)) == 7


def _ground(n: int, objective: str = "moment_of_inertia") -> Ground:
    random = np.random.default_rng(2)
    return Ground(
        x_m=random.uniform(0, 1e4, n),
        y_m=random.uniform(0, 1e4, n),
        activity=random.lognormal(size=(n, 2)),
        measures=("work_minutes", "customers"),
        customers=np.ones(n),
        objective=objective,
    )


def test_undominated_is_what_the_definition_says() -> None:
    random = np.random.default_rng(1)
    for n_axes in (2, 3):
        axes = random.integers(0, 6, (40, n_axes)).astype(float)
        best = undominated(axes)
        for number in range(40):
            is_beaten = any(
                np.all(other <= axes[number]) and np.any(other < axes[number]) for other in axes
            )
            assert best[number] == (not is_beaten)


def test_new_names_alone_disrupt_nothing() -> None:
    before = np.array([0, 0, 1, 1, 2, NOBODY], dtype=np.int32)
    after = np.array([2, 2, 0, 0, 1, NOBODY], dtype=np.int32)

    found = disruption(_ground(6), before, after, 3, 3)

    assert found == {"work_minutes": 0.0, "customers": 0.0, "territories": 0}
    assert match(before, after, np.ones(6), 3, 3).tolist() == [1, 2, 0]


def test_disruption_is_the_share_of_what_changes_hands() -> None:
    ground = _ground(6)
    before = np.array([0, 0, 0, 1, 1, NOBODY], dtype=np.int32)
    after = np.array([0, 0, 1, 1, 1, 1], dtype=np.int32)

    found = disruption(ground, before, after, 2, 2)

    work = ground.activity[:, 0]
    assert found["work_minutes"] == pytest.approx((work[2] + work[5]) / work.sum())
    assert found["customers"] == pytest.approx(2 / 6)
    assert found["territories"] == 2


def test_a_new_territory_takes_what_it_has_from_others() -> None:
    before = np.array([0, 0, 0, 0], dtype=np.int32)
    after = np.array([0, 0, 1, 1], dtype=np.int32)
    ground = _ground(4)

    found = disruption(ground, before, after, 1, 2)

    heavier = max(ground.activity[:2, 0].sum(), ground.activity[2:, 0].sum())
    assert found["work_minutes"] == pytest.approx(1 - heavier / ground.activity[:, 0].sum())
    assert found["territories"] == 2


def test_scores_are_those_of_the_customers() -> None:
    ground = _ground(50)
    owners = np.random.default_rng(3).integers(0, 4, 50).astype(np.int32)
    owners[:3] = NOBODY

    scored = score_owners(ground, owners, np.ones((4, 2)), np.zeros(4), np.zeros((4, 2)))

    total, worst = 0.0, 0.0
    work = ground.activity[:, 0]
    for territory in range(4):
        own = owners == territory
        mass = work[own]
        x, y = np.average(ground.x_m[own], weights=mass), np.average(ground.y_m[own], weights=mass)
        total += float(np.sum(mass * ((ground.x_m[own] - x) ** 2 + (ground.y_m[own] - y) ** 2)))
        worst = max(worst, abs(mass.sum() / (work[3:].sum() / 4) - 1))
    assert scored.objective_value == pytest.approx(total)
    assert scored.imbalance["work_minutes"] == pytest.approx(worst)


@pytest.mark.usefixtures("few")
async def test_the_command_makes_a_front_and_prints_it(
    client: httpx.AsyncClient,
    plan: dict[str, Any],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BAILIWICK_HOME", str(settings.home))
    monkeypatch.setenv("BAILIWICK_AUTH", "off")
    # It would keep a standard error that is closed after the test.
    monkeypatch.setattr(app.cli.session, "configure_logs", lambda _: None)

    await asyncio.to_thread(front, plan["id"], True)
    document = json.loads(capsys.readouterr().out)
    _show(FrontView.model_validate(document))
    table = capsys.readouterr().out

    assert document == (await client.get(f"/v1/plans/{plan['id']}/front")).json()
    assert "asked" in table
    assert f"{document['n_designed']} designs" in table
