"""Service circles and their coverage, catchments by gravity: sums as brute force has them."""

from typing import Any

import h3
import httpx
import numpy as np
import pytest
from pyproj import Geod
from sqlalchemy import text

from app.activity import fold
from app.auth import Caller
from app.db.customer_filter import CustomerFilter
from app.db.heat import heat_rows, read_packed
from app.db.scope import EVERYTHING
from app.db.session import Database, WriteSession
from app.geofences import coverage
from app.geofences.coverage import Hiding, coverage_of
from geo.cells import ancestors, cells_from_points, cells_from_text
from geo.circle import circle_outline
from tests.search.crowd import add_customers

WGS84 = Geod(ellps="WGS84")
CIRCLES = "/v1/geofences:service-circles"
CATCHMENTS = "/v1/geofences:catchments"


def anchors_at(lon: Any, lat: Any, **more: Any) -> list[dict[str, Any]]:
    return [
        {"name": f"A{n}", "lon": float(x), "lat": float(y), **{k: v[n] for k, v in more.items()}}
        for n, (x, y) in enumerate(zip(lon, lat, strict=True))
    ]


async def test_the_report_counts_as_brute_force_does(
    client: httpx.AsyncClient, database: Database
) -> None:
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(120, 122, 1500), rng.uniform(30, 32, 1500)
    status = ["inactive" if n % 10 == 0 else "active" for n in range(1500)]
    potential = rng.uniform(0, 9, 1500).tolist()
    await add_customers(database, lon, lat, status=status, potential=potential)
    at_lon, at_lat = rng.uniform(120, 122, 8), rng.uniform(30, 32, 8)
    body = {"group": "g", "radius_m": 40_000, "anchors": anchors_at(at_lon, at_lat)}

    report = (await client.post(CIRCLES, json=body)).json()

    within = np.array([
        WGS84.inv(np.full(1500, x), np.full(1500, y), lon, lat)[2] <= 40_000
        for x, y in zip(at_lon, at_lat, strict=True)
    ])  # fmt: skip
    active = np.array(status) == "active"
    within &= active
    times = within.sum(axis=0)
    assert report["total"]["customers"] == 1350
    assert report["covered"]["customers"] == (times > 0).sum()
    assert report["covered"]["potential"] == pytest.approx(np.array(potential)[times > 0].sum())
    assert report["covered"]["work_minutes"] == pytest.approx(60.0 * (times > 0).sum())
    assert report["share"]["customers"] == pytest.approx((times > 0).sum() / 1350)
    assert report["covered_by"] == {
        "none": (active & (times == 0)).sum(), "one": (times == 1).sum(),
        "two": (times == 2).sum(), "three_or_more": (times >= 3).sum(),
    }  # fmt: skip
    assert [fence["customers"] for fence in report["geofences"]] == within.sum(axis=1).tolist()
    alone = (within & (times == 1)).sum(axis=1)
    assert [fence["exclusively"] for fence in report["geofences"]] == alone.tolist()
    assert [fence["name"] for fence in report["geofences"]] == [f"A{n}" for n in range(8)]
    again = await client.get("/v1/geofences/coverage?group=g")
    assert again.json() == report
    listed = (await client.get("/v1/geofences?group=g&kind=service_circle")).json()["items"]
    assert [item["radius_m"] for item in listed] == [40_000] * 8


async def test_the_area_of_a_union_counts_ground_once(client: httpx.AsyncClient) -> None:
    body = {"group": "g", "radius_m": 10_000, "anchors": anchors_at([120, 120, 179.99], [30] * 3)}
    report = (await client.post(CIRCLES, json=body)).json()
    assert report["area_km2"] == pytest.approx(2 * np.pi * 100, rel=0.005)
    assert report["share"] == {"customers": None, "work_minutes": None, "potential": None}


