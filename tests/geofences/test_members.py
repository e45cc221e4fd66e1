"""Customers inside a fence: the same as brute force finds, page by page, within the scope."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import h3
import httpx
import numpy as np
import pytest
import shapely
from pyproj import Geod
from sqlalchemy import text

from app.auth import create_key
from app.db.scope import EVERYTHING
from app.db.session import Database
from app.geofences.coverage import covered_of
from app.geofences.members import Ground, ground_of, page_of
from app.geofences.membership import other_fences, polygons_near
from app.main import create_app
from app.settings import Settings
from tests.ground import put_in_force
from tests.search.crowd import add_customers, analyze, clear
from tests.search.test_search import explain
from tests.second_process import transport_to

WGS84 = Geod(ellps="WGS84")
STAR = [[120.5, 30.5], [121.4, 30.9], [122, 30.2], [121.7, 31.3], [122.3, 31.9], [121.2, 31.6],
        [120.4, 32], [120.9, 31.2], [120.5, 30.5]]  # fmt: skip
POLYGON = {"name": "star", "geometry": {"type": "Polygon", "coordinates": [STAR]}}
CIRCLE = {"name": "circle", "kind": "circle", "lon": 121.5, "lat": 31.2, "radius_m": 40_000}


async def inside(client: httpx.AsyncClient, body: dict[str, Any], limit: int = 300) -> list[str]:
    """External ids of the customers inside a new fence, by all pages; the count agrees."""
    fence = (await client.post("/v1/geofences", json=body)).json()
    path: str | None = f"/v1/geofences/{fence['id']}/customers?limit={limit}&count=true"
    found: list[str] = []
    while path:
        page = (await client.get(path)).json()
        found += [feature["properties"]["external_id"] for feature in page["features"]]
        assert len(page["features"]) <= limit
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert page["count"] == len(found) == len(set(found))
    return found


async def test_pages_hold_the_customers_that_brute_force_says(
    client: httpx.AsyncClient, database: Database
) -> None:
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(120, 123, 2000), rng.uniform(30, 32.5, 2000)
    await add_customers(database, lon, lat)
    fine = [h3.latlng_to_cell(y, x, 12) for x, y in zip(lon, lat, strict=True)]
    cells = sorted({h3.cell_to_parent(cell, 5 + n % 4) for n, cell in enumerate(fine[:200])})
    _, _, distance = WGS84.inv(np.full(2000, 121.5), np.full(2000, 31.2), lon, lat)

    by_polygon = await inside(client, POLYGON)
    by_circle = await inside(client, CIRCLE, 50)
    by_cells = await inside(client, {"name": "c", "kind": "cells", "cells": cells})

    names = np.array([f"C{n}" for n in range(2000)])
    covered = shapely.covers(shapely.Polygon(STAR), shapely.points(lon, lat))
    kept = set(cells)
    in_cells = [any(h3.cell_to_parent(cell, r) in kept for r in range(13)) for cell in fine]
    assert sorted(by_polygon) == sorted(names[covered])
    assert sorted(by_circle) == sorted(names[distance <= 40_000])
    assert sorted(by_cells) == sorted(names[in_cells])
    assert 100 < len(by_circle) < len(by_polygon) < 1900


async def test_customers_on_the_edge_of_the_map_are_inside(
    client: httpx.AsyncClient, database: Database
) -> None:
    lon, lat = np.array([-180.0, 180.0, 50.0, -179.0]), np.array([1.0, 2.0, 90.0, 1.0])
    await add_customers(database, lon, lat)
    ring = [[170, 0], [180, 0], [180, 90], [170, 90], [170, 0]]
    body = {"name": "x", "geometry": {"type": "Polygon", "coordinates": [ring]}, "group": "edge"}
    assert sorted(await inside(client, body)) == ["C0", "C1", "C2"]

    # The same ground to every other question.
    report = await client.get("/v1/geofences/coverage?group=edge")
    assert report.json()["covered"]["customers"] == 3, report.text
    assert report.json()["covered_by"]["one"] == 3
    found = await client.post("/v1/search/polygon", json={"geometry": body["geometry"]})
    assert found.json()["numberReturned"] == 3
    listed = await client.get("/v1/customers?bbox=170,0,180,90")
    assert {c["external_id"] for c in listed.json()["items"]} == {"C0", "C1", "C2"}


async def test_an_empty_fence_and_a_missing_one(client: httpx.AsyncClient) -> None:
    assert await inside(client, POLYGON) == []
    assert (await client.get("/v1/geofences/999/customers")).status_code == 404


async def test_a_rep_finds_its_own_customers_and_a_viewer_none(
    settings: Settings, database: Database
) -> None:
    await add_customers(database, np.array([121.47, 116.40]), np.array([31.23, 39.90]))
    plan = await put_in_force(database)
    async with database.writing() as session:
        rep = await session.scalar(
            text("INSERT INTO rep (external_id, name) VALUES ('r', 'R') RETURNING id")
        )
        await session.execute(
            text(
                "INSERT INTO territory_owner (territory_id, rep_id, during) "
                "VALUES (:territory, :rep, tstzrange('2020-01-01', NULL))"
            ),
            {"territory": plan.territories["T01"], "rep": rep},
        )
        keys = [
            await create_key(session, "viewer", "viewer"),
            await create_key(session, "rep", "rep", rep_id=rep),
            await create_key(session, "planner", "planner"),
        ]
    app = create_app(settings.model_copy(update={"auth": "on"}))
    transport = transport_to(app)
    ring = [[100, 20], [130, 20], [130, 50], [100, 50], [100, 20]]
    area = {"type": "Polygon", "coordinates": [ring]}
    body = {"name": "x", "group": "g", "geometry": area}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        client.headers["Authorization"] = f"Bearer {keys[2]}"
        fence = (await client.post("/v1/geofences", json=body)).json()["id"]
        answers, reports = [], []
        for key in keys:
            client.headers["Authorization"] = f"Bearer {key}"
            answers.append(await client.get(f"/v1/geofences/{fence}/customers?count=true"))
            reports.append((await client.get("/v1/geofences/coverage?group=g")).json())
    await app.state.database.close()

    assert [answer.status_code for answer in answers] == [403, 200, 200]
    shown = [
        [feature["properties"]["external_id"] for feature in answer.json()["features"]]
        for answer in answers[1:]
    ]
    assert shown == [["C0"], ["C0", "C1"]]
    assert [answer.json()["count"] for answer in answers[1:]] == [1, 2]
    # The viewer is not told of two customers, the rep counts its own.
    assert [report["total"]["customers"] for report in reports] == [None, 1, 2]
    assert [report["covered"]["customers"] for report in reports] == [None, 1, 2]
    assert [report["geofences"][0]["exclusively"] for report in reports] == [None, 1, 2]


@pytest.fixture(scope="module")
def crowd(settings: Settings) -> Iterator[None]:
    """100,000 customers over China and 2,000 fences of each kind."""
    clear(settings)
    asyncio.run(_fill(settings))
    analyze(settings)
    yield
    clear(settings)


@pytest.fixture
async def crowded(settings: Settings, crowd: None) -> AsyncIterator[Database]:
    database = Database.of(settings)
    yield database
    await database.close()


async def _fill(settings: Settings) -> None:
    database = Database.of(settings, has_timeout=False)
    rng = np.random.default_rng(1)
    await add_customers(database, rng.uniform(100, 125, 100_000), rng.uniform(22, 42, 100_000))
    async with database.writing() as session:
        await session.execute(
            text("""
                INSERT INTO geofence (name, kind, geom, centre, radius_m, group_name)
                SELECT kind, kind, ST_Multi(ST_Expand(at, 0.1)),
                    CASE kind WHEN 'circle' THEN at END, CASE kind WHEN 'circle' THEN 9000 END,
                    'g' || n % 10
                FROM generate_series(1, 2000) AS n
                CROSS JOIN unnest(ARRAY['polygon', 'circle', 'cells']) AS kind
                CROSS JOIN LATERAL (SELECT ST_SetSRID(
                    ST_MakePoint(100 + (n * 7919 % 2500) / 100.0, 22 + n / 100.0), 4326) AS at) AS p
            """)
        )
        await session.execute(
            text("""
                WITH fence AS (SELECT array_agg(id) AS ids FROM geofence WHERE kind = 'cells')
                INSERT INTO geofence_cell
                SELECT cell_parent(customer.cell, 7), ids[1 + customer.id % 2000]
                FROM customer, fence WHERE customer.id < 20000
                ON CONFLICT DO NOTHING
            """)
        )
    await database.close()


async def ground(database: Database, kind: str) -> Ground:
    async with database.reading() as session:
        wanted = text("SELECT min(id) FROM geofence WHERE kind = :kind")
        fence_id = await session.scalar(wanted, {"kind": kind})
        return await ground_of(session, EVERYTHING, fence_id)


@pytest.mark.parametrize(
    ("kind", "index"),
    [
        ("polygon", "ix_customer_geom"),
        ("circle", "ix_customer_geog"),
        ("cells", "ix_customer_cell"),
    ],
)
async def test_customers_inside_are_found_by_the_index_of_the_kind(
    crowded: Database, kind: str, index: str
) -> None:
    explained = await explain(crowded, page_of(EVERYTHING, await ground(crowded, kind), 0, 100))
    assert index in explained, explained
    assert "Seq Scan on customer" not in explained, explained


async def test_a_report_finds_the_customers_of_each_kind_by_its_index(crowded: Database) -> None:
    explained = await explain(crowded, covered_of(EVERYTHING, "g3"))
    for index in ("ix_customer_geom", "ix_customer_geog", "ix_customer_cell"):
        assert index in explained, explained
    assert "ix_geofence_group_name" in explained, explained


@pytest.mark.parametrize("n_points", [1, 10_000])
async def test_points_find_their_fences_by_the_indexes(crowded: Database, n_points: int) -> None:
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(110, 110.5, n_points), rng.uniform(30, 30.5, n_points)
    polygons = await explain(crowded, polygons_near(lon, lat))
    others = await explain(crowded, other_fences(lon, lat))
    assert "ix_geofence_extent" in polygons, polygons
    assert "ix_geofence_circle" in others, others
    assert "pk_geofence_cell" in others, others
    assert "Seq Scan" not in polygons + others
