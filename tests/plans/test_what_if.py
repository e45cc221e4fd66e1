"""What-ifs: each change through the API and a worker, and nothing written but the run."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from sqlalchemy import func, select, text

import app.cli
from app.db.session import Database
from app.db.tables import Base
from app.settings import Settings
from geo.cells import cells_from_text, points_from_cells
from geo.distance import great_circle_m
from geo.membership import units_of
from tests.conftest import ANY_VERSION, Drain
from tests.plans.conftest import DesignPlan

pytestmark = pytest.mark.usefixtures("designed_once")

Ask = Callable[..., Awaitable[dict[str, Any]]]
CODES = ["T01", "T02", "T03", "T04", "T05"]
# Of these a what-if may add rows; the queue of jobs is in a schema of its own.
GROWING = {"run", "run_event", "audit_event"}
# What a worker folds away whenever it has time, and what the service may not read.
GROWING |= {"activity_delta", "data_change", "data_generation", "set_aside_index"}
EAST = (113.9, 30.6)


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


@pytest.fixture
async def reps(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any]
) -> list[dict[str, Any]]:
    """A rep for each territory, who lives in it, and one without."""
    found = []
    for number in range(6):
        home = {}
        if number < 5:
            lon, lat = plan["balance"][number]["label_point"]
            home = {"home_lon": lon, "home_lat": lat}
        body = {"name": f"Rep {number}", "external_id": f"R{number}", **home}
        answer = await client.post("/v1/reps", json=body)
        assert answer.status_code == 201, answer.text
        found.append(answer.json())
    async with database.writing() as session:
        for rep, row in zip(found[:5], plan["balance"], strict=True):
            await session.execute(
                text("""
                    INSERT INTO territory_owner (territory_id, rep_id, during)
                    VALUES (:territory, :rep, tstzrange(now() - interval '1 day', NULL))
                """),
                {"territory": row["territory_id"], "rep": rep["id"]},
            )
    return found


@pytest.fixture
def ask(client: httpx.AsyncClient, database: Database, drain: Drain) -> Ask:
    """Ask what would be; nothing is written but the run."""

    async def suppose(plan_id: int, *changes: dict[str, Any], **rebalance: Any) -> dict[str, Any]:
        before = await row_counts(database)
        body = {"changes": list(changes), "rebalance": rebalance}
        answer = await client.post(f"/v1/plans/{plan_id}:what-if", json=body)
        assert answer.status_code == 202, answer.text
        await drain()
        run = (await client.get(answer.headers["Location"])).json()
        assert run["state"] == "succeeded", run
        assert await row_counts(database) == before
        found: dict[str, Any] = run["result"]
        return found

    return suppose


async def row_counts(database: Database) -> dict[str, int]:
    """Rows of every table but those a run is made of."""
    tables = [table for table in Base.metadata.sorted_tables if table.name not in GROWING]
    async with database.reading() as session:
        counts = {
            table.name: await session.scalar(select(func.count()).select_from(table)) or 0
            for table in tables
        }
    assert {"plan", "plan_cell", "territory", "rebalance", "customer"} <= counts.keys()
    return counts


def balance(found: dict[str, Any], side: str = "after") -> dict[str, dict[str, Any]]:
    return {row["code"]: row[side] for row in found["balance"] if row[side] is not None}


def assert_sound(found: dict[str, Any], customers: float = 600, level: float = 0.05) -> None:
    """Balanced, and nobody lost on the way."""
    after = balance(found)
    assert sum(load["customers"] for load in after.values()) == pytest.approx(customers)
    assert all(abs(load["level"] - 1) <= level + 1e-9 for load in after.values()), after
    assert {load["components"] for load in after.values()} == {1}
    moved = found["moved"]
    for name in ("customers", "work_minutes", "potential", "revenue"):
        listed = sum(move[name] for move in found["moves"])
        assert listed == pytest.approx(moved[name]["amount"], abs=0.05)
    assert sum(move["cells"] for move in found["moves"]) == moved["cells"]
    assert not found["moves_left_out"] + found["balance_left_out"]


async def owners_of_customers(
    client: httpx.AsyncClient, database: Database, plan_id: int
) -> dict[int, str]:
    """The territory of each customer in a plan."""
    pairs = sorted((await client.get(f"/v1/plans/{plan_id}/cells")).json()["cells"],
                   key=lambda pair: int(pair[0], 16))  # fmt: skip
    async with database.reading() as session:
        rows = (await session.execute(text("SELECT id, cell FROM customer ORDER BY id"))).all()
    units = cells_from_text([cell for cell, _ in pairs])
    at = units_of(np.array([row[1] for row in rows], dtype=np.uint64), units)
    return {
        row[0]: pairs[unit][1] for row, unit in zip(rows, at.tolist(), strict=True) if unit >= 0
    }


async def test_who_leaves_has_a_successor_for_every_customer(
    client: httpx.AsyncClient,
    database: Database,
    plan: dict[str, Any],
    reps: list[dict[str, Any]],
    ask: Ask,
) -> None:
    async with database.writing() as session:
        await session.execute(text("UPDATE customer SET revenue = id"))

    found = await ask(plan["id"], {"kind": "rep_leaves", "rep_id": reps[2]["id"]})

    assert_sound(found)
    assert sorted(balance(found)) == ["T01", "T02", "T04", "T05"]
    assert balance(found, "before").keys() == set(CODES)
    (removed,) = found["removed"]
    assert (removed["code"], removed["rep"]["name"]) == ("T03", "Rep 2")
    before = next(row for row in plan["balance"] if row["code"] == "T03")
    assert removed["customers"] == before["customers"]
    assert removed["work_minutes"] == removed["taken_work_minutes"] == before["work_minutes"]
    for name in ("customers", "cells", "work_minutes"):
        assert sum(heir[name] for heir in removed["successors"]) == pytest.approx(removed[name])
    works = [heir["work_minutes"] for heir in removed["successors"]]
    assert works == sorted(works, reverse=True)
    for heir in removed["successors"]:
        assert heir["level"] == balance(found)[heir["code"]]["level"]
        load = balance(found)[heir["code"]]
        rep = next(rep for rep in reps if rep["name"] == heir["rep"]["name"])
        assert heir["utilisation"] == pytest.approx(load["work_minutes"] / rep["capacity_minutes"])
    affected = found["affected"]
    owner = await owners_of_customers(client, database, plan["id"])
    assert len(affected["customers"]) == 100
    assert affected["number"] - 100 == affected["left_out"]
    assert affected["number"] == sum(move["customers"] for move in found["moves"])
    for customer in affected["customers"]:
        assert owner[customer["id"]] == customer["from_code"] != customer["to_code"]
    revenues = [customer["revenue"] for customer in affected["customers"]]
    assert revenues == sorted(revenues, reverse=True)
    left = {number for number, code in owner.items() if code == "T03"}
    named = {customer["id"] for customer in affected["customers"]}
    assert sorted(left, reverse=True)[:20] == sorted(left & named, reverse=True)[:20]
    texts = [move["text"] for move in found["moves"] if move["from_code"] == "T03"]
    assert texts
    assert all("T03 disappears. Without it T" in line for line in texts)
    assert found["cost"]["travel_km"]["after"] > found["cost"]["travel_km"]["before"] > 0
    assert found["cost"]["objective"]["after"] > found["cost"]["objective"]["before"]


async def test_a_leave_counts_the_work_of_its_part_of_a_year(
    plan: dict[str, Any], reps: list[dict[str, Any]], ask: Ask
) -> None:
    change = {"kind": "rep_on_leave", "rep_id": reps[0]["id"], "from": "2027-03-01"}
    found = await ask(plan["id"], {**change, "to": "2027-05-12"})

    assert_sound(found)
    (removed,) = found["removed"]
    period = {"from": "2027-03-01", "to": "2027-05-12", "days": 73, "part_of_year": 0.2}
    assert removed["period"] == period
    before = plan["balance"][0]["work_minutes"]
    assert removed["work_minutes"] == pytest.approx(before)
    assert removed["taken_work_minutes"] == pytest.approx(before / 5)
    total = sum(load["work_minutes"] for load in balance(found).values())
    assert total == pytest.approx(600 * 100 - before * 0.8)


async def test_who_joins_where_another_left_takes_over(
    plan: dict[str, Any], reps: list[dict[str, Any]], ask: Ask
) -> None:
    home = plan["balance"][1]["label_point"]
    found = await ask(
        plan["id"],
        {"kind": "rep_leaves", "rep_id": reps[1]["id"]},
        {"kind": "rep_joins", "name": "Nora", "home": home},
    )

    assert_sound(found)
    (added,) = found["added"]
    assert (added["code"], added["made_of"], added["takes_over"]) == ("T06", "T02", True)
    assert added["rep"] == {"id": None, "name": "Nora"}
    (heir,) = found["removed"][0]["successors"]
    assert (heir["code"], heir["share"]) == ("T06", 1.0)
    assert found["code"] == "within_triggers"


async def test_who_joins_next_door_takes_over_but_a_territory_wanted_there_is_made_there(
    plan: dict[str, Any], reps: list[dict[str, Any]], ask: Ask
) -> None:
    leaves = {"kind": "rep_leaves", "rep_id": reps[2]["id"]}
    (heir,) = (await ask(plan["id"], leaves))["removed"][0]["successors"][:1]
    place = plan["balance"][CODES.index(heir["code"])]["label_point"]

    joined = await ask(plan["id"], leaves, {"kind": "rep_joins", "home": place})
    added = await ask(plan["id"], leaves, {"kind": "territory_added", "near": place})

    assert_sound(joined)
    assert_sound(added)
    assert (joined["added"][0]["made_of"], joined["added"][0]["takes_over"]) == ("T03", True)
    assert (added["added"][0]["made_of"], added["added"][0]["takes_over"]) == (heir["code"], False)
    assert joined["affected"]["number"] < added["affected"]["number"]
    assert added["added"][0]["distance_km"] < 10


async def test_where_the_budget_allows_no_plan_nothing_is_said_of_after(
    plan: dict[str, Any], ask: Ask
) -> None:
    found = await ask(plan["id"], {"kind": "territory_added"}, budget={"customers": 0})

    assert found["code"] == "nothing_within_budget"
    assert not any(option["is_picked"] for option in found["options"])
    assert balance(found) == {}
    assert balance(found, "before").keys() == set(CODES)
    assert (found["moved"], found["moves"], found["affected"]["number"]) == (None, [], 0)


async def test_a_territory_more_is_made_near_the_place(
    client: httpx.AsyncClient, plan: dict[str, Any], reps: list[dict[str, Any]], ask: Ask
) -> None:
    found = await ask(plan["id"], {"kind": "territory_added", "near": EAST})

    assert_sound(found)
    (added,) = found["added"]
    pairs = (await client.get(f"/v1/plans/{plan['id']}/cells")).json()["cells"]
    lon, lat = points_from_cells(cells_from_text([cell for cell, _ in pairs]))
    nearest = pairs[int(np.argmin(great_circle_m(lon, lat, *EAST)))]
    assert added["made_of"] == nearest[1]
    assert added["distance_km"] < 10
    assert balance(found)["T06"]["work_minutes"] == pytest.approx(10_000, rel=0.05)
    joined = {move["from_code"] for move in found["moves"] if move["to_code"] == "T06"}
    assert nearest[1] in joined
    # It takes a sixth of the work, and little else moves.
    assert 0.15 < found["moved"]["work_minutes"]["share"] < 0.45


async def test_capacity_moves_shares_and_a_home_moves_travel_alone(
    plan: dict[str, Any], reps: list[dict[str, Any]], ask: Ask
) -> None:
    rep = reps[0]
    change = {"kind": "rep_changes", "rep_id": rep["id"]}
    half = await ask(plan["id"], {**change, "capacity_minutes": rep["capacity_minutes"] / 2})
    moved = await ask(plan["id"], {**change, "home": [114.5, 31.5]})

    assert_sound(half)
    targets = {code: load["target_work_minutes"] for code, load in balance(half).items()}
    assert targets["T01"] == pytest.approx(targets["T02"] / 2)
    assert half["moved"]["work_minutes"]["share"] > 0.05
    assert moved["moved"]["cells"] == 0
    assert moved["affected"] == {"number": 0, "customers": [], "left_out": 0}
    before, after = balance(moved, "before"), balance(moved)
    assert after["T01"]["travel_km"] > before["T01"]["travel_km"]
    assert after["T02"] == before["T02"]
    travel = moved["cost"]["travel_km"]
    assert travel["after"] > travel["before"]


@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
async def test_customers_lost_or_won_in_an_area_count_before_balancing(
    database: Database, plan: dict[str, Any], ask: Ask, factor: float
) -> None:
    area = {
        "type": "Polygon",
        "coordinates": [[[113.3, 30], [115, 30], [115, 31], [113.3, 31], [113.3, 30]]],
    }
    async with database.reading() as session:
        inside = await session.scalar(
            text("SELECT count(*) FROM customer WHERE ST_X(geom) > 113.3 AND ST_X(geom) < 115 "
                 "AND ST_Y(geom) BETWEEN 30 AND 31")
        )  # fmt: skip
        lost = set(await session.scalars(
            text("SELECT id FROM customer WHERE ST_X(geom) > 113.301 AND ST_X(geom) < 114.99 "
                 "AND ST_Y(geom) BETWEEN 30.001 AND 30.999")
        ))  # fmt: skip

    found = await ask(plan["id"], {"kind": "customers_change", "area": area, "factor": factor})

    total = sum(load["customers"] for load in balance(found).values())
    assert total == pytest.approx(600 + (factor - 1) * inside, abs=3 * abs(factor - 1))
    assert sum(load["customers"] for load in balance(found, "before").values()) == 600
    assert_sound(found, total)
    assert found["moved"]["cells"] > 0
    if factor == 0:
        assert not {customer["id"] for customer in found["affected"]["customers"]} & lost


async def test_a_protected_customer_stays_and_one_whose_territory_goes_is_said(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any], ask: Ask
) -> None:
    owner = await owners_of_customers(client, database, plan["id"])
    removal = {"kind": "territory_removed", "territory": "T03"}
    free = await ask(plan["id"], removal)
    from_others = next(
        c["id"] for c in free["affected"]["customers"] if c["from_code"] != "T03"
    )  # fmt: skip
    homeless = next(number for number, code in owner.items() if code == "T03")
    async with database.writing() as session:
        ids = {"ids": [from_others, homeless]}
        await session.execute(text("UPDATE customer SET tags = '{key}' WHERE id = ANY(:ids)"), ids)

    found = await ask(plan["id"], removal, protect={"tags": ["key"]})

    assert_sound(found)
    affected = {customer["id"] for customer in found["affected"]["customers"]}
    assert found["affected"]["left_out"] > 0 or homeless in affected
    assert from_others not in affected
    assert found["removed"][0]["protected_cells"] == 1
    assert found["n_protected_cells"] == 2


async def test_named_accounts_of_a_territory_that_goes_have_none(
    database: Database, plan: dict[str, Any], ask: Ask
) -> None:
    async with database.writing() as session:
        await session.execute(
            text("""
                INSERT INTO customer_override
                    (layer_id, customer_id, territory_code, during, reason)
                SELECT :layer, id, CASE WHEN n < 10 THEN 'T02' ELSE 'T04' END,
                    tstzrange(now() - interval '1 day', NULL), 'key account'
                FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM customer) AS c
                WHERE n < 15
            """),
            {"layer": plan["layer_id"]},
        )
        await session.execute(text("UPDATE customer SET revenue = 9 WHERE id IN "
                                   "(SELECT customer_id FROM customer_override)"))  # fmt: skip

    found = await ask(plan["id"], {"kind": "territory_removed", "territory": "T2"})

    assert found["named_without_territory"] == {"customers": 10, "work_minutes": 1000}
    assert_sound(found, 590)
    nowhere = [c for c in found["affected"]["customers"] if c["to_code"] is None]
    assert {customer["from_code"] for customer in nowhere} == {"T02"}
    assert len(nowhere) == 10
    moved = sum(move["customers"] for move in found["moves"])
    assert found["affected"]["number"] == moved + 10


async def test_the_same_question_has_the_same_answer(
    plan: dict[str, Any], reps: list[dict[str, Any]], ask: Ask
) -> None:
    changes = (
        {"kind": "rep_leaves", "rep_id": reps[4]["id"]},
        {"kind": "territory_added"},
        {"kind": "rep_joins", "home": EAST, "capacity_minutes": 40000},
    )

    first, second = [await ask(plan["id"], *changes) for _ in range(2)]

    assert first == second
    assert Counter(added["takes_over"] for added in first["added"]) == {True: 1, False: 1}
    assert sorted(balance(first)) == ["T01", "T02", "T03", "T04", "T06", "T07"]
    assert_sound(first)


async def test_a_draft_for_reps_knows_whose_its_territories_will_be(
    layer_id: int, reps: list[dict[str, Any]], design_plan: DesignPlan, ask: Ask
) -> None:
    run = await design_plan(
        layer_id=layer_id, rep_ids=[rep["id"] for rep in reps[:5]], homes="preferred",
        lock_homes=True, tolerances={"work_minutes": 0.05, "customers": None},
    )  # fmt: skip
    leaver = reps[1]

    found = await ask(
        run["result"]["plan_id"],
        {"kind": "rep_leaves", "rep_id": leaver["id"]},
        {"kind": "rep_changes", "rep_id": reps[3]["id"], "capacity_minutes": 42240},
    )

    assert_sound(found)
    targets = {code: load["target_work_minutes"] for code, load in balance(found).items()}
    assert targets.keys() == {"T01", "T03", "T04", "T05"}
    assert targets["T04"] / targets["T01"] == pytest.approx(42240 / leaver["capacity_minutes"])
    assert [row["rep"]["name"] for row in found["balance"]] == [f"Rep {n}" for n in range(5)]


async def test_locked_territories_stay_as_they_are_unless_they_go(
    plan: dict[str, Any], layer_id: int, design_plan: DesignPlan, ask: Ask
) -> None:
    run = await design_plan(
        layer_id=layer_id, n_territories=5,
        locked_territories={"plan_id": plan["id"], "codes": ["T02", "T04"]},
        tolerances={"work_minutes": 0.2, "customers": None},
    )  # fmt: skip

    found = await ask(run["result"]["plan_id"], {"kind": "territory_removed", "territory": "T02"})

    assert_sound(found, level=0.2)
    before, after = balance(found, "before"), balance(found)
    assert after["T04"]["cells"] == before["T04"]["cells"]
    assert not {move["from_code"] for move in found["moves"]} & {"T04"}
    assert found["removed"][0]["successors"]


async def test_the_command_says_what_the_api_says(
    settings: Settings,
    plan: dict[str, Any],
    reps: list[dict[str, Any]],
    ask: Ask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BAILIWICK_HOME", str(settings.home))
    monkeypatch.setenv("BAILIWICK_AUTH", "off")
    monkeypatch.setattr("app.cli.session.configure_logs", lambda _: None)
    file = tmp_path / "changes.json"
    file.write_text('{"changes": [{"kind": "territory_removed", "territory": "T03"}]}')
    rep_id = reps[0]["id"]

    async def say(*words: str) -> str:
        capfd.readouterr()
        monkeypatch.setattr("sys.argv", ["bailiwick", "what-if", *words])
        with pytest.raises(SystemExit) as end:
            await asyncio.to_thread(app.cli.main)
        out, err = capfd.readouterr()
        assert end.value.code == 0, err
        return out

    by_words = orjson.loads(await say("--rep-leaves", str(rep_id), "--file", str(file), "--json"))
    for_people = await say(str(plan["id"]), "--remove", "T03", "--add")

    changes = [
        {"kind": "territory_removed", "territory": "T03"},
        {"kind": "rep_leaves", "rep_id": rep_id},
    ]
    assert by_words == await ask(plan["id"], *changes)
    assert "T03 (Rep 2) is taken over by T06 100%" in for_people
    assert "T06 takes over T03." in for_people
    assert "Nothing was changed." in for_people


AREA = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
AGAIN = [{"kind": "territory_removed", "territory": "T01"}] * 2
EVERY = [{"kind": "territory_removed", "territory": code} for code in CODES]
LEAVE = {"kind": "rep_on_leave", "rep_id": 1, "from": "2027-02-01", "to": "2027-01-01"}


@pytest.mark.parametrize(
    ("changes", "rebalance", "pointer"),
    [
        ([], {}, "/changes"),
        ([{"kind": "territory_added"}] * 21, {}, "/changes"),
        ([{"kind": "rep_leaves", "rep_id": 999}], {}, "/changes/0/rep_id"),
        ([{"kind": "rep_leaves", "rep_id": "6"}, {"kind": "fly"}], {}, "/changes/1"),
        ([{"kind": "rep_leaves", "rep_id": 6}], {}, "/changes/0/rep_id"),
        ([{"kind": "territory_removed", "territory": "T09"}], {}, "/changes/0/territory"),
        (EVERY, {}, "/changes/4/territory"),
        (AGAIN, {}, "/changes/1/territory"),
        ([LEAVE], {}, "/changes/0/to"),
        ([{**LEAVE, "from": 7}], {}, "/changes/0/from"),
        ([{"kind": "rep_changes", "rep_id": 1}], {}, "/changes/0"),
        (
            [{"kind": "rep_leaves", "rep_id": 1},
             {"kind": "rep_changes", "rep_id": 1, "capacity_minutes": 5}],
            {}, "/changes/1/rep_id",
        ),
        ([{"kind": "customers_change", "area": AREA, "factor": 2}], {}, "/changes/0/area"),
        ([{"kind": "customers_change", "area": AREA, "factor": 10.5}], {}, "/changes/0/factor"),
        (
            [{"kind": "customers_change", "area": {"type": "Point", "coordinates": [1, 1]},
              "factor": 2}],
            {}, "/changes/0/area/type",
        ),
        ([{"kind": "rep_joins", "home": [30, 114]}], {}, "/changes/0/home/1"),
        (AGAIN[:1], {"protect": {"territories": ["T01"]}}, "/rebalance/protect/territories/0"),
        (AGAIN[:1], {"protect": {"territories": ["T77"]}}, "/rebalance/protect/territories/0"),
        (AGAIN[:1], {"protect": {"cells": ["8" * 15]}}, "/rebalance/protect/cells/0"),
        (AGAIN[:1], {"return_to": 2}, "/rebalance/return_to"),
    ],
)  # fmt: skip
async def test_a_wrong_change_is_refused_by_its_field(
    client: httpx.AsyncClient,
    plan: dict[str, Any],
    reps: list[dict[str, Any]],
    changes: list[dict[str, Any]],
    rebalance: dict[str, Any],
    pointer: str,
) -> None:
    first = reps[0]["id"]
    asked = [
        {**change, "rep_id": change["rep_id"] + first - 1}
        if isinstance(change.get("rep_id"), int)
        else change
        for change in changes
    ]
    body = {"changes": asked, "rebalance": rebalance}
    answer = await client.post(f"/v1/plans/{plan['id']}:what-if", json=body)

    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text
    assert (await client.get("/v1/runs?kind=what-if")).json()["items"] == []


async def test_not_a_number_is_no_factor(client: httpx.AsyncClient, plan: dict[str, Any]) -> None:
    answer = await client.post(
        f"/v1/plans/{plan['id']}:what-if",
        content='{"changes": [{"kind": "customers_change", "area": {}, "factor": NaN}]}',
        headers={"content-type": "application/json"},
    )

    assert 400 <= answer.status_code < 500, answer.text
