"""Rebalances: from drift to a draft, with every move explained, over HTTP and a real worker."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.db.session import Database
from app.jobs.child import run_child
from app.jobs.runs import RunContext
from geo.cells import ancestors, cells_from_text, points_from_cells
from geo.membership import units_of
from tests.conftest import ANY_VERSION, Drain
from tests.plans.conftest import DesignPlan, add_customers

pytestmark = pytest.mark.usefixtures("designed_once")

NUMBER = re.compile(r"(T\d+) at ([\d.]+)%")


@pytest.fixture
async def plan(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> dict[str, Any]:
    """A plan in force of five territories, within 5 % of work."""
    run = await design_plan(
        layer_id=layer_id, n_territories=5, name="Spring",
        tolerances={"work_minutes": 0.05, "customers": None},
    )  # fmt: skip
    assert run["state"] == "succeeded", run
    plan_id = run["result"]["plan_id"]
    answer = await client.post(f"/v1/plans/{plan_id}:publish", json={}, headers=ANY_VERSION)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = (await client.get(f"/v1/plans/{plan_id}")).json()
    return found


async def drift(database: Database, n: int = 60, seed: int = 3, work: float = 100.0) -> None:
    """Let customers come to one corner of the plan."""
    random = np.random.default_rng(seed)
    lon, lat = 113.0 + random.normal(0.4, 0.15, n), 30.5 + random.normal(0.3, 0.1, n)
    await add_customers(database, lon, lat, f"N{seed}-", work)


@pytest.fixture
def ask(client: httpx.AsyncClient, drain: Drain) -> Any:
    """Rebalance a plan; return what was found."""

    async def rebalance(plan_id: int, **request: Any) -> dict[str, Any]:
        answer = await client.post(f"/v1/plans/{plan_id}:rebalance", json=request)
        assert answer.status_code == 202, answer.text
        await drain()
        run = (await client.get(answer.headers["Location"])).json()
        assert run["state"] == "succeeded", run
        found: dict[str, Any] = (await client.get(run["result"]["href"])).json()
        assert found["new_plan_id"] == run["result"]["plan_id"]
        return found

    return rebalance


async def cells_of(client: httpx.AsyncClient, plan_id: int) -> dict[str, str]:
    answer = await client.get(f"/v1/plans/{plan_id}/cells")
    return dict(answer.json()["cells"])


async def work_by_cell(database: Database, cells: list[str]) -> dict[str, float]:
    """Today's work by cell of a plan, counted customer by customer."""
    async with database.reading() as session:
        rows = (await session.execute(text("SELECT cell, work_minutes FROM customer"))).all()
    units = cells_from_text(cells)
    order = np.argsort(units)
    at = units_of(np.array([row[0] for row in rows], dtype=np.uint64), units[order])
    sums: Counter[str] = Counter()
    for unit, (_, work) in zip(at.tolist(), rows, strict=True):
        if unit >= 0:
            sums[cells[order[unit]]] += work
    return dict(sums)


async def test_drift_is_mended_with_little_moved_and_every_move_is_explained(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Any
) -> None:
    await drift(database)

    found = await ask(plan["id"], return_to=0.6)

    before, after = plan, (await client.get(f"/v1/plans/{found['new_plan_id']}")).json()
    assert found["code"] == "least_moved"
    assert after["origin"] == "rebalance"
    assert after["parent_id"] == plan["id"]
    assert after["state"] == "draft"
    assert after["max_imbalance"]["work_minutes"] <= 0.03 + 1e-9
    assert {row["components"] for row in after["balance"]} == {1}
    same = ("code", "name", "colour")
    assert [[row[name] for name in same] for row in after["balance"]] == [
        [row[name] for name in same] for row in before["balance"]
    ]
    old, new = await cells_of(client, plan["id"]), await cells_of(client, found["new_plan_id"])
    moved = {cell: (old[cell], code) for cell, code in new.items() if old.get(cell, code) != code}
    assert 0 < len(moved) < len(old) / 3
    (picked,) = [option for option in found["options"] if option["is_picked"]]
    assert picked["n_cells_moved"] == len(moved)
    assert [option["origin"] for option in found["options"]].count("fresh") == 1
    fresh = next(option for option in found["options"] if option["origin"] == "fresh")
    assert found["least_moved_work"] <= picked["moved"]["work_minutes"]
    assert picked["moved"]["work_minutes"] <= fresh["moved"]["work_minutes"]

    moves = (await client.get(f"/v1/plans/{found['new_plan_id']}/moves")).json()["items"]
    told = {cell: (move["from_code"], move["to_code"]) for move in moves for cell in move["cells"]}
    assert told == moved