async def test_polygons_and_cells_of_a_group_are_counted_too(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add_customers(database, np.array([0.5, 0.6, 10.0]), np.array([0.5, 0.5, 10.0]))
    ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    square = {"name": "s", "group": "g", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    cells = [h3.cell_to_parent(h3.latlng_to_cell(y, x, 12), 7) for x, y in ((0.6, 0.5), (10, 10))]
    await client.post("/v1/geofences", json=square)
    await client.post(
        "/v1/geofences", json={"name": "c", "group": "g", "kind": "cells", "cells": cells}
    )
    report = (await client.get("/v1/geofences/coverage?group=g")).json()
    assert report["covered_by"] == {"none": 0, "one": 2, "two": 1, "three_or_more": 0}


async def test_anchors_come_as_geojson_too(client: httpx.AsyncClient) -> None:
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [121.4, 31.2]},
        "properties": {"name": "Ruijin", "beds": 1800},
    }
    collection = {"type": "FeatureCollection", "features": [feature]}
    body = {"group": "g", "radius_m": 1000, "anchors": collection}
    assert (await client.post(CIRCLES, json=body)).status_code == 201
    (fence,) = (await client.get("/v1/geofences")).json()["items"]
    assert (fence["name"], fence["lon"], fence["attributes"]) == ("Ruijin", 121.4, {"beds": 1800})
    assert (await client.post(CIRCLES, json=body)).status_code == 409, "the group is taken"


async def test_a_viewer_is_not_told_of_a_few_customers(
    client: httpx.AsyncClient, database: Database
) -> None:
    lon = np.concatenate([np.full(3, 0.0), np.full(9, 5.0), np.full(20, 50.0)])
    await add_customers(database, lon, np.zeros(32))
    body = {"group": "g", "radius_m": 1000, "anchors": anchors_at([0, 5, 9], [0, 0, 0])}
    await client.post(CIRCLES, json=body)
    viewer = Caller("v", "viewer", EVERYTHING, "v")
    planner = Caller("p", "planner", EVERYTHING, "p")
    async with database.reading() as session:
        hidden = await coverage_of(session, viewer, "g")
        shown = await coverage_of(session, planner, "g")
    assert [fence.customers for fence in shown.geofences] == [3, 9, 0]
    assert [fence.customers for fence in hidden.geofences] == [None, 9, 0]
    # The second is hidden because it could be told from the sum.
    assert [fence.exclusively for fence in hidden.geofences] == [None, None, 0]
    assert hidden.covered.customers == 12


@pytest.mark.parametrize("radius_m", [1_000, 6_000, 40_000])
async def test_pairs_are_estimated_from_the_rollup(
    client: httpx.AsyncClient, database: Database, radius_m: float
) -> None:
    rng = np.random.default_rng(6)
    n = 20_000
    lon, lat = rng.uniform(120, 122, n), rng.uniform(30, 32, n)
    await add_customers(database, lon, lat)
    await fold(database)
    at_lon, at_lat = rng.uniform(120.4, 121.6, 300), rng.uniform(30.4, 31.6, 300)
    body = {"group": "g", "radius_m": radius_m, "anchors": anchors_at(at_lon, at_lat)}
    report = (await client.post(CIRCLES, json=body)).json()
    pairs = sum(fence["customers"] for fence in report["geofences"])

    shapes = np.array([circle_outline(x, y, radius_m) for x, y in zip(at_lon, at_lat, strict=True)])
    customers = CustomerFilter()
    async with database.reading() as session:
        statement = heat_rows(EVERYTHING, "customers", customers, coverage.ROUGH, None, 1)
        sums = await read_packed(session, statement)

    assert coverage.expected_pairs(shapes, sums) == pytest.approx(pairs, rel=0.15)


