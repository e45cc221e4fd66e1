"""The cells that may touch a box, as few cells of mixed resolutions whose descendants they are.

Descends from the 122 base cells as `geo.fill` does, by caps around the centres: what lies wholly
inside is taken as it is, what lies outside is dropped, and only the border is refined.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import shapely

from geo.bbox import BoundingBox
from geo.cells import (
    CellArray,
    base_cells,
    check_resolution,
    descendants,
    mean_area_km2,
    points_from_cells,
)
from geo.outlines import cell_outlines
from geo.sphere import EARTH_RADIUS_M, cap_boxes

BoolArray = npt.NDArray[np.bool_]

# Border cells are refined while they are fewer than this. Each is one look into an index, and what
# lies in them outside the box is read in vain.
_ENOUGH_BORDER_CELLS = 150

# Maps ask for the same tiles again and again; an answer is some kilobytes.
_MOST_KEPT = 2048

# Neither a vertex nor a descendant's centre lies farther from a cell's centre than 1.10 times the
# circumradius of a regular hexagon of mean area (see `geo.fill`); rounded up.
_CAP_SAFETY = 1.2


@lru_cache(maxsize=_MOST_KEPT)
def cover(box: BoundingBox, resolution: int) -> CellArray:
    """Distinct cells, none inside another, such that every cell that touches the box is in one.

    Cells of ``resolution`` are meant, and their logical ancestors. The answer reaches beyond the
    box by about the width of its coarsest border cell; `are_touching` tells exactly. It is kept
    for the next who asks, and cannot be written to.
    """
    check_resolution(resolution)
    inner: list[CellArray] = []
    border = base_cells()
    for level in range(resolution + 1):
        inside, outside = _compare_caps(box, border, level, resolution)
        inner.append(border[inside])
        border = border[~(inside | outside)]
        if level == resolution or len(border) >= _ENOUGH_BORDER_CELLS:
            break
        border = descendants(border, level + 1)
    cells = np.sort(np.concatenate([*inner, border]))
    cells.flags.writeable = False
    return cells


def are_touching(cells: npt.ArrayLike, resolution: int, box: BoundingBox) -> BoolArray:
    """Which cells of a resolution have an outline that touches the box, its edge included."""
    ids = np.asarray(cells, dtype=np.uint64)
    touching, outside = _compare_caps(box, ids, resolution, resolution)
    unsure = np.flatnonzero(~(touching | outside))
    outlines = np.array(cell_outlines(ids[unsure]), dtype=object)
    parts = [shapely.box(*part.as_tuple()) for part in box.parts()]
    touching[unsure] = np.any([shapely.intersects(outlines, part) for part in parts], axis=0)
    return touching


def are_near(cells: npt.ArrayLike, resolution: int, box: BoundingBox) -> BoolArray:
    """Which cells of a resolution may touch the box, without a look at their outlines."""
    _, outside = _compare_caps(box, np.asarray(cells, dtype=np.uint64), resolution, resolution)
    return ~outside


def _compare_caps(
    box: BoundingBox, cells: CellArray, level: int, finest: int
) -> tuple[BoolArray, BoolArray]:
    """Which cells have all possible descendants' outlines inside, and which have none."""
    reach = _circumradius_rad(level) + (_circumradius_rad(finest) if finest > level else 0.0)
    west, south, east, north = cap_boxes(*points_from_cells(cells), _CAP_SAFETY * reach)
    inside = np.zeros(len(cells), dtype=np.bool_)
    outside = np.ones(len(cells), dtype=np.bool_)
    for part in box.parts():
        in_height = (south <= part.north) & (north >= part.south)
        within_height = (south >= part.south) & (north <= part.north)
        if part.east - part.west >= 360.0:
            # All round the globe nothing is beside the box, whatever crosses 180 degrees.
            outside &= ~in_height
            inside |= within_height
            continue
        # A cap across the antimeridian is seen once on either side of the map.
        for shift in (0.0, -360.0, 360.0):
            left, right = west + shift, east + shift
            outside &= ~(in_height & (left <= part.east) & (right >= part.west))
            inside |= within_height & (left >= part.west) & (right <= part.east)
    return inside, outside


def _circumradius_rad(resolution: int) -> float:
    circumradius_m = np.sqrt(mean_area_km2(resolution) * 1e6 / (1.5 * np.sqrt(3.0)))
    return float(circumradius_m / EARTH_RADIUS_M)
