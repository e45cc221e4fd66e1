"""Which geofences hold a point: one way for one point and for ten thousand.

- Polygons: by GEOS in this process, borders included, edges straight in longitude and latitude.
  Ten thousand points against two thousand irregular polygons take a fourth of the time that the
  database would need (`bench/fences.py`), the reading of the polygons included.
- Circles: by the geodesic distance from their centre, in the database.
- Cells: when an ancestor of the point's resolution-12 cell is in the set, in the database.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import TextClause, text

from app.db.scope import Scope
from app.db.session import AnySession
from geo.cells import CUSTOMER_RESOLUTION, cells_from_points
from geo.map_points import points_on_map
from geo.sphere import FloatArray

Pairs = list[tuple[int, int]]

# As the database stores them, compressed: so much of polygons is in memory at once.
PIECE_BYTES = 16 * 2**20

POLYGONS = """
    -- Polygons whose box meets that of the points, and how large they are.
    SELECT geofence.id, pg_column_size(geofence.geom)
    FROM geofence
    WHERE geofence.extent && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
        AND geofence.kind = 'polygon' {wanted}
    ORDER BY geofence.id
"""
SHAPES = text("SELECT ST_AsBinary(geom) FROM geofence WHERE id = ANY(:ids) ORDER BY id")
CIRCLES_AND_CELLS = """
    -- Pairs of a point, numbered from 1, and a circle or set of cells that holds it.
    WITH place AS MATERIALIZED (
        SELECT n, cell, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS at
        FROM unnest(CAST(:lon AS float[]), CAST(:lat AS float[]), CAST(:cell AS bigint[]))
            WITH ORDINALITY AS given (lon, lat, cell, n)
    )
    SELECT place.n, geofence.id
    FROM place
    JOIN geofence ON geofence.extent && everywhere_on_map(place.at)
    WHERE geofence.centre IS NOT NULL
        AND ST_DWithin(geography(geofence.centre), geography(place.at), geofence.radius_m) {wanted}
    UNION ALL
    SELECT place.n, geofence_cell.geofence_id
    FROM place
    CROSS JOIN LATERAL (
        SELECT geofence_cell.geofence_id
        FROM geofence_cell
        WHERE geofence_cell.cell = ANY(ARRAY(
            SELECT cell_parent(place.cell, resolution) FROM generate_series(0, 12) AS resolution))
    ) AS geofence_cell
    {joined}
"""
OF_GROUP = {
    "wanted": "AND geofence.group_name = :group",
    "joined": "JOIN geofence ON geofence.id = geofence_id AND geofence.group_name = :group",
}
OF_ALL = {"wanted": "", "joined": ""}


async def find_geofences(
    session: AnySession, scope: Scope, lon: FloatArray, lat: FloatArray, group: str | None = None
) -> list[list[int]]:
    """Return, for each point in the order given, the rising ids of the geofences that hold it."""
    pairs = [(n - 1, fence) for n, fence in await session.execute(other_fences(lon, lat, group))]
    polygons = (await session.execute(polygons_near(lon, lat, group))).all()
    for ids in _pieces([(row[0], row[1]) for row in polygons]):
        blocks = list(await session.scalars(SHAPES, {"ids": ids}))
        pairs += await asyncio.to_thread(_holding_polygons, ids, blocks, lon, lat)
    found: list[list[int]] = [[] for _ in range(len(lon))]
    for index, fence_id in pairs:
        found[index].append(fence_id)
    for held_by in found:
        held_by.sort()
    return found


def polygons_near(lon: FloatArray, lat: FloatArray, group: str | None = None) -> TextClause:
    """Select the ids and sizes of polygons near the points."""
    # What lies on an edge of the map lies on the other one as well.
    is_on_edge = bool(np.any((np.abs(lon) == 180.0) | (np.abs(lat) == 90.0)))
    bounds = {
        "west": -180.0 if is_on_edge else float(lon.min()),
        "east": 180.0 if is_on_edge else float(lon.max()),
        "south": float(lat.min()),
        "north": float(lat.max()),
    }
    return _statement(POLYGONS, bounds, group)


def other_fences(lon: FloatArray, lat: FloatArray, group: str | None = None) -> TextClause:
    """Select pairs of a point's number, from 1, and the id of a circle or cells that hold it."""
    cells = cells_from_points(lon, lat, CUSTOMER_RESOLUTION).astype(np.int64)
    values = {"lon": _array(lon), "lat": _array(lat), "cell": _array(cells)}
    return _statement(CIRCLES_AND_CELLS, values, group)


def positions(points: Sequence[Any]) -> tuple[FloatArray, FloatArray]:
    """Return the longitudes and latitudes of points."""
    lon = np.array([point.lon for point in points], dtype=np.float64)
    lat = np.array([point.lat for point in points], dtype=np.float64)
    return lon, lat


def _array(numbers: NDArray[Any]) -> str:
    # As PostgreSQL writes arrays: the driver takes ten times as long to do it, number by number.
    return f"{{{','.join(map(repr, numbers.tolist()))}}}"


def _statement(template: str, values: dict[str, Any], group: str | None) -> TextClause:
    statement = text(template.format_map(OF_ALL if group is None else OF_GROUP))
    return statement.bindparams(**values, **({} if group is None else {"group": group}))


def _pieces(polygons: list[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield ids of polygons that may be in memory together."""
    ids: list[int] = []
    n_bytes = 0
    for fence_id, size in polygons:
        if ids and n_bytes + size > PIECE_BYTES:
            yield ids
            ids, n_bytes = [], 0
        ids.append(fence_id)
        n_bytes += size
    if ids:
        yield ids


def _holding_polygons(ids: list[int], blocks: list[Any], lon: FloatArray, lat: FloatArray) -> Pairs:
    """Return pairs of a point's index and the id of a polygon that holds it."""
    shapes: NDArray[np.object_] = shapely.from_wkb(np.array(blocks, dtype=np.object_))
    tree = shapely.STRtree(shapes)
    points, places = tree.query(points_on_map(lon, lat), predicate="intersects")
    fences = np.array(ids, dtype=np.int64)[places]
    return list(zip(points.tolist(), fences.tolist(), strict=True))
