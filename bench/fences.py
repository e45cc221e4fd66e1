"""Ten thousand positions against two thousand irregular fences: `python -m bench.fences`.

The limit is one second (issue 5), over the whole request as a client in the process sees it.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text

from app.db.access import Access
from app.db.cluster import Cluster
from app.db.migrate import upgrade
from app.db.session import Database
from app.main import create_app
from app.settings import Settings

INSERT = text("""
    INSERT INTO geofence (name, geom)
    SELECT 'fence', ST_Multi(ST_GeomFromWKB(wkb, 4326)) FROM unnest(CAST(:shapes AS bytea[])) AS wkb
""")


def irregular_fences(n_fences: int, rng: np.random.Generator) -> list[BaseGeometry]:
    """Return stars of 16 to 1,500 corners, most of them with few, over ten by ten degrees."""
    corners = np.clip(rng.lognormal(4.4, 1.0, n_fences), 16, 1500).astype(int)
    fences: list[shapely.Polygon] = []
    for n_corners in corners.tolist():
        angles = np.sort(rng.uniform(0, 2 * np.pi, n_corners))
        radii = rng.uniform(0.05, 0.4) * rng.uniform(0.6, 1.0, n_corners)
        lon, lat = rng.uniform([112, 28], [122, 38])
        ring = np.column_stack([lon + radii * np.cos(angles), lat + radii * np.sin(angles)])
        fences.append(shapely.Polygon(ring))
    return [fence if fence.is_valid else fence.buffer(0).convex_hull for fence in fences]


async def measure(n_points: int, n_fences: int, repeats: int) -> dict[str, Any]:
    """Return the seconds of each request, and whether shapely finds the same pairs."""
    rng = np.random.default_rng(7)
    fences = irregular_fences(n_fences, rng)
    places = rng.uniform([112, 28], [122, 38], (n_points, 2))
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as folder:
        Path(folder).chmod(0o755)
        settings = Settings(home=Path(folder), auth="off", log_level="error")
        cluster = Cluster(Path(folder))
        cluster.up()
        try:
            access = Access.of(settings)
            upgrade(access.owner_url, access.url.username)
            seconds, items = await _ask(settings, fences, places, repeats)
        finally:
            cluster.down()
    found = {(i, number - 1) for i, ids in enumerate(items) for number in ids}
    return {
        "points": n_points,
        "fences": n_fences,
        "corners": int(shapely.get_num_coordinates(fences).sum()),
        "pairs": len(found),
        "differing_pairs": len(found ^ _by_shapely(fences, places)),
        "seconds": [round(value, 3) for value in seconds],
    }


async def _ask(
    settings: Settings, fences: list[BaseGeometry], places: NDArray[np.float64], repeats: int
) -> tuple[list[float], list[list[int]]]:
    database = Database.of(settings)
    async with database.writing() as session:
        await session.execute(INSERT, {"shapes": [fence.wkb for fence in fences]})
    await database.close()
    body = json.dumps({"points": [{"lon": lon, "lat": lat} for lon, lat in places.tolist()]})
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    seconds = []
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for _ in range(repeats):
            began = time.perf_counter()
            answer = await client.post(
                "/v1/geofences/at:batch",
                content=body,
                headers={"Content-Type": "application/json"},
            )
            seconds.append(time.perf_counter() - began)
            answer.raise_for_status()
    await app.state.database.close()
    return seconds, answer.json()["items"]


def _by_shapely(fences: list[BaseGeometry], places: NDArray[np.float64]) -> set[tuple[int, int]]:
    tree = shapely.STRtree(fences)
    points, held_by = tree.query(shapely.points(places), predicate="covered_by")
    return set(zip(points.tolist(), held_by.tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--fences", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=7)
    wanted = parser.parse_args()
    print(json.dumps(asyncio.run(measure(wanted.points, wanted.fences, wanted.repeats))))


if __name__ == "__main__":
    main()
