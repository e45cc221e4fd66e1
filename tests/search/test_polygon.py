"""Search in an area, against shapely; and around many places, against the searches of one."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.db.session import Database
from app.search.schemas import CustomersInArea, FoundAroundEach
from geo.geojson import polygon_from_geojson
from tests.published_predicates import published_predicates
from tests.search.crowd import add_customers
from tests.search.test_search import crowds, found

CROWD = crowds()


def ring(points: list[tuple[float, float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*map(list, points), list(points[0])]]}


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    return ring([(west, south), (east, south), (east, north), (west, north)])


async def inside(
    client: httpx.AsyncClient,
    geometry: dict[str, Any],
    address: str = "/v1/search/polygon",
    **more: Any,
) -> list[str]:
    """External ids of all pages."""
    names: list[str] = []
    next_page: str | None = address
    while next_page is not None:
        answer = await client.post(next_page, json={"geometry": geometry, **more})
        assert answer.status_code == 200, answer.text
        document = CustomersInArea.model_validate_json(answer.content)
        assert document.numberReturned == len(document.features)
        names += [f.properties.external_id for f in document.features if f.properties]
        next_page = next((link.href for link in document.links if link.rel == "next"), None)
    return names


@st.composite
def areas(draw: st.DrawFn) -> dict[str, Any]:
    """A star around a place, which may lie at 180°."""
    lon = draw(st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.5])))
    lat = draw(st.floats(-60, 60))
    n = draw(st.integers(3, 12))
    spans = [draw(st.floats(0.5, 25)) for _ in range(n)]
    angles = 2 * np.pi * np.arange(n) / n
    points = [
        ((lon + span * np.cos(angle) + 180) % 360 - 180, lat + span * np.sin(angle))
        for span, angle in zip(spans, angles.tolist(), strict=True)
    ]
    return ring([(float(x), float(y)) for x, y in points])


@given(area=areas(), seed=st.integers(0, 2**32 - 1), is_split=st.booleans())
@hypothesis_settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_an_area_holds_what_brute_force_finds(
    client: httpx.AsyncClient, database: Database, area: dict[str, Any], seed: int, is_split: bool
) -> None:
    rng = np.random.default_rng(seed)
    lons, lats = rng.uniform(-180, 180, 400), rng.uniform(-85, 85, 400)
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer"))
    await add_customers(database, lons, lats)
    if is_split:
        far = box(-60, -80, -50, -70)["coordinates"]
        area = {"type": "MultiPolygon", "coordinates": [area["coordinates"], far]}
    polygon = polygon_from_geojson(area)

    names = await inside(client, area, "/v1/search/polygon?limit=7")

    held = shapely.covers(polygon, shapely.points(lons, lats))
    assert sorted(names) == sorted(f"C{i}" for i in np.flatnonzero(held))
    assert len(set(names)) == len(names)


async def test_borders_vertices_and_holes_are_in_an_area_as_the_validation_suite_says(
    client: httpx.AsyncClient, database: Database, shared_data: Path
) -> None:
    cases = published_predicates(shared_data)
    places = sorted({point for case in cases for point in case.points})
    lons, lats = np.array(places).T
    await add_customers(database, lons, lats)

    for case in cases:
        names = await inside(client, shapely.geometry.mapping(case.area))
        held = [f"C{places.index(point)}" in names for point in case.points]
        assert case.agrees_with(held), case.case
    assert sum(case.is_of_all for case in cases) >= 30
    assert len(cases) - sum(case.is_of_all for case in cases) >= 30


async def test_an_area_across_180_degrees_is_narrow(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add_customers(database, np.array([179.9, -179.9, 0.0, 180.0]), np.zeros(4))

    assert await inside(client, box(179.5, -1, -179.5, 1)) == ["C0", "C1", "C3"]
    assert await inside(client, box(-180, -90, 180, 90), **{"class": ["S"]}) == []


NINE = [{"type": "GeometryCollection", "geometries": []}]
BOW_TIE = ring([(0, 0), (1, 1), (1, 0), (0, 1)])
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"geometry": BOW_TIE}, "/geometry/coordinates"),
    ({"geometry": box(200, 0, 201, 1)}, "/geometry/coordinates/0/0"),
    ({"geometry": {"type": "GeometryCollection", "geometries": NINE}}, "/geometry/type"),
    ({"geometry": {"type": "Point", "coordinates": [0, 0]}}, "/geometry/type"),
    ({}, "/geometry"),
    ({"geometry": box(0, 0, 1, 1), "class": ["Z"]}, "/class/0"),
    ({"geometry": box(0, 0, 1, 1), "colour": "red"}, "/colour"),
    ({"geometry": box(0, 0, 1, 1), "rep_id": 0}, "/rep_id"),
]


@pytest.mark.parametrize(("body", "pointer"), REFUSED)
async def test_a_wrong_area_is_refused_and_named(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/search/polygon", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_the_place_of_a_crossing_and_a_swapped_pair_are_told(
    client: httpx.AsyncClient,
) -> None:
    crossing = await client.post("/v1/search/polygon", json={"geometry": BOW_TIE})
    swapped = await client.post("/v1/search/polygon", json={"geometry": box(30, 110, 31, 111)})

    assert "longitude 0.5, latitude 0.5" in crossing.json()["errors"][0]["detail"]
    assert "swapping" in swapped.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("n", "status", "code"),
    [(50_001, 422, "too-many-vertices"), (1_000_000, 413, None)],
)
async def test_too_many_vertices_are_refused(
    client: httpx.AsyncClient, n: int, status: int, code: str | None
) -> None:
    points = ",".join(["[1,1]"] * n)
    body = f'{{"geometry":{{"type":"Polygon","coordinates":[[{points}]]}}}}'
    headers = {"content-type": "application/json"}

    answer = await client.post("/v1/search/polygon", content=body, headers=headers)

    assert answer.status_code == status
    assert code is None or answer.json()["errors"][0]["code"] == code


UNIT = box(0, 0, 1, 1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/areas"),
        ({"areas": []}, "/areas"),
        ({"areas": [UNIT] * 101}, "/areas"),
        ({"areas": [UNIT, 7]}, "/areas/1"),
        ({"areas": [UNIT, {"geometry": UNIT}]}, "/areas/1/type"),
        ({"areas": [UNIT, UNIT, BOW_TIE]}, "/areas/2/coordinates"),
        ({"areas": [UNIT, box(200, 0, 201, 1)]}, "/areas/1/coordinates/0/0"),
        ({"areas": [UNIT, {"type": "Point", "coordinates": [0, 0]}]}, "/areas/1/type"),
        ({"areas": [UNIT] * 11, "limit": 1000}, "/limit"),
        ({"areas": [UNIT], "limit": 0}, "/limit"),
        ({"areas": [UNIT], "class": ["Z"]}, "/class/0"),
        ({"areas": [UNIT], "geometry": UNIT}, "/geometry"),
    ],
)
async def test_a_wrong_batch_of_areas_is_refused_and_named(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/search/polygon:batch", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_the_vertices_of_a_batch_are_bound_together(client: httpx.AsyncClient) -> None:
    # Repeated positions are dropped when an area is read, but they were sent.
    def of_vertices(n: int) -> dict[str, Any]:
        return {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]] + [[0, 0]] * (n - 3)]}

    def batch(*sizes: int) -> dict[str, Any]:
        return {"areas": [of_vertices(n) for n in sizes]}

    fits = await client.post("/v1/search/polygon:batch", json=batch(20_000, 29_996, 4))
    over = await client.post("/v1/search/polygon:batch", json=batch(20_000, 29_997, 4))

    assert fits.status_code == 200, fits.text
    assert over.status_code == 422
    (fault,) = over.json()["errors"]
    assert (fault["code"], fault["pointer"]) == ("too-many-vertices", "/areas/2/coordinates")
    assert fault["detail"] == "4 vertices, 3 are allowed after the 49,997 of those before"


@given(crowd_=CROWD, radius_m=st.floats(1, 500_000), k=st.integers(1, 20))
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_batch_finds_what_each_search_finds(
    client: httpx.AsyncClient, database: Database, crowd_: Any, radius_m: float, k: int
) -> None:
    lon, lat, lons, lats = crowd_
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer"))
    await add_customers(database, lons, lats)
    places = [(lon, lat), (180.0, 10.0), (-180.0, 10.0), (0.0, 90.0), (lat, lon / 2)]
    points = [{"lon": x, "lat": y} for x, y in places]

    bodies = {
        "radius": {"points": points, "radius_m": radius_m, "limit": k},
        "nearest": {"points": points, "k": k},
    }
    for kind, body in bodies.items():
        answer = await client.post(f"/v1/search/{kind}:batch", json=body)
        assert answer.status_code == 200, answer.text
        items = FoundAroundEach.model_validate_json(answer.content).items
        assert len(items) == len(points)
        for (x, y), item in zip(places, items, strict=True):
            more = {"radius_m": radius_m, "limit": k} if kind == "radius" else {"k": k}
            alone = await found(client, kind, lon=x, lat=y, **more)
            got = [f.properties.external_id for f in item.features if f.properties]
            assert got == [customer["external_id"] for customer in alone]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"points": []}, "/points"),
        ({"points": [{"lon": 0, "lat": 0}] * 1001}, "/points"),
        ({"points": [{"lon": 31.2, "lat": 121.4}]}, "/points/0"),
        ({"points": [{"lon": 0, "lat": 0}] * 1000, "limit": 11}, "/limit"),
        ({"points": [{"lon": 0, "lat": 0}], "radius_m": 0}, "/radius_m"),
        ({"points": [{"lon": 0, "lat": 0}], "radius_m": 500_001}, "/radius_m"),
        ({"points": [{"lon": 0, "lat": 0}], "k": 5}, "/k"),
    ],
)
async def test_a_wrong_batch_is_refused_and_named(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/search/radius:batch", json={"radius_m": 100, **body})

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
