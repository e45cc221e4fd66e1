"""Which rows belong to a tile, and where on it."""

from typing import Any

from sqlalchemy import ColumnElement, Double, Float, Integer, and_, func, literal

from app.db.prepared import left_open
from geo.bbox import BoundingBox
from geo.tiles import MAX_LATITUDE, tile_bounds

EXTENT = 4096
# Shapes are drawn so far beyond the tile that lines meet across tiles without a gap.
MARGIN = EXTENT // 64
# No tile may be larger: the budget of the map page.
MAX_BYTES = 500_000
# No longitude or latitude is as large.
BEYOND = 1000.0


def open_envelope() -> ColumnElement[Any]:
    """Return the outline of a tile whose `z`, `x` and `y` are given as the statement is sent."""
    place = (left_open(name, Integer()) for name in "zxy")
    envelope: ColumnElement[Any] = func.ST_TileEnvelope(*place)
    return envelope


def values_of(z: int, x: int, y: int) -> dict[str, float]:
    """Return all values of a tile that statements of this module leave open.

    A point on a border belongs to the tile in the east or south of it. Points beyond 85.05° north
    or south, where the map ends, belong to the tiles at its rim.
    """
    box, last = ground(z, x, y), (1 << z) - 1
    return {
        "z": z, "x": x, "y": y, "west": box.west, "box_east": box.east,
        "box_south": box.south, "box_north": box.north,
        "east": box.east if x < last else BEYOND,
        "south": box.south if y < last else -BEYOND,
        "north": box.north if y > 0 else BEYOND,
    }  # fmt: skip


def holds(lon: ColumnElement[float], lat: ColumnElement[float]) -> ColumnElement[bool]:
    """Match points of exactly this tile among those of its zoom; see `values_of`."""
    return and_(
        lon >= _degrees("west"),
        lon < _degrees("east"),
        lat <= _degrees("north"),
        lat > _degrees("south"),
    )


def is_near(column: Any) -> ColumnElement[bool]:
    """Match what may lie in the tile, by the index on `column` (WGS 84); see `values_of`."""
    sides = (_degrees(name) for name in ("west", "box_south", "box_east", "box_north"))
    condition: ColumnElement[bool] = column.op("&&")(func.ST_MakeEnvelope(*sides, 4326))
    return condition


def _degrees(name: str) -> ColumnElement[float]:
    return left_open(name, Double())


def ground(z: int, x: int, y: int) -> BoundingBox:
    """Return the ground of a tile; at the rims of the map, up to the poles."""
    bounds, last = tile_bounds(z, x, y), (1 << z) - 1
    south = bounds.south if y < last else -90.0
    north = bounds.north if y > 0 else 90.0
    return BoundingBox(bounds.west, south, bounds.east, north)


def on_tile(lon: ColumnElement[float], lat: ColumnElement[float]) -> ColumnElement[Any]:
    """Return a point in the coordinates of the tile; never clipped, so that no point is lost."""
    limit = literal(MAX_LATITUDE, Float)
    on_map = func.greatest(func.least(lat, limit), -limit)
    mercator = func.ST_Transform(func.ST_SetSRID(func.ST_MakePoint(lon, on_map), 4326), 3857)
    return func.ST_AsMVTGeom(mercator, open_envelope(), EXTENT, 0, False)
