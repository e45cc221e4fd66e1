"""Cells and points in the units of a tile, as they are drawn on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo.cells import CellArray, IntArray, drawn_boundary, points_from_cells
from geo.outlines import cell_outlines
from geo.sphere import FloatArray
from geo.tiles import MAX_LATITUDE

BoolArray = npt.NDArray[np.bool_]
Tile = tuple[int, int, int]
# Far beyond the rim of the map, where outlines are cut off: put at the rim itself, vertices would
# make a polygon that folds back on itself. At the poles the map has no end.
_NEAR_POLE = 89.9999


@dataclass(frozen=True, slots=True)
class Rings:
    """Rings, not closed: ring i owns vertices (m, 2) from offsets[i] on and is of owners[i]."""

    vertices: FloatArray
    offsets: IntArray
    owners: IntArray

    def some(self, wanted: BoolArray) -> Rings:
        """Some of the rings (n_rings,)."""
        sizes = np.diff(self.offsets)
        offsets = np.concatenate([[0], np.cumsum(sizes[wanted])])
        return Rings(self.vertices[np.repeat(wanted, sizes)], offsets, self.owners[wanted])


def on_tile(
    tile: Tile, extent: int, lon: FloatArray, lat: FloatArray, highest: float = MAX_LATITUDE
) -> FloatArray:
    """Places (n, 2) of points in units of a tile (z, x, y), of which an edge has `extent`.

    x runs east and y south from the north-western corner. Points beyond the `highest` latitude,
    north or south, are put there: by default at the rim of the map.
    """
    z, x, y = tile
    edge, steep = float(extent << z), np.radians(np.clip(lat, -highest, highest))
    east = (lon + 180.0) / 360.0 * edge - x * extent
    south = (0.5 - np.arcsinh(np.tan(steep)) / (2.0 * np.pi)) * edge - y * extent
    return np.column_stack([east, south])


def points_on_tile(tile: Tile, extent: int, cells: CellArray) -> tuple[IntArray, BoolArray]:
    """Whole units of the centres of the cells in a tile, and which of the cells these are.

    A centre on a border is in the tile in the east or south of it; those beyond the rim of the map
    are in the tiles at it.
    """
    z, x, y = tile
    last = (1 << z) - 1
    places = on_tile(tile, extent, *points_from_cells(cells))
    low = [-np.inf if x == 0 else 0.0, -np.inf if y == 0 else 0.0]
    high = [np.inf if x == last else extent, np.inf if y == last else extent]
    is_here = np.all((places >= low) & (places < high), axis=1)
    return np.rint(places[is_here]).astype(np.int64), is_here


def cells_on_tile(
    tile: Tile, extent: int, margin: int, cells: CellArray
) -> tuple[npt.NDArray[np.object_], IntArray]:
    """Outlines of the cells in whole units of a tile, cut off at `margin` beyond its edge.

    Returns
    -------
    (n,) shapes
        A polygon for each cell that is there, in parts if it lies across the antimeridian;
        clockwise as seen on the map (y runs down), as tiles want outer rings.
    (n,) int64
        Indices of these cells, ascending; those smaller than a unit are not there.
    """
    rings = _outlines(cells)
    lon, lat = rings.vertices.T
    placed = on_tile(tile, extent, lon, lat, _NEAR_POLE)
    rings = _cut(Rings(placed, rings.offsets, rings.owners), -margin, extent + margin)
    rings = _in_whole_units(rings)
    shown, owners = np.unique(rings.owners, return_inverse=True)
    return _shapes(rings, owners, len(shown)), shown


def cell_boxes(cells: CellArray) -> FloatArray:
    """West, south, east and north (n, 4), degrees, of the cells' outlines as they are drawn.

    A cell across the antimeridian has a box on either side: n may be more than the cells are.
    """
    rings = _outlines(cells)
    firsts = rings.offsets[:-1]
    if len(firsts) == 0:
        return np.empty((0, 4))
    least = np.minimum.reduceat(rings.vertices, firsts, axis=0)
    return np.hstack([least, np.maximum.reduceat(rings.vertices, firsts, axis=0)])


def tiles_touching(boxes: FloatArray, zoom: int, margin: float) -> IntArray:
    """Columns and rows (m, 2), each pair once, of the tiles that boxes (n, 4) reach into.

    So does a box that is beyond the edge by up to `margin` of a tile's width, as far as shapes are
    drawn there. What lies beyond the rim of the map is in the tiles at it.
    """
    world, last = (zoom, 0, 0), (1 << zoom) - 1
    left, top = on_tile(world, 1, boxes[:, 0], boxes[:, 3]).T - margin
    right, bottom = on_tile(world, 1, boxes[:, 2], boxes[:, 1]).T + margin
    places = np.floor(np.column_stack([left, top, right, bottom])).astype(np.int64)
    x, y, last_x, last_y = np.clip(places, 0, last).T
    columns, rows = last_x - x + 1, last_y - y + 1
    # All tiles of all boxes, one after another.
    sizes = columns * rows
    box = np.repeat(np.arange(len(boxes)), sizes)
    nth = np.arange(len(box)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = np.column_stack([x[box] + nth % columns[box], y[box] + nth // columns[box]])
    return np.unique(found, axis=0)


def _outlines(cells: CellArray) -> Rings:
    """Outlines in degrees; of a cell across the antimeridian, the parts on either side."""
    vertices, offsets = drawn_boundary(cells)
    rings = Rings(vertices, offsets, np.arange(len(cells)))
    if len(cells) == 0:
        return rings
    lon, firsts = vertices[:, 0], offsets[:-1]
    width = np.maximum.reduceat(lon, firsts) - np.minimum.reduceat(lon, firsts)
    is_across = width > 180.0
    if not is_across.any():
        return rings
    across = np.flatnonzero(is_across)
    parts = _rings_of(np.array(cell_outlines(cells[across]), dtype=object), across)
    return _joined(rings.some(~is_across), parts)


def _cut(rings: Rings, low: float, high: float) -> Rings:
    """What of convex rings lies in a square, cut side by side (Sutherland and Hodgman 1974)."""
    if len(rings.owners) == 0:
        return rings
    firsts = rings.offsets[:-1]
    least = np.minimum.reduceat(rings.vertices, firsts, axis=0)
    most = np.maximum.reduceat(rings.vertices, firsts, axis=0)
    is_inside = np.all((least >= low) & (most <= high), axis=1)
    is_near = np.all((least < high) & (most > low), axis=1)
    border = rings.some(is_near & ~is_inside)
    for axis in (0, 1):
        border = _cut_along(border, axis, 1.0, low)
        border = _cut_along(border, axis, -1.0, -high)
    return _joined(rings.some(is_inside), border)


def _cut_along(rings: Rings, axis: int, sign: float, limit: float) -> Rings:
    """What of the rings lies where `sign` times a coordinate is no less than a limit."""
    here = rings.vertices
    before = here[_before(rings.offsets)]
    depth, depth_before = sign * here[:, axis] - limit, sign * before[:, axis] - limit
    is_inside = depth >= 0
    crosses = is_inside != (depth_before >= 0)
    share = np.zeros(len(here))
    share[crosses] = depth_before[crosses] / (depth_before[crosses] - depth[crosses])
    # On the way to each vertex, the place where the line is crossed; then the vertex.
    both = np.stack([before + share[:, None] * (here - before), here], axis=1).reshape(-1, 2)
    is_kept = np.column_stack([crosses, is_inside]).ravel()
    n = len(rings.owners)
    ring = np.repeat(np.arange(n), 2 * np.diff(rings.offsets))[is_kept]
    sizes = np.bincount(ring, minlength=n)
    cut = Rings(both[is_kept], np.concatenate([[0], np.cumsum(sizes)]), rings.owners)
    return cut.some(sizes >= 3)


def _before(offsets: IntArray) -> IntArray:
    """Index of the vertex before each one in its ring."""
    before = np.arange(offsets[-1]) - 1
    before[offsets[:-1]] = offsets[1:] - 1
    return before


def _in_whole_units(rings: Rings) -> Rings:
    """The rings rounded, without vertices that fall on the one before, clockwise in y down."""
    rounded = np.rint(rings.vertices)
    if len(rounded) == 0:
        return Rings(rounded, rings.offsets, rings.owners)
    sizes = np.diff(rings.offsets)
    before = _before(rings.offsets)
    moves = np.any(rounded != rounded[before], axis=1)
    ring = np.repeat(np.arange(len(sizes)), sizes)[moves]
    left = np.concatenate([[0], np.cumsum(np.bincount(ring, minlength=len(sizes)))])
    # Twice the area is exact: a ring on a line has none.
    x, y = rounded[:, 0], rounded[:, 1]
    twice = np.add.reduceat(x[before] * y - x * y[before], rings.offsets[:-1])
    kept = Rings(_turned(rounded[moves], left, ring, twice < 0), left, rings.owners)
    return kept.some(twice != 0)


def _turned(
    vertices: FloatArray, offsets: IntArray, ring: IntArray, is_wrong: BoolArray
) -> FloatArray:
    """The vertices with those of some rings in the opposite order."""
    if not is_wrong.any():
        return vertices
    at = np.arange(len(vertices))
    turned = offsets[ring] + offsets[ring + 1] - 1 - at
    return vertices[np.where(is_wrong[ring], turned, at)]


def _shapes(rings: Rings, owners: IntArray, n: int) -> npt.NDArray[np.object_]:
    """The rings of each of `n` owners as one shape."""
    ring = np.repeat(np.arange(len(owners)), np.diff(rings.offsets))
    parts: Any = shapely.polygons(shapely.linearrings(rings.vertices, indices=ring))
    shapes: Any = parts if len(parts) == n else shapely.multipolygons(parts, indices=owners)
    return np.asarray(shapes, dtype=object)


def _rings_of(shapes: npt.NDArray[np.object_], owners: IntArray) -> Rings:
    """Outer rings of the polygons among some shapes, or among the parts of them."""
    parts, shape = shapely.get_parts(shapes, return_index=True)
    is_area = (shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)
    lines = shapely.get_exterior_ring(parts[is_area])
    vertices, ring = shapely.get_coordinates(lines, return_index=True)
    is_last = np.append(ring[1:] != ring[:-1], True)[: len(ring)]
    sizes = np.bincount(ring, minlength=len(lines)) - 1
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Rings(vertices[~is_last], offsets, owners[shape[is_area]])


def _joined(one: Rings, other: Rings) -> Rings:
    """Both, by owner."""
    owners = np.concatenate([one.owners, other.owners])
    sizes = np.concatenate([np.diff(one.offsets), np.diff(other.offsets)])
    starts = np.concatenate([one.offsets[:-1], other.offsets[:-1] + len(one.vertices)])
    order = np.argsort(owners, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(sizes[order])])
    at = np.arange(offsets[-1]) + np.repeat(starts[order] - offsets[:-1], sizes[order])
    return Rings(np.concatenate([one.vertices, other.vertices])[at], offsets, owners[order])
