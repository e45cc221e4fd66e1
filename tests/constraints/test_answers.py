"""Refusals with their field and index, and what an infeasible plan says beyond the table."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from app.errors import InvalidInput
from app.plans.solve import main
from tests.conftest import ANY_VERSION
from tests.constraints.conftest import Designer
from tests.constraints.ground import MIDDLE, REGION, World, cell_at, line, rectangle
from tests.constraints.rows import FERRY, NEITHER, WITH_ISLAND, feasible

CELL = cell_at(*MIDDLE)
POINT = {"type": "Point", "coordinates": [0, 0]}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"n_territories": None}, "/n_territories missing"),
        ({"n_territories": 4, "shares": [0.5, 0.5]}, "/n_territories contradiction"),
        ({"shares": [0.5, 0.5, 0.0]}, "/shares/2"),
        ({"shares": [1.2, -0.1, -0.1]}, "/shares/0"),
        ({"tolerances": {"work_minutes": 0}}, "/tolerances/work_minutes"),
        ({"tolerances": {"potential": 1.01}}, "/tolerances/potential"),
        ({"tolerances": {"work_minutes": None}}, "/tolerances/work_minutes"),
        ({"tolerances": {"revenue": 0.1}}, "/tolerances/revenue nothing-to-balance"),
        ({"limits": {"customers": {"min": 9, "max": 3}}}, "/limits/customers/min contradiction"),
        ({"limits": {"customers": {"max": -1}}}, "/limits/customers/max"),
        ({"capacity_minutes": 0.0, "n_territories": None}, "/capacity_minutes"),
        ({"capacity_minutes": 0.001, "n_territories": None}, "/capacity_minutes"),
        ({"rep_ids": [1, 2, 1]}, "/rep_ids/2 repeated"),
        ({"rep_ids": [1, 2, 4], "homes": "fixed"}, "/rep_ids/2 no-home"),
        ({"rep_ids": [1, 2, 3], "shares": [0.5, 0.3, 0.2]}, "/shares contradiction"),
        ({"centres": [{"territory": "T01", "lon": 200, "lat": 0}]}, "/centres/0/lon"),
        ({"centres": [{"territory": "T1", "lon": 113, "lat": 30}] * 2}, "/centres/1/territory"),
        ({"centres": [{"territory": "T00", "lon": 113, "lat": 30}]}, "/centres/0/territory"),
        ({"locks": [{"territory": "T01", "cells": []}]}, "/locks/0/cells"),
        ({"locks": [{"territory": "T01", "cells": [CELL, "f" * 15]}]}, "/locks/0/cells/1 not-a-"),
        ({"locks": [{"territory": "north", "cells": [CELL]}]}, "/locks/0/territory"),
        ({"keep_together": [{}]}, "/keep_together/0 one-of"),
        ({"keep_together": [{"cells": [CELL], "area": REGION}]}, "/keep_together/0 one-of"),
        ({"keep_together": [{"area": POINT}]}, "/keep_together/0/area/type"),
        ({"barriers": [{"geometry": POINT}]}, "/barriers/0/geometry/type not-a-barrier"),
        ({"barriers": [{"geometry": line((1, 1), (1, 1))}]}, "/barriers/0/geometry/coordinates"),
        ({"bridges": [{"name": "b", "from": [500, 0], "to": [1, 1]}]}, "/bridges/0/from/0"),
        ({"locked_territories": {"plan_id": 99, "codes": ["T01"]}}, "/locked_territories/plan_id"),
        ({"max_radius_km": 0}, "/max_radius_km"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_bad_input_is_refused_with_its_place(
    designer: Designer, change: dict[str, Any], pointer: str
) -> None:
    answer = await designer.by_api(**{"n_territories": 3 if "shares" not in change else None,
                                      **change})  # fmt: skip

    assert pointer in answer.said


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
async def test_numbers_that_are_none_are_refused(world: World, number: str) -> None:
    body = f'{{"layer_id": {world.layers["all"]}, "shares": [0.5, {number}]}}'

    answer = await world.client.post(
        "/v1/plans", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("column", range(4))
def test_activity_that_is_no_amount_is_refused(
    in_process: None, tmp_path: Path, bad: float, column: int
) -> None:
    cells = np.array([int(cell_at(113 + 0.1 * i, 30.5, 12), 16) for i in range(4)], np.uint64)
    activity = np.ones((4, 4))
    activity[2, column] = bad
    np.save(tmp_path / "cells12.npy", np.sort(cells))
    np.save(tmp_path / "activity.npy", activity)
    request = {
        "layer_id": 1, "n_territories": 2, "resolution": 5,
        "tolerances": {"potential": 0.1, "revenue": 0.1},
    }  # fmt: skip
    (tmp_path / "request.json").write_bytes(orjson.dumps(request))

    with pytest.raises(InvalidInput):
        main(tmp_path)


async def test_a_place_heavier_than_a_territory_is_said_with_the_reachable_tolerance(
    designer: Designer, world: World
) -> None:
    answer = await designer.by_api(layer_id=world.layers["place"], n_territories=4)

    (violation,) = [
        v for v in answer.plan["violations"]
        if v["code"] == "unit_too_heavy" and v["facts"]["measure"] == "work_minutes"
    ]  # fmt: skip
    assert violation["facts"]["is_single_place"]
    assert violation["facts"]["reachable_tolerance"] > 0.05
    assert violation["relaxation"] == {"field": "/n_territories", "value": 1}
    assert violation["facts"]["unit"] in answer.cells


async def test_more_weight_on_a_measure_does_not_worsen_it(designer: Designer) -> None:
    measures = ("work_minutes", "potential")
    worst = {
        heavy: (await designer.by_api(weights={heavy: 100}, **NEITHER)).plan["max_imbalance"]
        for heavy in measures
    }

    for heavy, light in (measures, measures[::-1]):
        assert worst[heavy][heavy] <= worst[light][heavy] + 1e-9


async def test_asking_for_the_relaxation_is_enough(designer: Designer) -> None:
    wanted = {"work_minutes": 0.001, "customers": None}
    refused = await designer.by_api(n_territories=7, tolerances=wanted)
    (relaxation,) = refused.relaxations("tolerance_not_met")

    again = await designer.by_api(
        n_territories=7, tolerances={**wanted, "work_minutes": relaxation["value"]}
    )

    feasible(again)


async def test_an_island_without_its_bridge_is_left_out_and_with_territories_of_its_own_kept(
    designer: Designer,
) -> None:
    alone = await designer.by_api(region=WITH_ISLAND, n_territories=3)
    (island,) = [piece for piece in alone.plan["components"] if piece["left_out"]]
    assert island["customers"] == 30
    assert "not connected" in island["reason"]

    many = await designer.by_api(
        region=WITH_ISLAND, n_territories=16, tolerances={"work_minutes": 0.5, "customers": None}
    )
    assert [piece["n_territories"] for piece in many.plan["components"]] == [15, 1]


async def test_a_bridge_beats_a_barrier(designer: Designer) -> None:
    fence = line((113.55, 29), (113.55, 32))

    answer = await designer.by_api(
        region=WITH_ISLAND, n_territories=3, bridges=[FERRY], barriers=[{"geometry": fence}]
    )

    feasible(answer)
    assert answer.plan["scores"]["bridges"][0]["is_used"]


async def test_what_barriers_cut_off_is_left_out_with_the_reason(designer: Designer) -> None:
    moat = {"geometry": rectangle(113.25, 30.2, 113.4, 30.35), "name": "moat"}

    answer = await designer.by_api(n_territories=3, barriers=[moat])

    (pocket,) = [piece for piece in answer.plan["components"] if piece["left_out"]]
    assert "cut off by barriers" in pocket["reason"]


async def test_cells_outside_of_the_plan_are_answered_with_their_place(designer: Designer) -> None:
    locks = [{"territory": "T01", "cells": [CELL, cell_at(0, 0)]}]

    answer = await designer.by_api(locks=locks)

    assert answer.cells[CELL] == "T01"
    (relaxation,) = answer.relaxations("cells_outside")
    assert relaxation == {"field": "/locks/0/cells/1", "action": "leave out"}


async def test_reps_who_cannot_do_the_work_are_said_to_be_short(
    designer: Designer, world: World
) -> None:
    answer = await designer.by_api(rep_ids=[world.reps["R1"]], n_territories=None)

    assert answer.codes == {"capacities_short"}
    (relaxation,) = answer.relaxations("capacities_short")
    assert relaxation["n_territories"] == 2


async def test_a_locked_territory_keeps_its_ground_at_another_resolution(
    designer: Designer,
) -> None:
    coarse = await designer.by_api(n_territories=4)
    locked = {"plan_id": coarse.plan["id"], "codes": ["T03"]}

    finer = await designer.by_api(
        n_territories=4, locked_territories=locked, resolution=7, objective="cut_edges"
    )

    assert finer.plan["resolutions"] == [6, 7]
    assert finer.members()["T03"] == coarse.members()["T03"]


async def test_a_plan_for_reps_gives_each_its_territory_when_published(
    designer: Designer, world: World
) -> None:
    reps = [world.reps[name] for name in ("R3", "R1", "R2")]
    plan = (await designer.by_api(rep_ids=reps, n_territories=None)).plan

    await world.client.post(f"/v1/plans/{plan['id']}:publish", headers=ANY_VERSION)

    published = (await world.client.get(f"/v1/plans/{plan['id']}")).json()
    assert [row["rep"]["id"] for row in published["balance"]] == reps


async def test_a_request_in_a_file_is_overridden_by_options(
    designer: Designer, tmp_path: Path
) -> None:
    path = tmp_path / "request.json"
    path.write_bytes(
        orjson.dumps({"capacity_minutes": 5000, "name": "file", "tolerances": {"customers": 0.4}})
    )

    answer = await designer.by_cli("--request", str(path), "--name", "mine", "--tolerance", "0.1")

    assert answer.plan["name"] == "mine"
    assert answer.plan["n_territories"] == 3
    assert answer.plan["tolerances"] == {"work_minutes": 0.1, "customers": 0.4}


@pytest.mark.parametrize(
    "words",
    [
        ("--tolerance", "beauty=0.1"), ("--tolerance", "much"), ("--limit", "customers=3"),
        ("--centre", "T01=113"), ("--lock", "8640a5787ffffff"), ("--lock-territories", "T01"),
        ("--barrier", "missing.json"), ("--bridge", "113,30:114,30"), ("--shares", "a,b"),
        ("--request", "missing.json"),
    ],
)  # fmt: skip
async def test_options_that_cannot_be_read_are_said_with_an_example_or_the_reason(
    designer: Designer, words: tuple[str, ...]
) -> None:
    answer = await designer.by_cli(*words)

    assert "Invalid value" in answer.said