async def test_the_numbers_of_a_counterfactual_are_those_of_counting_anew(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Any
) -> None:
    n_checked = 0
    plan_id = plan["id"]
    for seed in range(3, 9):
        await drift(database, seed=seed, n=40)
        found = await ask(plan_id, prices=[0.0], recent_days=0, seed=seed)
        if found["new_plan_id"] is None:
            continue
        plan_id = found["new_plan_id"]
        after = (await client.get(f"/v1/plans/{plan_id}")).json()
        targets = {row["code"]: row["target_work_minutes"] for row in after["balance"]}
        owners = await cells_of(client, plan_id)
        work = await work_by_cell(database, list(owners))
        moves = (await client.get(f"/v1/plans/{plan_id}/moves?limit=1000")).json()["items"]
        for move in moves:
            stayed = {**owners, **dict.fromkeys(move["cells"], move["from_code"])}
            said = NUMBER.findall(move["text"])
            counted = [
                (code, _level(work, who, code, targets[code]))
                for who in (stayed, owners)
                for code in (move["from_code"], move["to_code"])
            ]
            for (code, shown), (wanted, level) in zip(said, counted, strict=True):
                assert code == wanted
                assert float(shown) == pytest.approx(100 * level, abs=0.05 + 1e-6), move["text"]
            for end, code in (("from", move["from_code"]), ("to", move["to_code"])):
                evidence = move["evidence"]["work_minutes"][end]
                assert evidence["stays"] + 1 == pytest.approx(
                    _level(work, stayed, code, targets[code])
                )
                assert evidence["moves"] + 1 == pytest.approx(
                    _level(work, owners, code, targets[code])
                )
            n_checked += 1
    assert n_checked >= 50


def _level(work: dict[str, float], owners: dict[str, str], code: str, target: float) -> float:
    return sum(work.get(cell, 0.0) for cell, owner in owners.items() if owner == code) / target


async def test_a_night_without_drift_makes_no_plan(
    client: httpx.AsyncClient, plan: dict[str, Any], ask: Any
) -> None:
    found = await ask(plan["id"])

    assert found["code"] == "within_triggers"
    assert found["new_plan_id"] is None
    assert len(found["options"]) == 1
    assert len((await client.get("/v1/plans")).json()["items"]) == 1


async def test_nothing_beyond_the_budget_is_made(
    database: Database, plan: dict[str, Any], ask: Any
) -> None:
    await drift(database)

    nothing = await ask(plan["id"], budget={"customers": 0})
    little = await ask(plan["id"], budget={"work_minutes": 0.01})

    assert nothing["new_plan_id"] is None
    assert nothing["code"] == "nothing_gained"
    for option in little["options"]:
        if option["is_picked"]:
            assert option["moved"]["work_minutes"] <= 0.01
        assert option["is_within_budget"] == (option["moved"]["work_minutes"] <= 0.01)


async def test_protected_customers_and_territories_stay(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Any
) -> None:
    await drift(database)
    free = await ask(plan["id"])
    moves = (await client.get(f"/v1/plans/{free['new_plan_id']}/moves")).json()["items"]
    first = moves[0]
    cell = first["cells"][0]
    address = f"/v1/plans/{free['new_plan_id']}/moves/0/customers"
    on_it = (await client.get(address)).json()["items"]
    async with database.writing() as session:
        await session.execute(
            text("UPDATE customer SET tags = '{key}' WHERE id = :id"), {"id": on_it[0]["id"]}
        )
        where = await session.scalar(
            text("SELECT cell FROM customer WHERE id = :id"), {"id": on_it[0]["id"]}
        )

    by_tag = await ask(plan["id"], protect={"tags": ["key"]})
    by_cell = await ask(plan["id"], protect={"cells": [cell]})
    by_code = await ask(plan["id"], protect={"territories": [first["from_code"]]})

    old = await cells_of(client, plan["id"])
    new = await cells_of(client, by_tag["new_plan_id"])
    above = {
        name for name in new
        if int(ancestors([where], (int(name, 16) >> 52) & 15)[0]) == int(name, 16)
    }  # fmt: skip
    assert len(above) == 1
    assert {new[name] for name in above} == {old[name] for name in above}
    assert (await cells_of(client, by_cell["new_plan_id"]))[cell] == old[cell]
    if by_code["new_plan_id"] is not None:
        new = await cells_of(client, by_code["new_plan_id"])
        assert all(new[n] == c for n, c in old.items() if c == first["from_code"])
    assert by_tag["n_protected_cells"] == 1


