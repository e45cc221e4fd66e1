"""The ground of the constraint tests: even customers in a rectangle, with some peculiar layers."""

from dataclasses import dataclass, field
from typing import Any

import h3
import httpx
import numpy as np
from sqlalchemy import text

from app.activity import fold
from app.db.session import Database
from geo.cells import cells_from_points

WEST, SOUTH, EAST, NORTH = 112.6, 30.2, 113.4, 30.8
ISLAND_WEST, ISLAND_EAST = 113.7, 113.85


def rectangle(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A GeoJSON polygon."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def line(*points: tuple[float, float]) -> dict[str, Any]:
    """A GeoJSON line."""
    return {"type": "LineString", "coordinates": [list(point) for point in points]}


REGION = rectangle(WEST, SOUTH, EAST, NORTH)
ISLAND = rectangle(ISLAND_WEST, 30.4, ISLAND_EAST, 30.6)
WITH_ISLAND = {
    "type": "MultiPolygon",
    "coordinates": [REGION["coordinates"], ISLAND["coordinates"]],
}
MIDDLE = (113.0, 30.5)
# One rep's home in each third, from the west; the last rep has none.
HOMES = {"R1": (112.7, 30.5), "R2": (113.0, 30.5), "R3": (113.3, 30.5), "R4": None}
FTE = {"R1": 0.3, "R2": 0.15, "R3": 0.15, "R4": 0.15}

INSERT = text("""
    INSERT INTO customer (external_id, name, geom, cell, class, segment, work_minutes, potential,
        revenue)
    VALUES (:id, :id, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), :cell, 'B', :segment, :work,
        :potential, 0)
""")


@dataclass(frozen=True, slots=True)
class World:
    """What is in the database, by name."""

    client: httpx.AsyncClient
    database: Database
    layers: dict[str, int] = field(default_factory=dict)
    reps: dict[str, int] = field(default_factory=dict)
    first: list[object] = field(default_factory=list)


def cell_at(lon: float, lat: float, resolution: int = 6) -> str:
    """The logical cell of a point."""
    return h3.cell_to_parent(h3.latlng_to_cell(lat, lon, 12), resolution)


async def fill(database: Database, client: httpx.AsyncClient) -> World:
    """Store customers, layers and reps.

    Layer `all` has even customers, their potential growing to the east; `heavy` also a dense
    town, whose cell is to be split; `place` also one customer heavier than a territory may be.
    """
    random = np.random.default_rng(5)
    lon, lat = np.meshgrid(np.linspace(WEST, EAST, 27)[1:-1], np.linspace(SOUTH, NORTH, 20)[1:-1])
    lon = lon.ravel() + random.normal(0, 0.003, lon.size)
    lat = lat.ravel() + random.normal(0, 0.003, lat.size)
    await _add(database, "retail", lon, lat, 100.0)
    island = random.uniform((ISLAND_WEST, 30.4), (ISLAND_EAST, 30.6), (30, 2)).T
    await _add(database, "island", *island, 100.0)
    town = random.normal(MIDDLE, 0.008, (300, 2)).T
    await _add(database, "town", *town, 100.0)
    await _add(database, "tower", np.array([MIDDLE[0]]), np.array([MIDDLE[1]]), 60_000.0)
    await fold(database)
    world = World(client, database)
    for name, segments in {
        "all": ["retail", "island"], "heavy": ["retail", "town"], "place": ["retail", "tower"],
        "nobody": ["none"], "retail": ["retail"],
    }.items():  # fmt: skip
        body = {"name": name, "customer_filter": {"segment": segments}}
        world.layers[name] = (await client.post("/v1/layers", json=body)).json()["id"]
    for name, home in HOMES.items():
        body = {"external_id": name, "name": name, "fte": FTE[name]}
        if home is not None:
            body |= {"home_lon": home[0], "home_lat": home[1]}
        world.reps[name] = (await client.post("/v1/reps", json=body)).json()["id"]
    return world


async def _add(database: Database, segment: str, lon: Any, lat: Any, work: float) -> None:
    cells = cells_from_points(lon, lat, 12)
    rows = [
        {
            "id": f"{segment}{number}", "lon": float(lon[number]), "lat": float(lat[number]),
            "cell": int(cells[number]), "segment": segment, "work": work,
            "potential": 100.0 * (1 + 2 * (lon[number] > MIDDLE[0])),
        }
        for number in range(len(lon))
    ]  # fmt: skip
    async with database.writing() as session:
        await session.execute(INSERT, rows)
