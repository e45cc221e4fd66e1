"""Tiles of geofences."""

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, case, func, literal_column, select

from app.db.prepared import Planned, Prepared, left_open
from app.db.session import AnyReader, rows
from app.db.tables import Geofence
from app.tiles.grid import EXTENT, MAX_BYTES, open_envelope

LAYER = "geofences"
MARGIN = 1 / 64
# Steps along the edge of the tile: coarse ones, where fine ones make it too large, drop corners
# that lie on one another.
EXTENTS = (EXTENT, EXTENT // 8)
# Then only as many of the largest fences as might fit by what one takes on average, or fewer: the
# largest take more.
LEAVES_ROOM = 0.8
# A fence of fewer steps is a pixel or less on a map of 512 pixels: a square says where it is.
SMALL = EXTENT // 512


async def read_tile(reader: AnyReader, z: int, x: int, y: int) -> bytes:
    """Return the tile of geofences, empty when none is there."""
    drawn, n_drawn = b"", 0
    for extent in EXTENTS:
        ((tile, n_drawn),) = await rows(reader, _statement(extent), z=z, x=x, y=y)
        drawn = bytes(tile or b"")
        if len(drawn) <= MAX_BYTES:
            return drawn
    while len(drawn) > MAX_BYTES and n_drawn > 1:
        most = int(n_drawn * MAX_BYTES / len(drawn) * LEAVES_ROOM)
        largest = _statement(EXTENTS[-1], are_largest=True)
        ((tile, n_drawn),) = await rows(reader, largest, z=z, x=x, y=y, most=max(most, 1))
        drawn = bytes(tile or b"")
    return drawn


@cache
def _statement(extent: int, *, are_largest: bool = False) -> Prepared:
    """Return the statement for a tile, and the number of fences in it."""
    shapes = _shapes(extent, open_envelope(), are_largest).subquery("tile")
    encoded = func.ST_AsMVT(literal_column("tile"), LAYER, extent, "geom", "feature_id")
    # Shapes that miss the tile have no geometry, and none of these makes a feature; to leave them
    # out by a condition would have every shape drawn twice.
    statement = select(encoded, func.count(shapes.c.geom)).select_from(shapes)
    # By the index of outlines, whatever the tile.
    return Prepared(statement, Planned.ONCE)


def _shapes(extent: int, envelope: Any, are_largest: bool) -> Select[Any]:
    width = func.ST_XMax(envelope) - func.ST_XMin(envelope)
    outline = Geofence.tile_outline
    columns: list[Any] = [
        func.ST_AsMVTGeom(
            _simplified(outline, width / extent), envelope, extent, int(extent * MARGIN), True
        ).label("geom"),
        Geofence.id.label("feature_id"),
        Geofence.id.label("id"),
        Geofence.name,
        Geofence.kind,
        Geofence.group_name.label("group"),
    ]
    near = outline.op("&&")(func.ST_Expand(envelope, width * MARGIN))
    statement = select(*columns).where(near)
    if are_largest:
        largest = select(Geofence.id).where(near).order_by(_side_m(outline).desc(), Geofence.id)
        largest = largest.limit(left_open("most", Integer())).correlate(None)
        statement = statement.where(Geofence.id.in_(largest))
    # The same ground gives the same bytes.
    return statement.order_by(Geofence.id)


def _simplified(outline: Any, step_m: Any) -> ColumnElement[Any]:
    """Return an outline in steps of the tile: what is smaller than a few of them is a square."""
    middle = func.ST_Centroid(func.ST_Envelope(outline))
    square = func.ST_Expand(middle, func.greatest(_side_m(outline) / 2, step_m))
    corners = func.ST_Simplify(outline, step_m / 2, True)
    return case((_side_m(outline) < SMALL * step_m, square), else_=corners)


def _side_m(outline: Any) -> ColumnElement[Any]:
    """Return the longer side of the box round an outline, which is stored before its corners."""
    return func.greatest(
        func.ST_XMax(outline) - func.ST_XMin(outline), func.ST_YMax(outline) - func.ST_YMin(outline)
    )
