"""Tiles of geofences: all that touch, named and grouped, and never too large."""

from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
from sqlalchemy import text

from app.db.session import Database
from geo.tiles import tile_at, tile_bounds

ADD = text("""
    INSERT INTO geofence (name, kind, group_name, centre, radius_m, geom)
    SELECT :name || n, :kind, :group, CASE WHEN :kind LIKE '%circle' THEN centre END,
        CASE WHEN :kind LIKE '%circle' THEN 500 END,
        ST_Multi(ST_Buffer(centre, :size * (1 + n % 7), CAST(:corners AS int)))
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n, LATERAL (
        SELECT ST_SetSRID(ST_MakePoint(:lon + :spread * sin(n * 1.7) * sqrt(n::float / :n),
            :lat + :spread * cos(n * 1.7) * sqrt(n::float / :n)), 4326) AS centre
    ) AS place
""")
AT_ONCE = 500
WHERE = {"lon": 121.47, "lat": 31.23}


async def add(database: Database, n: int, **values: Any) -> None:
    defaults = {
        "name": "F", "kind": "polygon", "group": None, "size": 0.01, "corners": 8, "spread": 0.0,
    }  # fmt: skip
    # The audit takes its time with each.
    for first in range(1, n + 1, AT_ONCE):
        bounds = {"n": n, "first": first, "last": min(first + AT_ONCE - 1, n)}
        async with database.writing() as session:
            await session.execute(ADD, {**defaults, **WHERE, **bounds, **values})


async def fetch(client: httpx.AsyncClient, z: int, lon: float, lat: float) -> Any:
    _, x, y = tile_at(lon, lat, z)
    answer = await client.get(f"/v1/tiles/geofences/{z}/{x}/{y}.mvt")
    assert answer.status_code in (200, 204), answer.text
    assert len(answer.content) <= 500_000
    if answer.status_code == 204:
        return []
    return mapbox_vector_tile.decode(answer.content)["geofences"]["features"]


async def test_a_fence_tells_its_name_kind_and_group(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add(database, 1, kind="service_circle", group="hospitals")
    (found,) = await fetch(client, 12, 121.47, 31.23)
    assert found["properties"] == {
        "id": 1, "name": "F1", "kind": "service_circle", "group": "hospitals",
    }  # fmt: skip
    assert found["id"] == 1
    assert await fetch(client, 12, 100, 31.23) == []


async def test_thousands_of_fences_fit_into_a_tile(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add(database, 6_000, spread=2.0, corners=16, name="A fence with quite a long name ")
    for z in range(0, 16, 3):
        assert len(await fetch(client, z, 121.47, 31.23)) > 0
    close = await fetch(client, 12, 121.47, 31.23)
    assert 0 < len(close) < 6_000


async def test_a_fence_smaller_than_a_pixel_is_a_square_where_it_is(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add(database, 1, size=0.0001)
    for z in (0, 5, 9):
        (found,) = await fetch(client, z, 121.47, 31.23)
        _, x, y = tile_at(121.47, 31.23, z)
        bounds = tile_bounds(z, x, y)
        east = np.mean([lon for lon, _ in found["geometry"]["coordinates"][0][:-1]]) / 4096
        assert abs(bounds.west + east * (bounds.east - bounds.west) - 121.47) < 720 / 2**z / 4096


async def test_the_largest_of_too_many_fences_are_drawn(
    client: httpx.AsyncClient, database: Database
) -> None:
    # Each alone is drawn with all of its corners; their names alone take more than a tile may.
    await add(database, 3_000, size=0.3, corners=4, spread=0.5, name="N" * 195)
    drawn = await fetch(client, 6, 121.47, 31.23)
    sizes = {found["id"] % 7 for found in drawn}
    assert len(drawn) > 500
    assert 6 in sizes
    assert 0 not in sizes
