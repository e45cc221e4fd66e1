"""PostGIS and H3 expressions that several repositories share."""

from dataclasses import dataclass
from math import asin, atan2, copysign, cos, degrees, dist, hypot, radians, sin
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Float,
    Integer,
    TableValuedAlias,
    and_,
    cast,
    column,
    func,
    literal,
    or_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.prepared import left_open, open_table
from geo.bbox import BoundingBox
from geo.cells import CellArray, joined_ranges

# The edges of the map, where ground is on both sides or at all longitudes.
EDGES = (
    (-180.0, -90.0, -180.0, 90.0),
    (180.0, -90.0, 180.0, 90.0),
    (-180.0, -90.0, 180.0, -90.0),
    (-180.0, 90.0, 180.0, 90.0),
)
SPHERE_M = 6_371_008.771415059
# PostGIS takes points for one that are 1e-12 rad apart in each angle. From here on the boxes of its
# index, in single precision, are wider than that.
LEAST_COORDINATE = 2.0**-15


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the index of distances is asked from for a place; mostly the place itself.

    `geog <-> here` fails ("index returned tuples in wrong order") when a box of the index seems
    farther than the point in it: where the point counts as being here, or is on the other side of
    180°, and a box is as thin as a digit because x, y or z of the unit sphere is near 0. Within
    200 m of the equator and the meridians 0, 90, 180 and -90 the anchor is so far off them that
    all boxes near it are wide enough.
    """

    lon: float
    lat: float
    shift_m: float

    @property
    def geography(self) -> ColumnElement[Any]:
        """The anchor as a geography point."""
        return geography(self.lon, self.lat)


def anchor_of(lon: float, lat: float) -> Anchor:
    """Return from where the customers around a place can be asked for in order of distance."""
    lam, phi = radians(lon), radians(lat)
    here = cos(phi) * cos(lam), cos(phi) * sin(lam), sin(phi)
    if min(map(abs, here)) >= LEAST_COORDINATE:
        return Anchor(lon, lat, 0.0)
    # A little more, because the vector gets its length back afterwards.
    x, y, z = (copysign(max(abs(value), LEAST_COORDINATE * 1.01), value) for value in here)
    length = hypot(x, y, z)
    apart = dist(here, (x / length, y / length, z / length))
    shift_m = 2 * SPHERE_M * asin(apart / 2)
    return Anchor(degrees(atan2(y, x)), degrees(atan2(z, hypot(x, y))), shift_m)


def point(lon: float, lat: float) -> ColumnElement[Any]:
    """Return a WGS 84 geometry point."""
    return func.ST_SetSRID(func.ST_MakePoint(literal(lon, Double), literal(lat, Double)), 4326)


def geography(lon: float, lat: float) -> ColumnElement[Any]:
    """Return a geography point, for metres."""
    return func.geography(point(lon, lat))


def open_place(lon: str, lat: str) -> ColumnElement[Any]:
    """Return a geography point whose coordinates are given by name as the statement is sent."""
    place = func.ST_MakePoint(left_open(lon, Double()), left_open(lat, Double()))
    return func.geography(func.ST_SetSRID(place, 4326))


def box(west: float, south: float, east: float, north: float) -> ColumnElement[Any]:
    """Return a WGS 84 envelope; a box across 180° must be given as its two halves."""
    return func.ST_MakeEnvelope(
        *(literal(value, Float) for value in (west, south, east, north)), 4326
    )


def reaches_edge(west: float, south: float, east: float, north: float) -> bool:
    """Tell whether ground within these bounds is on the edge of the map, and so elsewhere too."""
    return west <= -180 or south <= -90 or east >= 180 or north >= 90


def is_on_edge(column: Any) -> ColumnElement[bool]:
    """Match points that the map has in more than one place, by the index on `column`."""
    return or_(*(column.op("&&")(box(*edge)) for edge in EDGES))


def lies_in(column: Any, area: ColumnElement[Any], *, at_edge: bool) -> ColumnElement[bool]:
    """Match points of an area or on its border, wherever on the map they are written.

    Longitudes -180 and 180 are one ground, and at a pole all are; `at_edge` tells whether the area
    has any of that.
    """
    inside: ColumnElement[bool] = func.ST_Intersects(column, area)
    if not at_edge:
        return inside
    elsewhere = func.ST_Intersects(func.everywhere_on_map(column), area)
    return or_(inside, and_(is_on_edge(column), elsewhere))


def touches(column: Any, bounds: BoundingBox) -> ColumnElement[bool]:
    """Match areas that touch a box, wherever on the map they do: see `lies_in`."""
    ground = [*bounds.parts(), *bounds.edges_elsewhere()]
    # A box without width is touched by nothing, but its envelope is a line or a point.
    shapes = (func.ST_Envelope(box(*part.as_tuple())) for part in ground)
    found: list[ColumnElement[bool]] = [func.ST_Intersects(column, shape) for shape in shapes]
    return or_(*found)


def lon_lat(column: Any) -> tuple[ColumnElement[float], ColumnElement[float]]:
    """Return the longitude and latitude of a point column."""
    return func.ST_X(column), func.ST_Y(column)


def spans(cells: CellArray, resolution: int) -> TableValuedAlias:
    """Return a table of the ranges, `first` to `last`, that the cells' descendants lie in."""
    first, last = (ids.astype(np.int64).tolist() for ids in joined_ranges(cells, resolution))
    arrays = literal(first, ARRAY(BigInteger)), literal(last, ARRAY(BigInteger))
    columns = column("first", BigInteger), column("last", BigInteger)
    return func.unnest(*arrays).table_valued(*columns, name="span").render_derived()


def open_spans(**types: Any) -> TableValuedAlias:
    """Return such a table left open, with columns of further types."""
    return open_table("span", first=BigInteger, last=BigInteger, **types)


def cell_parent(cell: Any, resolution: Any) -> ColumnElement[int]:
    """Return the logical ancestor of a cell (SQL function of migration 0002)."""
    return func.cell_parent(cell, cast(resolution, Integer), type_=BigInteger)
