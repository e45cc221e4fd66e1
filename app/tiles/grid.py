"""Which rows belong to a tile, and where on it."""

from typing import Any

from sqlalchemy import ColumnElement, Float, and_, func, literal

from app.db.spatial import box, lon_lat
from geo.tiles import MAX_LATITUDE, tile_bounds

EXTENT = 4096
# No tile may be larger: the budget of the map page.
MAX_BYTES = 500_000


def holds(column: Any, z: int, x: int, y: int) -> ColumnElement[bool]:
    """Match points of exactly this tile among those of its zoom.

    A point on a border belongs to the tile in the east or south of it. Points beyond 85.05° north
    or south, where the map ends, belong to the tiles at its rim.
    """
    lon, lat = lon_lat(column)
    bounds, last = tile_bounds(z, x, y), (1 << z) - 1
    conditions: list[ColumnElement[bool]] = [lon >= bounds.west]
    if x < last:
        conditions.append(lon < bounds.east)
    if y > 0:
        conditions.append(lat <= bounds.north)
    if y < last:
        conditions.append(lat > bounds.south)
    return and_(*conditions)


def touches(column: Any, z: int, x: int, y: int) -> ColumnElement[bool]:
    """Match what may lie in the tile, by the index on `column` (WGS 84)."""
    bounds, last = tile_bounds(z, x, y), (1 << z) - 1
    south = bounds.south if y < last else -90.0
    north = bounds.north if y > 0 else 90.0
    condition: ColumnElement[bool] = column.op("&&")(box(bounds.west, south, bounds.east, north))
    return condition


def on_tile(
    lon: ColumnElement[float], lat: ColumnElement[float], z: int, x: int, y: int
) -> ColumnElement[Any]:
    """Return a point in the coordinates of the tile; never clipped, so that no point is lost."""
    limit = literal(MAX_LATITUDE, Float)
    on_map = func.greatest(func.least(lat, limit), -limit)
    mercator = func.ST_Transform(func.ST_SetSRID(func.ST_MakePoint(lon, on_map), 4326), 3857)
    return func.ST_AsMVTGeom(mercator, func.ST_TileEnvelope(z, x, y), EXTENT, 0, False)