async def test_new_ground_is_taken_in_where_it_touches_a_territory(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Any
) -> None:
    old = await cells_of(client, plan["id"])
    west = min(row["bbox"][0] for row in plan["balance"])
    edge = next(row for row in plan["balance"] if row["bbox"][0] == west)
    lat = edge["label_point"][1]
    lon = np.linspace(west - 0.25, west + 0.02, 20)
    await add_customers(database, lon, np.full(20, lat), "W", 1.0)
    await add_customers(database, np.array([20.0]), np.array([50.0]), "far", 1.0)

    found = await ask(plan["id"])

    new = await cells_of(client, found["new_plan_id"])
    assert old.items() <= new.items()
    assert len(new) > len(old)
    assert found["new_customers"] > 0
    assert found["customers_outside"] >= 1
    assert (await client.get(f"/v1/plans/{found['new_plan_id']}/moves")).json()["items"] == []


async def test_named_accounts_count_where_their_account_puts_them(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Any
) -> None:
    rows = plan["balance"]
    giver, taker = rows[0]["code"], rows[-1]["code"]
    async with database.writing() as session:
        await session.execute(
            text("""
                INSERT INTO customer_override
                    (layer_id, customer_id, territory_code, during, reason)
                SELECT :layer, id, :code, tstzrange(now() - interval '1 day', NULL), 'key account'
                FROM customer ORDER BY id LIMIT 25
            """),
            {"layer": plan["layer_id"], "code": taker},
        )

    found = await ask(plan["id"])

    after = (await client.get(f"/v1/plans/{found['new_plan_id']}")).json()
    assert after["max_imbalance"]["work_minutes"] <= 0.05
    assert sum(row["customers"] for row in after["balance"]) == 600
    async with database.reading() as session:
        on_ground = await session.execute(
            text("""
                SELECT territory_code, count(*) FROM customer_override GROUP BY 1
            """)
        )
        assert dict(on_ground.all()) == {taker: 25}
    answer = await client.post(
        f"/v1/plans/{found['new_plan_id']}:publish", json={}, headers=ANY_VERSION
    )
    assert answer.status_code == 201, answer.text
    drifted = (await client.get(f"/v1/plans/{found['new_plan_id']}/drift")).json()
    by_code = {row["code"]: row for row in drifted["territories"]}
    for row in after["balance"]:
        assert by_code[row["code"]]["work_minutes"] == pytest.approx(row["work_minutes"])
    assert giver != taker


async def test_ground_that_moved_lately_stays_and_reps_keep_their_territories(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Any
) -> None:
    reps = [
        (await client.post("/v1/reps", json={"name": f"Rep {n}", "external_id": f"R{n}"})).json()
        for n in range(5)
    ]
    async with database.writing() as session:
        await session.execute(
            text("""
                INSERT INTO territory_owner (territory_id, rep_id, during)
                SELECT id, :first + ordinal, tstzrange(now() - interval '1 day', NULL)
                FROM territory WHERE plan_id = :plan
            """),
            {"plan": plan["id"], "first": reps[0]["id"]},
        )
    await drift(database)
    first = await ask(plan["id"])
    new_id = first["new_plan_id"]
    body = {"assign_reps": False}
    await client.post(f"/v1/plans/{new_id}:publish", json=body, headers=ANY_VERSION)

    after = (await client.get(f"/v1/plans/{new_id}")).json()
    assert [row["rep"]["id"] for row in after["balance"]] == [rep["id"] for rep in reps]

    await drift(database, n=40, seed=9)
    second = await ask(new_id)

    assert second["n_recent_cells"] == next(
        option["n_cells_moved"] for option in first["options"] if option["is_picked"]
    )
    if not second["has_freed_recent"] and second["new_plan_id"]:
        moved = {
            cell
            for move in (await client.get(f"/v1/plans/{new_id}/moves")).json()["items"]
            for cell in move["cells"]
        }
        again = {
            cell
            for move in (await client.get(f"/v1/plans/{second['new_plan_id']}/moves")).json()[
                "items"
            ]
            for cell in move["cells"]
        }
        assert not moved & again


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        ({"budget": {"customers": -0.1}}, "/budget/customers"),
        ({"budget": {"revenue": 1.01}}, "/budget/revenue"),
        ({"prices": []}, "/prices"),
        ({"prices": [float("inf")]}, None),
        ({"return_to": 0}, "/return_to"),
        ({"protect": {"territories": ["T99"]}}, "/protect/territories/0"),
        ({"triggers": {"work_minutes": 0}}, "/triggers/work_minutes"),
        ({"budgets": {}}, "/budgets"),
    ],
)
async def test_a_wrong_request_is_refused_by_its_field(
    client: httpx.AsyncClient, plan: dict[str, Any], request_: dict[str, Any], pointer: str | None
) -> None:
    answer = await client.post(
        f"/v1/plans/{plan['id']}:rebalance",
        content=json.dumps(request_), headers={"content-type": "application/json"},
    )  # fmt: skip

    assert 400 <= answer.status_code < 500, answer.text
    if pointer is not None:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await client.get(f"/v1/plans/{plan['id']}/rebalances")).json()["items"] == []


