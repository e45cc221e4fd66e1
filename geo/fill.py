"""The cells whose centres lie in a polygon.

Descends from the 122 base cells and asks at every level which cells' caps lie inside, outside
or across the border, so that only border cells are refined; the final word is a plain
point-in-polygon test of the centre. H3's own fill is not used: it reads an arc over 180 degrees
as crossing the antimeridian, and fills a world-wide rectangle with 30 cells (uber/h3 #561).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon

from geo.antimeridian import Polygonal, onto_one_map
from geo.cells import (
    CellArray,
    base_cells,
    check_resolution,
    descendants,
    distinct,
    mean_area_km2,
    points_from_cells,
)
from geo.errors import TooManyCellsError
from geo.sphere import EARTH_RADIUS_M, border_km, cap_boxes, polygon_area_km2

DEFAULT_MAX_CELLS = 5_000_000

BoolArray = npt.NDArray[np.bool_]

# Neither a vertex nor a descendant's centre lies farther from a cell's centre than 1.10 times the
# circumradius of a regular hexagon of mean area (measured on all cells of resolutions 0 to 3, and
# the grid is self-similar below); rounded up.
_CAP_SAFETY = 1.2

# How many more cells than allowed inside may lie along the border, where they cost work even if
# they are not inside.
_SPARE_BORDER_CELLS = 100_000

_MAX_PIECE_VERTICES = 512


def fill(geometry: Polygonal, resolution: int, max_cells: int = DEFAULT_MAX_CELLS) -> CellArray:
    """Cells of a resolution whose centre lies inside the geometry, sorted.

    Parameters
    ----------
    geometry
        In degrees, lon and lat; edges are straight lines in that plane (RFC 7946), so -180 to
        180 is the whole world. Longitudes beyond 180 mean ground on the other side.
    resolution
        0 to 15.
    max_cells
        The most cells that may be enumerated; estimated before anything is.

    Raises
    ------
    TooManyCellsError
        ``too_many_cells`` when area / mean cell area is above ``max_cells``, or a border folded
        to and fro passes through far more cells; facts ``n_estimated``, ``max_cells``,
        ``area_km2``.
    """
    check_resolution(resolution)
    whole = onto_one_map(geometry)
    area_km2 = polygon_area_km2(whole)
    n_inside = area_km2 / mean_area_km2(resolution)
    _refuse_too_many(n_inside, area_km2, resolution, max_cells)
    n_border = border_km(whole) / np.sqrt(mean_area_km2(resolution))
    _refuse_too_many(n_border - _SPARE_BORDER_CELLS, area_km2, resolution, max_cells)
    found = [_fill_piece(piece, resolution) for piece in _pieces(whole)]
    return distinct(np.concatenate([np.empty(0, dtype=np.uint64), *found]))


def _pieces(geometry: Polygonal) -> Iterator[Polygonal]:
    """The geometry cut into parts of few vertices.

    A point-in-polygon test looks at every edge that passes north and south of the point, so a
    comb of 50,000 vertices would cost a millisecond for each of its cells.
    """
    if shapely.get_num_coordinates(geometry) <= _MAX_PIECE_VERTICES:
        yield geometry
        return
    west, south, east, north = geometry.bounds
    # A bit off the middle, where no centre of a cell is likely to lie on the cut.
    across, up = west + 0.4871 * (east - west), south + 0.4871 * (north - south)
    if east - west > north - south:
        halves = [(west, south, across, north), (across, south, east, north)]
    else:
        halves = [(west, south, east, up), (west, up, east, north)]
    for half in halves:
        parts = shapely.get_parts(shapely.intersection(geometry, shapely.box(*half)))
        areas = [part for part in parts if part.geom_type == "Polygon"]
        if areas:
            yield from _pieces(MultiPolygon(areas))


def _fill_piece(piece: Polygonal, resolution: int) -> CellArray:
    shapely.prepare(piece)
    inner: list[CellArray] = []
    border = base_cells()
    for level in range(resolution):
        inside, outside = _compare_caps(piece, border, level)
        inner.append(descendants(border[inside], resolution))
        border = descendants(border[~(inside | outside)], level + 1)
    lon, lat = points_from_cells(border)
    return np.concatenate([*inner, border[shapely.contains_xy(piece, lon, lat)]])


def _compare_caps(
    within: Polygonal, cells: CellArray, resolution: int
) -> tuple[BoolArray, BoolArray]:
    """Which cells have all possible descendants' centres inside, and which have none."""
    lon, lat = points_from_cells(cells)
    west, south, east, north = cap_boxes(lon, lat, _cap_radius_rad(resolution))
    inside = np.ones(len(cells), dtype=np.bool_)
    outside = np.ones(len(cells), dtype=np.bool_)
    # A cap across the antimeridian is seen once on either side of the map.
    for shift in (0.0, -360.0, 360.0):
        left, right = np.maximum(west + shift, -180.0), np.minimum(east + shift, 180.0)
        seen = np.flatnonzero(left < right)
        boxes = shapely.box(left[seen], south[seen], right[seen], north[seen])
        touched = shapely.intersects(within, boxes)
        outside[seen] &= ~touched
        inside[seen[~touched]] = False
        inside[seen[touched]] &= shapely.contains_properly(within, boxes[touched])
    return inside, outside


def _cap_radius_rad(resolution: int) -> float:
    """Angular radius around a centre that holds the cell and all its descendants' centres."""
    circumradius_m = np.sqrt(mean_area_km2(resolution) * 1e6 / (1.5 * np.sqrt(3.0)))
    return float(_CAP_SAFETY * circumradius_m / EARTH_RADIUS_M)


def _refuse_too_many(n_cells: float, area_km2: float, resolution: int, max_cells: int) -> None:
    if n_cells > max_cells:
        raise TooManyCellsError(
            "too_many_cells",
            f"about {n_cells:,.0f} cells of resolution {resolution} lie in the polygon or along "
            f"its border, {max_cells:,} are allowed: take a coarser resolution or a smaller area",
            n_estimated=round(n_cells),
            max_cells=max_cells,
            area_km2=area_km2,
        )