async def test_a_report_of_too_many_pairs_is_refused_and_its_circles_stay(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_customers(database, np.full(50, 121.4), np.full(50, 31.2))
    await fold(database)
    monkeypatch.setattr(coverage, "MOST_PAIRS", 100)
    body = {"group": "g", "radius_m": 30_000, "anchors": ONE * 3}

    made = await client.post(CIRCLES, json=body)
    asked = await client.get("/v1/geofences/coverage?group=g")

    assert made.status_code == 201
    assert made.json()["n_geofences"] == 3
    assert "hold customers more than 100 times" in made.json()["no_report"]
    assert len((await client.get("/v1/geofences?group=g")).json()["items"]) == 3
    assert asked.status_code == 422
    (fault,) = asked.json()["errors"]
    assert (fault["code"], fault["pointer"]) == ("too-many-pairs", "/query/group")
    assert fault["detail"] == made.json()["no_report"]


async def test_circles_stay_when_the_database_gives_up_their_report(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forever(session: WriteSession, *_: Any) -> None:
        await session.execute(text("SET LOCAL statement_timeout = '50ms'"))
        await session.execute(text("SELECT pg_sleep(30)"))

    monkeypatch.setattr(coverage, "coverage_of", forever)

    made = await client.post(CIRCLES, json={"group": "g", "radius_m": 9000, "anchors": ONE})

    assert made.status_code == 201, made.text
    assert made.json() == {
        "group": "g", "n_geofences": 1, "no_report": "the database was given no more time for it",
    }  # fmt: skip
    assert len((await client.get("/v1/geofences?group=g")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([10, 20], [10, 20]),
        ([3, 20, 7], [None, 20, None]),
        ([3, 4, 7], [None, None, 7]),
        ([0, 4], [0, None]),
        ([0, 0], [0, 0]),
    ],
)
def test_a_hidden_part_cannot_be_told_from_the_others(
    counts: list[int], shown: list[int | None]
) -> None:
    assert Hiding(True).parts(counts) == shown
    assert Hiding(False).parts(counts) == counts


async def test_catchments_divide_the_ground_and_expect_what_gravity_says(
    client: httpx.AsyncClient, database: Database
) -> None:
    rng = np.random.default_rng(4)
    lon, lat = rng.normal(121.4, 0.1, 800), rng.normal(31.2, 0.1, 800)
    potential = rng.uniform(0, 9, 800).tolist()
    await add_customers(database, lon, lat, potential=potential)
    await fold(database)
    at_lon, at_lat, weight = [121.3, 121.45, 121.5], [31.2, 31.25, 31.1], [1.0, 4.0, 2.0]
    body = {"group": "g", "max_distance_m": 15_000, "resolution": 7, "distance_exponent": 1.5,
            "anchors": anchors_at(at_lon, at_lat, attraction=weight)}  # fmt: skip

    answer = await client.post(CATCHMENTS, json=body)

    assert answer.status_code == 201, answer.text
    report = answer.json()
    expected, winners = _by_brute_force(lon, lat, potential, at_lon, at_lat, weight)
    found = [item["expected"]["potential"] for item in report["catchments"]]
    assert found == pytest.approx(expected, rel=1e-9)
    assigned: dict[str, int] = {}
    for number, item in enumerate(report["catchments"]):
        fence = (await client.get(f"/v1/geofences/{item['geofence_id']}")).json()
        assert fence["kind"] == "catchment"
        assert len(fence["cells"]) == item["n_cells"]
        assert fence["model"]["expected"] == item["expected"]
        assert not assigned.keys() & set(fence["cells"])
        assigned |= dict.fromkeys(fence["cells"], number)
    assert report["n_cells"] == len(assigned)
    assert winners.items() <= assigned.items()
    path = f"/v1/geofences/{report['catchments'][0]['geofence_id']}"
    redrawn = await client.patch(
        path, json={"cells": ["872830828ffffff"]}, headers={"If-Match": "*"}
    )
    assert redrawn.status_code == 422


def _by_brute_force(
    lon: Any, lat: Any, potential: list[float], at_lon: Any, at_lat: Any, weight: Any
) -> tuple[list[float], dict[str, int]]:
    """Customer by customer, with h3's own centres and distances."""
    sums, winners = np.zeros(len(weight)), {}
    edge_m = np.sqrt(4 * np.pi * 6371.007180918475**2 / (2 + 120 * 7**7) / (1.5 * np.sqrt(3))) * 1e3
    for cell12, value in zip(cells_from_points(lon, lat, 12), potential, strict=True):
        cell = f"{int(ancestors([cell12], 7)[0]):x}"
        centre = h3.cell_to_latlng(cell)
        distance = np.array([
            h3.great_circle_distance(centre, place, unit="m")
            for place in zip(at_lat, at_lon, strict=True)
        ])  # fmt: skip
        pull = np.where(
            distance <= 15_000, np.array(weight) / np.maximum(distance, edge_m / 2) ** 1.5, 0
        )
        if pull.sum() > 0:
            sums += pull / pull.sum() * value
            winners[cell] = int(np.argmax(pull))
    return sums.tolist(), winners


async def test_an_anchor_that_is_nowhere_the_likeliest_has_no_fence(
    client: httpx.AsyncClient,
) -> None:
    anchors = anchors_at([121.4, 121.4], [31.2, 31.2], attraction=[1, 5])
    body = {"group": "g", "max_distance_m": 9000, "anchors": anchors}
    weaker, stronger = (await client.post(CATCHMENTS, json=body)).json()["catchments"]
    assert (weaker["geofence_id"], weaker["n_cells"]) == (None, 0)
    assert stronger["n_cells"] > 30
    cells = cells_from_text(
        (await client.get(f"/v1/geofences/{stronger['geofence_id']}")).json()["cells"]
    )
    assert len(cells) == stronger["n_cells"]


ONE = anchors_at([121.4], [31.2])
HUFF = {"group": "g", "max_distance_m": 9000, "anchors": ONE}
ROUND = {"group": "g", "radius_m": 9000, "anchors": ONE}
SPREAD = anchors_at(np.linspace(-170, 170, 300), np.linspace(-80, 80, 300))


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (CIRCLES, {**ROUND, "radius_m": 0}, "/radius_m"),
        (CIRCLES, {**ROUND, "radius_m": 5e-324}, "/radius_m"),
        (CIRCLES, {**ROUND, "radius_m": 500_001}, "/radius_m"),
        (CIRCLES, {**ROUND, "anchors": []}, "/anchors"),
        (CIRCLES, {**ROUND, "anchors": ONE * 6001}, "/anchors"),
        (CIRCLES, {**ROUND, "anchors": anchors_at([31.2], [121.4])}, "/anchors/0/lat"),
        (CIRCLES, {**ROUND, "group": ""}, "/group"),
        (CIRCLES, {**ROUND, "anchors": [{**ONE[0], "attraction": 1}]}, "/anchors/0/attraction"),
        (CIRCLES, {**ROUND, "anchors": {"type": "FeatureCollection"}}, "/"),
        (CIRCLES, {**ROUND, "anchors": {"type": "FeatureCollection", "features": [[[]]]}},
         "/anchors/0"),
        (CATCHMENTS, {**HUFF, "max_distance_m": 100_001}, "/max_distance_m"),
        (CATCHMENTS, {**HUFF, "max_distance_m": 0}, "/max_distance_m"),
        (CATCHMENTS, {**HUFF, "resolution": 10}, "/resolution"),
        (CATCHMENTS, {**HUFF, "distance_exponent": -1}, "/distance_exponent"),
        (CATCHMENTS, {**HUFF, "anchors": [{**ONE[0], "attraction": 0}]}, "/anchors/0/attraction"),
        (CATCHMENTS, {**HUFF, "anchors": anchors_at([200], [1])}, "/anchors/0/lon"),
        (CATCHMENTS, {**HUFF, "max_distance_m": 100_000, "resolution": 9}, "/resolution"),
        (CATCHMENTS, {**HUFF, "max_distance_m": 1e5, "resolution": 7, "anchors": SPREAD},
         "/resolution"),
    ],
)  # fmt: skip
async def test_a_model_that_cannot_be_is_refused_where_it_is_wrong(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 422, answer.text[:300]
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]], answer.text
    assert (await client.get("/v1/geofences")).json()["items"] == []
