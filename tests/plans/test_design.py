"""Designing plans over HTTP, with a real worker and a real child process."""

from collections import Counter
from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from shapely.geometry import shape
from sqlalchemy import text

from app.db.session import Database
from app.plans.repository import load_alignment
from tests.plans.checks import cell_of, cells_by_territory, is_contiguous
from tests.plans.conftest import DesignPlan, add_customers


@pytest.fixture
async def plan(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> dict[str, Any]:
    run = await design_plan(layer_id=layer_id, n_territories=6)
    assert run["state"] == "succeeded", run
    answer: dict[str, Any] = (await client.get(run["result"]["href"])).json()
    return answer


async def test_design_gives_a_balanced_draft(plan: dict[str, Any], customers: int) -> None:
    assert plan["state"] == "draft"
    assert plan["n_territories"] == len(plan["balance"]) == 6
    assert plan["max_imbalance"]["work_minutes"] <= 0.05
    assert plan["is_feasible"]
    assert plan["violations"] == []
    left_out = sum(piece["customers"] for piece in plan["components"] if piece["left_out"])
    assert sum(row["customers"] for row in plan["balance"]) == customers - left_out


async def test_every_territory_is_connected_and_every_cell_once(
    client: httpx.AsyncClient, plan: dict[str, Any]
) -> None:
    cells = (await client.get(f"/v1/plans/{plan['id']}/cells")).json()

    counts = Counter(cell for cell, _ in cells["cells"])
    assert set(counts.values()) == {1}
    assert len(counts) == plan["n_cells"]
    assert all(is_contiguous(members) for members in cells_by_territory(cells).values())


async def test_balance_table_equals_the_customers_of_the_cells(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any]
) -> None:
    cells = dict((await client.get(f"/v1/plans/{plan['id']}/cells")).json()["cells"])
    async with database.reading() as session:
        rows = await session.execute(
            text("SELECT ST_X(geom), ST_Y(geom), work_minutes FROM customer")
        )
        work: Counter[str] = Counter()
        for lon, lat, minutes in rows:
            code = cells.get(cell_of(lon, lat, plan["resolutions"][0]))
            if code:
                work[code] += minutes

    for row in plan["balance"]:
        assert row["work_minutes"] == pytest.approx(work[row["code"]])


async def test_territories_are_valid_outlines_of_exactly_their_cells(
    client: httpx.AsyncClient, plan: dict[str, Any]
) -> None:
    answer = await client.get(f"/v1/plans/{plan['id']}/territories")
    assert answer.headers["content-type"] == "application/geo+json"
    features = answer.json()["features"]

    outlines = {f["properties"]["code"]: shape(f["geometry"]) for f in features}
    assert all(outline.is_valid for outline in outlines.values())
    union = shapely.union_all(list(outlines.values()))
    assert union.area == pytest.approx(sum(outline.area for outline in outlines.values()))
    colours = {f["properties"]["code"]: f["properties"]["colour"] for f in features}
    for code, outline in outlines.items():
        for other, around in outlines.items():
            if code < other and outline.intersection(around).length > 1e-9:
                assert colours[code] != colours[other]


async def test_the_same_request_gives_the_same_plan(
    database: Database, plan: dict[str, Any], design_plan: DesignPlan
) -> None:
    run = await design_plan(layer_id=plan["layer_id"], n_territories=6)

    async with database.reading() as session:
        first = await load_alignment(session, plan["id"])
        second = await load_alignment(session, run["result"]["plan_id"])
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


async def test_manifest_names_input_and_seed(
    client: httpx.AsyncClient, plan: dict[str, Any], customers: int
) -> None:
    manifest = (await client.get(f"/v1/plans/{plan['id']}/manifest")).json()

    assert manifest["input"]["customers"] == customers
    assert len(manifest["input"]["sha256"]) == 64
    assert manifest["seed"] == 1


