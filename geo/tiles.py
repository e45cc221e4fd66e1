"""Arithmetic of web map tiles: z/x/y addresses, their ground, and cells fit to show at a zoom."""

from __future__ import annotations

import math

from geo.bbox import BoundingBox
from geo.cell_ids import CUSTOMER_RESOLUTION
from geo.errors import TileError

MAX_ZOOM = 22
MAX_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""85.0511…: where the square web-mercator world ends."""
WEB_MERCATOR_RADIUS_M = 6_378_137.0


def check_tile(z: int, x: int, y: int) -> None:
    """Refuse an address outside the pyramid (``no_such_tile``)."""
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise TileError(
            "no_such_tile",
            f"tile {z}/{x}/{y} does not exist: z is 0 to {MAX_ZOOM}, x and y 0 to 2^z - 1",
            z=z,
            x=x,
            y=y,
        )


def tile_bounds(z: int, x: int, y: int) -> BoundingBox:
    """Ground of a tile in degrees; y counts from the north (XYZ, not TMS).

    Raises
    ------
    TileError
        ``no_such_tile``.
    """
    check_tile(z, x, y)
    n = 1 << z
    return BoundingBox(
        west=360.0 * x / n - 180.0,
        south=_latitude(y + 1, n),
        east=360.0 * (x + 1) / n - 180.0,
        north=_latitude(y, n),
    )


def tile_at(lon: float, lat: float, z: int) -> tuple[int, int, int]:
    """Address (z, x, y) of the tile a point falls into.

    Points beyond 85.05 degrees belong to the rows at the rim.
    """
    check_tile(z, 0, 0)
    n = 1 << z
    sine = math.sin(math.radians(max(-MAX_LATITUDE, min(MAX_LATITUDE, lat))))
    x = math.floor(n * (lon + 180.0) / 360.0)
    y = math.floor(n * (0.5 - math.atanh(sine) / (2.0 * math.pi)))
    return z, max(0, min(n - 1, x)), max(0, min(n - 1, y))


def resolution_for_zoom(zoom: int, finest: int = CUSTOMER_RESOLUTION) -> int:
    """Resolution of which 50 to 700 cells lie in a tile of a zoom, 20 to 70 pixels wide.

    A zoom level divides a tile's ground by 4 and a resolution a cell's by 7, so two resolutions
    go with three zooms; the offset is that of research/infra.md §2.5 (zoom 2, 5, 8 and 11 show
    resolutions 2, 4, 6 and 8).
    """
    return max(0, min(finest, round((2 * zoom + 2) / 3)))


def _latitude(y: int, n: int) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1.0 - 2.0 * y / n))))