async def test_a_rebalanced_plan_can_be_made_again(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any], ask: Any
) -> None:
    async with database.writing() as session:
        await session.execute(
            text("""
                INSERT INTO customer_override
                    (layer_id, customer_id, territory_code, during, reason)
                SELECT :layer, id, 'T02', tstzrange(now() - interval '1 day', NULL), 'key account'
                FROM customer ORDER BY id LIMIT 10
            """),
            {"layer": plan["layer_id"]},
        )
    await drift(database)
    found = await ask(plan["id"], seed=5, protect={"classes": ["S"]})
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer_override"))
        await session.execute(text("DELETE FROM customer WHERE id % 3 = 0"))

    answer = await client.post(f"/v1/plans/{found['new_plan_id']}:verify")
    await drain()
    run = (await client.get(answer.headers["Location"])).json()

    assert run["state"] == "succeeded", run
    assert run["result"]["identical"], run["result"]["checks"]


@pytest.mark.one_process
async def test_a_plan_that_is_edited_meanwhile_is_not_followed_by_one_made_from_before(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    copied = await client.post(f"/v1/plans/{plan['id']}:copy", json={}, headers=ANY_VERSION)
    assert copied.status_code == 201, copied.text
    draft_id = copied.json()["id"]
    await drift(database)
    edits: list[int] = []

    async def edit_first(context: RunContext, module: str, folder: Path, *window: float) -> None:
        for code in ("T02", "T03", "T04", "T05"):
            body = {"territories": ["T01", code], "into": "T01"}
            answer = await client.post(
                f"/v1/plans/{draft_id}:merge", json=body, headers=ANY_VERSION
            )
            edits.append(answer.status_code)
            if answer.status_code == 200:
                break
        await run_child(context, module, folder, *window)

    monkeypatch.setattr("app.plans.rebalance_job.run_child", edit_first)
    answer = await client.post(f"/v1/plans/{draft_id}:rebalance", json={})
    await drain()

    run = (await client.get(answer.headers["Location"])).json()
    assert edits[-1] == 200
    assert run["state"] == "failed"
    assert "was changed while it was being rebalanced" in run["error"]["detail"]
    plans = (await client.get("/v1/plans")).json()["items"]
    assert [item["id"] for item in plans] == [draft_id, plan["id"]]
    assert (await client.get(f"/v1/plans/{draft_id}/rebalances")).json()["items"] == []


async def test_a_plan_of_a_region_takes_in_nothing_outside_of_it(
    client: httpx.AsyncClient, database: Database, customers: int, layer_id: int,
    design_plan: DesignPlan, ask: Any,
) -> None:  # fmt: skip
    corners = [[112.8, 30.3], [113.2, 30.3], [113.2, 30.7], [112.8, 30.7], [112.8, 30.3]]
    run = await design_plan(
        layer_id=layer_id, n_territories=3, tolerances={"work_minutes": 0.1, "customers": None},
        region={"type": "Polygon", "coordinates": [corners]},
    )  # fmt: skip
    assert run["state"] == "succeeded", run
    plan_id = run["result"]["plan_id"]
    await add_customers(database, np.full(40, 113.15), np.linspace(30.32, 30.38, 40), "E", 100.0)
    before = await cells_of(client, plan_id)

    found = await ask(plan_id)

    after = await cells_of(client, found["new_plan_id"])
    lon, lat = points_from_cells(cells_from_text([cell for cell in after if cell not in before]))
    assert len(after) < len(before) + 20
    assert np.all((abs(lon - 113) < 0.3) & (abs(lat - 30.5) < 0.3))


async def test_a_territory_whose_named_accounts_are_its_target_stops_no_cure(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Any
) -> None:
    async with database.writing() as session:
        await session.execute(
            text("""
                INSERT INTO customer_override
                    (layer_id, customer_id, territory_code, during, reason)
                SELECT :layer, id, 'T01', tstzrange(now() - interval '1 day', NULL), 'key'
                FROM customer ORDER BY id LIMIT 130
            """),
            {"layer": plan["layer_id"]},
        )

    found = await ask(plan["id"])

    assert found["new_plan_id"] is not None, found
    after = (await client.get(f"/v1/plans/{found['new_plan_id']}")).json()
    others = [row for row in after["balance"] if row["code"] != "T01"]
    assert max(abs(row["imbalance"]["work_minutes"]) for row in others) < 0.15
    assert {row["components"] for row in after["balance"]} == {1}
