"""Links that geometry cuts: rivers, lakes, closed ground, administrative borders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from geo.adjacency import Adjacency
from geo.antimeridian import Polygonal, onto_one_map
from geo.cells import IntArray, as_cells, points_from_cells
from geo.errors import CellError
from geo.sphere import FloatArray


def crossed_links(
    cells: npt.ArrayLike, adjacency: Adjacency, barrier: BaseGeometry
) -> npt.NDArray[np.int64]:
    """Pairs of linked units with a barrier between their centres.

    A link is cut when the segment between the centres, straight in longitude and latitude and
    the shorter way round, touches a line of the barrier or the boundary of one of its areas.
    Links inside an area are not cut: a lake is apart from its shore, not from itself. What passes
    between no two centres cuts nothing.

    Parameters
    ----------
    cells : (n_units,) uint64
    adjacency
        Of those cells.
    barrier
        Lines, areas, or a collection of them, in degrees. It may run past ±180, or be cut there
        (RFC 7946 §3.1.9): links are compared with it on every turn of the globe it lies on, and
        the two edges that a cut gave an area are no barrier.

    Returns
    -------
    (n_pairs, 2), each with the lower unit first, rising.

    Raises
    ------
    CellError
        ``adjacency_mismatch`` when the adjacency has another number of units.
    """
    ids = as_cells(cells)
    if adjacency.n_units != len(ids):
        raise CellError(
            "adjacency_mismatch", f"{len(ids)} cells, an adjacency of {adjacency.n_units}"
        )
    pairs = _pairs(adjacency)
    lines = _segments(barrier)
    is_cut = np.zeros(len(pairs), dtype=np.bool_)
    if len(lines) == 0 or len(pairs) == 0:
        return pairs[is_cut]
    links = _link_coordinates(*points_from_cells(ids), pairs)
    first, last = np.floor(lines[:, :, 0].min() / 360.0), np.ceil(lines[:, :, 0].max() / 360.0)
    for turn in range(int(first) - 1, int(last) + 2):
        is_cut |= _meet(links + np.array([360.0 * turn, 0.0]), lines)
    return pairs[is_cut]


def region_of_cells(cells: npt.ArrayLike, polygons: Sequence[Polygonal]) -> IntArray:
    """Index of the polygon each cell's centre lies in, (n_units,); -1 for those in none.

    The first of several polygons holds; a centre on a boundary is inside.
    """
    lon, lat = points_from_cells(cells)
    regions = np.full(len(lon), len(polygons), dtype=np.int64)
    on_map = np.array([onto_one_map(polygon) for polygon in polygons], dtype=object)
    # The tree prepares what it is asked with, so few complex shapes ask for many points.
    tree = shapely.STRtree(np.asarray(shapely.points(lon, lat)))
    region, unit = tree.query(on_map, predicate="intersects")
    np.minimum.at(regions, unit, region)
    return np.where(regions < len(polygons), regions, -1)


def links_across(adjacency: Adjacency, labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Pairs of linked units in different regions, as `crossed_links` returns them.

    A unit with a negative label is in no region, and no border lies between it and one that is.

    Raises
    ------
    CellError
        ``adjacency_mismatch``.
    """
    regions = np.asarray(labels, dtype=np.int64)
    if adjacency.n_units != len(regions):
        raise CellError(
            "adjacency_mismatch", f"{len(regions)} labels, an adjacency of {adjacency.n_units}"
        )
    pairs = _pairs(adjacency)
    one, other = regions[pairs].T
    is_across = (one != other) & (one >= 0) & (other >= 0)
    return np.asarray(pairs[is_across])


def _pairs(adjacency: Adjacency) -> npt.NDArray[np.int64]:
    """Every link once, (n, 2), the lower unit first, rising."""
    low, high = adjacency.sources().astype(np.int64), adjacency.indices.astype(np.int64)
    once = low < high
    low, high = low[once], high[once]
    return np.column_stack([low, high])[np.lexsort((high, low))]


def _link_coordinates(lon: FloatArray, lat: FloatArray, pairs: IntArray) -> FloatArray:
    """Segments between centres, (n, 2, 2), from between ±180 perhaps beyond."""
    links: FloatArray = np.stack([lon, lat], axis=1)[pairs]
    links[:, 1, 0] -= 360.0 * np.round((links[:, 1, 0] - links[:, 0, 0]) / 360.0)
    return links


def _meet(links: FloatArray, lines: FloatArray) -> npt.NDArray[np.bool_]:
    """Which segments meet any of some others."""
    south_west, north_east = lines.min(axis=(0, 1)), lines.max(axis=(0, 1))
    near = np.flatnonzero(
        np.all((links.max(axis=1) >= south_west) & (links.min(axis=1) <= north_east), axis=1)
    )
    meets = np.zeros(len(links), dtype=np.bool_)
    if len(near):
        tree = shapely.STRtree(np.asarray(shapely.linestrings(links[near])))
        _, met = tree.query(shapely.linestrings(lines), predicate="intersects")
        meets[near[met]] = True
    return meets


def _segments(barrier: BaseGeometry) -> FloatArray:
    """The straight pieces of all lines and boundaries, (n, 2, 2)."""
    parts = shapely.get_parts(shapely.get_parts(barrier))
    kinds = shapely.get_dimensions(parts)
    lines = parts[kinds == 1].tolist()
    if np.any(kinds == 2):
        areas = shapely.union_all([onto_one_map(area) for area in parts[kinds == 2]])
        lines += shapely.get_parts(_without_seam(shapely.boundary(areas))).tolist()
    found = [np.empty((0, 2, 2))]
    for line in lines:
        vertices = shapely.get_coordinates(line)
        found.append(np.stack([vertices[:-1], vertices[1:]], axis=1))
    return np.concatenate(found)


def _without_seam(boundary: BaseGeometry) -> BaseGeometry:
    """A boundary without what it has on both sides of the antimeridian."""
    west, _, east, _ = boundary.bounds
    if west > -180.0 or east < 180.0:
        return boundary
    sides = [shapely.LineString([(lon, -90.0), (lon, 90.0)]) for lon in (-180.0, 180.0)]
    on_west, on_east = (shapely.intersection(boundary, side) for side in sides)
    moved = shapely.transform(on_west, lambda xy: xy + np.array([360.0, 0.0]))
    elsewhere = shapely.difference(boundary, shapely.union_all(sides))
    return shapely.union_all([elsewhere, shapely.symmetric_difference(on_east, moved)])
