"""Geofences: what may be one, and which hold a point."""

from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.auth import create_key
from app.db.session import Database
from app.geofences.membership import other_fences, polygons_near
from app.main import create_app
from app.settings import Settings
from tests.conftest import ANY_VERSION
from tests.search.crowd import analyze
from tests.search.test_search import explain
from tests.second_process import transport_to

YARD = [[121.3, 31.18], [121.35, 31.18], [121.35, 31.22], [121.3, 31.22], [121.3, 31.18]]


def fence(*rings: Any, name: str = "Yard") -> dict[str, Any]:
    return {"name": name, "geometry": {"type": "Polygon", "coordinates": list(rings)}}


async def names_at(client: httpx.AsyncClient, lon: float, lat: float) -> list[str]:
    answer = await client.get("/v1/geofences/at", params={"lon": lon, "lat": lat, "limit": 1000})
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def test_a_geofence_is_created_read_listed_and_deleted(client: httpx.AsyncClient) -> None:
    body = {**fence(YARD), "attributes": {"kind": "depot", "gates": 2}}

    created = await client.post("/v1/geofences", json=body)
    path = created.headers["location"]
    read = await client.get(path)
    listed = await client.get("/v1/geofences")
    deleted = await client.delete(path, headers=ANY_VERSION)

    assert created.status_code == 201
    assert created.json() == read.json()
    assert read.json()["attributes"] == body["attributes"]
    assert shapely.geometry.shape(read.json()["geometry"]).equals(shapely.Polygon(YARD))
    assert [item["name"] for item in listed.json()["items"]] == ["Yard"]
    assert "geometry" not in listed.json()["items"][0]
    assert deleted.status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path, headers=ANY_VERSION)).status_code == 404


