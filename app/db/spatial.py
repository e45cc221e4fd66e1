"""PostGIS and H3 expressions that several repositories share."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Double, Float, Integer, cast, func, literal


def point(lon: float, lat: float) -> ColumnElement[Any]:
    """Return a WGS 84 geometry point."""
    return func.ST_SetSRID(func.ST_MakePoint(literal(lon, Double), literal(lat, Double)), 4326)


def geography(lon: float, lat: float) -> ColumnElement[Any]:
    """Return a geography point, for metres."""
    return func.geography(point(lon, lat))


def box(west: float, south: float, east: float, north: float) -> ColumnElement[Any]:
    """Return a WGS 84 envelope; a box across 180° must be given as its two halves."""
    return func.ST_MakeEnvelope(
        *(literal(value, Float) for value in (west, south, east, north)), 4326
    )


def lon_lat(column: Any) -> tuple[ColumnElement[float], ColumnElement[float]]:
    """Return the longitude and latitude of a point column."""
    return func.ST_X(column), func.ST_Y(column)


def cell_parent(cell: Any, resolution: Any) -> ColumnElement[int]:
    """Return the logical ancestor of a cell (SQL function of migration 0002)."""
    return func.cell_parent(cell, cast(resolution, Integer), type_=BigInteger)