async def test_islands_are_left_out_with_the_reason_or_get_their_share(
    client: httpx.AsyncClient,
    database: Database,
    customers: int,
    layer_id: int,
    design_plan: DesignPlan,
) -> None:
    random = np.random.default_rng(3)
    # A large island (Tasmania) carries territories, a small one (near Hainan) cannot.
    await add_customers(
        database, 146.6 + random.normal(0, 0.2, 300), -42.0 + random.normal(0, 0.2, 300), "T"
    )
    await add_customers(database, np.full(3, 109.9), np.full(3, 19.2), "H")

    run = await design_plan(layer_id=layer_id, n_territories=6)
    plan = (await client.get(run["result"]["href"])).json()

    pieces = plan["components"]
    large = [piece for piece in pieces if not piece["left_out"]]
    assert [piece["n_territories"] for piece in large] == [4, 2]
    hainan = next(p for p in pieces if p["left_out"] and p["customers"] == 3)
    assert "not connected" in hainan["reason"]
    cells = (await client.get(f"/v1/plans/{plan['id']}/cells")).json()
    assert all(is_contiguous(members) for members in cells_by_territory(cells).values())


async def test_a_given_region_bounds_the_plan(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> None:
    ring = [[112, 30], [114, 30], [114, 31], [112, 31], [112, 30]]
    region = {"type": "Polygon", "coordinates": [ring]}

    run = await design_plan(layer_id=layer_id, n_territories=3, region=region, resolution=6)
    plan = (await client.get(run["result"]["href"])).json()

    west, south, east, north = plan["bbox"]
    assert 111.9 < west < east < 114.1
    assert 29.9 < south < north < 31.1
    assert plan["resolutions"] == [6]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"layer_id": 999}, "/layer_id"),
        ({"n_territories": 0}, "/n_territories"),
        ({"n_territories": 601}, "/n_territories"),
        ({"tolerances": {"work_minutes": 0}}, "/tolerances/work_minutes"),
        ({"tolerances": {"work_minutes": 1.5}}, "/tolerances/work_minutes"),
        ({"resolution": 16}, "/resolution"),
        ({"seed": -1}, "/seed"),
        ({"colour": "red"}, "/colour"),
        ({"region": {"type": "Point", "coordinates": [113, 30]}}, "/region"),
        (
            {"region": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}},
            "/region",
        ),
    ],
)
async def test_a_request_that_cannot_work_is_refused_at_once(
    client: httpx.AsyncClient,
    customers: int,
    layer_id: int,
    change: dict[str, Any],
    pointer: str,
) -> None:
    request = {"layer_id": layer_id, "n_territories": 3, **change}

    answer = await client.post("/v1/plans", json=request)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)
    assert (await client.get("/v1/runs")).json()["items"] == []


async def test_more_territories_than_cells_fails_the_run_and_stores_nothing(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> None:
    run = await design_plan(
        layer_id=layer_id, n_territories=200, resolution=4, split_heavy_cells=False
    )

    assert run["state"] == "failed"
    assert run["error"]["errors"][0]["code"] == "more-territories-than-cells"
    assert (await client.get("/v1/plans")).json()["items"] == []


async def test_a_layer_designs_from_its_own_customers_only(
    client: httpx.AsyncClient, customers: int, design_plan: DesignPlan
) -> None:
    layer = {"name": "education", "customer_filter": {"segment": ["education"]}}
    layer_id = (await client.post("/v1/layers", json=layer)).json()["id"]

    run = await design_plan(layer_id=layer_id, n_territories=3)
    plan = (await client.get(run["result"]["href"])).json()

    counted = sum(row["customers"] for row in plan["balance"])
    left_out = sum(piece["customers"] for piece in plan["components"] if piece["left_out"])
    assert counted + left_out == customers / 4


async def test_a_second_design_of_a_layer_waits_for_the_first(
    client: httpx.AsyncClient, customers: int, layer_id: int
) -> None:
    request = {"layer_id": layer_id, "n_territories": 3}
    first = await client.post("/v1/plans", json=request)

    second = await client.post("/v1/plans", json=request)

    assert second.status_code == 409
    assert second.json()["errors"][0]["detail"] == first.headers["Location"]


async def test_a_queued_design_can_be_cancelled(
    client: httpx.AsyncClient, customers: int, layer_id: int
) -> None:
    request = {"layer_id": layer_id, "n_territories": 3}
    run = (await client.post("/v1/plans", json=request)).json()

    answer = await client.post(f"/v1/runs/{run['id']}:cancel")

    assert answer.json()["state"] == "cancelled"
    assert (await client.post("/v1/plans", json=request)).status_code == 202


@pytest.mark.parametrize("part", ["", "/territories", "/cells", "/manifest", "/drift"])
async def test_an_unknown_plan_is_not_found(client: httpx.AsyncClient, part: str) -> None:
    answer = await client.get(f"/v1/plans/4711{part}")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