async def test_pages_hold_every_geofence_once(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.post("/v1/geofences", json=fence(YARD, name=str(number)))
    path, names = "/v1/geofences?limit=2", []
    while path:
        page = (await client.get(path)).json()
        names += [item["name"] for item in page["items"]]
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert names == ["0", "1", "2", "3", "4"]


async def test_a_border_is_held_and_a_hole_is_not(client: httpx.AsyncClient) -> None:
    hole = [[121.31, 31.19], [121.31, 31.2], [121.32, 31.2], [121.32, 31.19], [121.31, 31.19]]
    await client.post("/v1/geofences", json=fence(YARD, hole))
    assert await names_at(client, 121.34, 31.21) == ["Yard"]
    assert await names_at(client, 121.3, 31.18) == ["Yard"]
    assert await names_at(client, 121.35, 31.2) == ["Yard"]
    assert await names_at(client, 121.315, 31.195) == []
    assert await names_at(client, 121.36, 31.2) == []


async def test_a_geofence_may_cross_the_antimeridian(client: httpx.AsyncClient) -> None:
    ring = [[179.0, -18.0], [-179.0, -18.0], [-179.0, -16.0], [179.0, -16.0], [179.0, -18.0]]
    await client.post("/v1/geofences", json=fence(ring, name="Taveuni"))
    for lon in (179.5, 180, -180, -179.5):
        assert await names_at(client, lon, -17) == ["Taveuni"]
    for lon in (178.9, -178.9, 0):
        assert await names_at(client, lon, -17) == []


@given(seed=st.integers(0, 2**32 - 1), at=st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
@hypothesis_settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_point_is_in_the_fences_that_brute_force_says(
    client: httpx.AsyncClient, database: Database, seed: int, at: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    fences = [
        shapely.Point(rng.uniform(-3, 3, 2)).buffer(rng.uniform(0.1, 3), quad_segs=4)
        for _ in range(5)
    ]
    async with database.writing() as session:
        await session.execute(text("DELETE FROM geofence"))
    for number, area in enumerate(fences):
        await client.post("/v1/geofences", json=fence(list(area.exterior.coords), name=str(number)))

    found = await names_at(client, *at)

    # On the very border it is a matter of rounding.
    certain = [area for area in fences if area.boundary.distance(shapely.Point(at)) > 1e-9]
    assert len(certain) < 5 or found == [
        str(number) for number, area in enumerate(fences) if area.covers(shapely.Point(at))
    ]


async def test_the_lookup_reads_the_index(settings: Settings, database: Database) -> None:
    async with database.writing() as session:
        await session.execute(
            text("""
                INSERT INTO geofence (name, geom)
                SELECT 'F', ST_Multi(ST_Expand(
                    ST_SetSRID(ST_MakePoint(x / 10.0, y / 10.0), 4326), 0.2))
                FROM generate_series(1, 60) AS x, generate_series(1, 60) AS y
            """)
        )
        await session.execute(
            text("INSERT INTO geofence_cell SELECT n, 1 FROM generate_series(1, 20000) AS n")
        )
    analyze(settings)
    here = np.array([3.14]), np.array([3.14])
    for statement, index in ((polygons_near(*here), "extent"), (other_fences(*here), "circle")):
        explained = await explain(database, statement)
        assert f"ix_geofence_{index}" in explained, explained
        assert "Seq Scan" not in explained, explained
    assert "pk_geofence_cell" in explained, explained


BOW_TIE = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("geometry", "code", "pointer"),
    [
        ({"type": "Polygon", "coordinates": [BOW_TIE]}, "self-intersection", "/coordinates"),
        ({"type": "Polygon", "coordinates": [YARD[:-1]]}, "ring-not-closed", "/coordinates/0/3"),
        ({"type": "Polygon", "coordinates": [YARD[:2]]}, "ring-too-short", "/coordinates/0"),
        (
            {"type": "Polygon", "coordinates": [[[31, 121], [32, 121], [32, 122], [31, 121]]]},
            "out-of-range",
            "/coordinates/0/0",
        ),
        ({"type": "Point", "coordinates": [0, 0]}, "not-a-polygon", "/type"),
        ({"type": "Polygon"}, "bad-coordinates", "/coordinates"),
        ({}, "unknown-type", "/type"),
    ],
)
async def test_a_geometry_that_is_no_area_is_refused_and_the_place_named(
    client: httpx.AsyncClient, geometry: dict[str, Any], code: str, pointer: str
) -> None:
    answer = await client.post("/v1/geofences", json={"name": "X", "geometry": geometry})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["code"] == code
    assert fault["pointer"].startswith(f"/geometry{pointer}")
    assert (await client.get("/v1/geofences")).json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "X"},
        {**fence(YARD), "colour": "red"},
        {**fence(YARD), "name": ""},
        {**fence(YARD), "name": "\x00"},
        {**fence(YARD), "geometry": [1]},
        {**fence(YARD), "attributes": {"nested": {}}},
    ],
)
async def test_a_body_that_is_no_geofence_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await client.post("/v1/geofences", json=body)).status_code == 422


@pytest.mark.parametrize(
    "query", [{"lat": 1}, {"lon": "nan", "lat": 1}, {"lon": 31, "lat": 121}, {"lon": 200, "lat": 0}]
)
async def test_a_place_that_is_not_on_earth_is_refused(
    client: httpx.AsyncClient, query: dict[str, Any]
) -> None:
    answer = await client.get("/v1/geofences/at", params=query)
    assert answer.status_code == 422


async def test_viewers_read_geofences_and_planners_make_them(
    settings: Settings, database: Database
) -> None:
    async with database.writing() as session:
        viewer = await create_key(session, "viewer", "viewer")
        planner = await create_key(session, "planner", "planner")
    app = create_app(settings.model_copy(update={"auth": "on"}))
    transport = transport_to(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answers = []
        for key in ("none", viewer, planner):
            client.headers["Authorization"] = f"Bearer {key}"
            made = await client.post("/v1/geofences", json=fence(YARD))
            read = await client.get("/v1/geofences/at?lon=121.32&lat=31.2")
            answers.append((made.status_code, read.status_code))
    await app.state.database.close()
    assert answers == [(401, 401), (403, 200), (201, 200)]
