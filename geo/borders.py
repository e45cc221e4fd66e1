"""The lines between territories, edge by edge of the cell grid.

Borders are found by topology and only then given coordinates. Three cells meet at every vertex
of the grid, on pentagons too, so three ids name a vertex without any rounding, and whoever asks
for it gets the very same numbers. This is what makes neighbouring outlines identical along their
border.

Between cells of two resolutions the border runs along the finer ones, so each stretch is as fine
as the finer of the two units at it. Every vertex of a cell is also one of its descendants', and
takes its numbers from the coarsest three cells of the set's resolutions that meet there. The
zigzag of finer edges stays within a sixth of an edge's length of the edge, in sectors that do not
meet those of other edges; hence stretches of different resolutions cannot cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo.cell_sets import FINER, distinct_resolutions, owners_of
from geo.cells import (
    CellArray,
    IntArray,
    ancestors,
    distinct,
    edge_vertices,
    neighbour_rings,
    resolutions,
)
from geo.sphere import FloatArray
from geo.walks import refined, ring_edges


@dataclass(frozen=True, slots=True)
class Borders:
    """Cell edges with one territory on the left and another, or none, on the right.

    Attributes
    ----------
    territory : (n_edges,)
        Territory on the left.
    start, end : (n_edges,)
        Rows of ``vertices``. A territory passes a vertex at most once: with three cells there,
        one or two of them its own, exactly one edge comes in and one goes out.
    bends : (n_edges, 2)
        A further vertex between start and end where the edge crosses from one face of the
        icosahedron to another, else NaN.
    vertices : (n_vertices, 2)
        Degrees, lon and lat.
    """

    territory: IntArray
    start: IntArray
    end: IntArray
    bends: FloatArray
    vertices: FloatArray


def find_borders(cells: CellArray, alignment: IntArray) -> Borders:
    """Borders of an alignment of sorted cells; negative means no territory.

    Cells may be of several resolutions, none inside another.
    """
    rings = neighbour_rings(cells)
    owners = owners_of(cells, rings)
    is_border = (owners == FINER) | (alignment[:, None] != _aligned(alignment, owners))
    near = ring_edges(cells, rings, owners, is_border & (alignment >= 0)[:, None])
    edges = refined(cells, near)
    edges = edges.taken(alignment[edges.unit] != _aligned(alignment, edges.owner))
    levels = distinct_resolutions(cells)
    starts = _coarsest(np.column_stack([edges.inner, edges.before, edges.outer]), levels)
    ends = _coarsest(np.column_stack([edges.inner, edges.outer, edges.after]), levels)
    grid = _Grid(distinct(np.concatenate([*starts.T, *ends.T, edges.inner, edges.outer])))
    keys = np.concatenate([grid.vertex_keys(starts), grid.vertex_keys(ends)])
    keys, rows = np.unique(keys, return_inverse=True)
    return Borders(
        territory=alignment[edges.unit],
        start=rows[: len(edges.unit)],
        end=rows[len(edges.unit) :],
        bends=grid.bends(edges.inner, edges.outer),
        vertices=_off_the_antimeridian(grid.vertices(keys)),
    )


def _aligned(alignment: IntArray, owners: IntArray) -> IntArray:
    """Territory of the owners, -1 where there is none."""
    return np.where(owners >= 0, alignment[owners], -1)


def _coarsest(triples: CellArray, levels: list[int]) -> CellArray:
    """Each vertex, given by the three cells there, by the coarsest three that meet there."""
    for level in range(levels[-1], levels[0], -1):
        here = np.flatnonzero(resolutions(triples[:, 0]) == level)
        parents = ancestors(triples[here].ravel(), level - 1).reshape(-1, 3)
        first, second, third = parents.T
        meet = (first != second) & (second != third) & (third != first)
        triples[here[meet]] = parents[meet]
    return triples


class _Grid:
    """The rings of the cells along borders, looked up by id.

    A vertex is keyed by the edge that ends in it, seen from the lowest of its three cells: the
    row of that cell times six plus the position of the neighbour across the edge.
    """

    def __init__(self, cells: CellArray) -> None:
        self.cells = cells
        self.rings = neighbour_rings(cells)

    def vertex_keys(self, triples: CellArray) -> IntArray:
        rows = np.arange(len(triples))
        lowest = np.argmin(triples, axis=1)
        return self._edge_keys(triples[rows, lowest], triples[rows, (lowest + 1) % 3])

    def vertices(self, keys: IntArray) -> FloatArray:
        lines, n_vertices = edge_vertices(self.cells[keys // 6], keys % 6)
        return lines[np.arange(len(keys)), n_vertices - 1]

    def bends(self, cells: CellArray, neighbours: CellArray) -> FloatArray:
        lowest, other = np.minimum(cells, neighbours), np.maximum(cells, neighbours)
        keys, rows = np.unique(self._edge_keys(lowest, other), return_inverse=True)
        lines, n_vertices = edge_vertices(self.cells[keys // 6], keys % 6)
        middle = np.where((n_vertices == 3)[:, None], lines[:, 1], np.nan)
        return _off_the_antimeridian(middle)[rows]

    def _edge_keys(self, cells: CellArray, neighbours: CellArray) -> IntArray:
        rows = np.searchsorted(self.cells, cells)
        positions = np.argmax(self.rings[rows] == neighbours[:, None], axis=1)
        return np.asarray(rows * 6 + positions)


def _off_the_antimeridian(points: FloatArray) -> FloatArray:
    """Points on the antimeridian moved 0.1 nanodegrees east, so each lies on one side of it."""
    lon = points[:, 0]
    return np.column_stack([np.where(np.abs(lon) == 180.0, -180.0 + 1e-10, lon), points[:, 1]])


def trace_rings(borders: Borders) -> tuple[IntArray, IntArray]:
    """The edges in the order in which they form closed rings, territory on the left.

    Returns
    -------
    order : (n_edges,)
        Rows of the borders, ring after ring.
    offsets : (n_rings + 1,)
        Ring ``i`` is ``order[offsets[i]:offsets[i + 1]]``.
    """
    successor = _successors(borders).tolist()
    order: list[int] = []
    offsets = [0]
    visited = bytearray(len(successor))
    for first in range(len(successor)):
        edge = first
        while not visited[edge]:
            visited[edge] = 1
            order.append(edge)
            edge = successor[edge]
        if len(order) > offsets[-1]:
            offsets.append(len(order))
    return np.array(order, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _successors(borders: Borders) -> npt.NDArray[np.int64]:
    """For each edge the edge of the same territory that starts where it ends."""
    n_vertices = len(borders.vertices)
    starts = borders.territory * n_vertices + borders.start
    ends = borders.territory * n_vertices + borders.end
    by_start = np.argsort(starts)
    return np.asarray(by_start[np.searchsorted(starts[by_start], ends)])


def ring_coordinates(
    borders: Borders, order: IntArray, offsets: IntArray
) -> tuple[FloatArray, IntArray]:
    """Closed rings as one list of vertices, (m, 2) lon and lat, and the ring of each vertex."""
    ring_of_edge = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    points = np.stack([borders.vertices[borders.start[order]], borders.bends[order]], axis=1)
    present = ~np.isnan(points[:, :, 0])
    edge, _ = np.nonzero(present)
    ring = ring_of_edge[edge]
    coordinates = points[present]
    # Each ring ends with the vertex it began with.
    firsts = np.flatnonzero(np.diff(ring, prepend=-1))
    lasts = np.append(firsts[1:], len(ring))
    return np.insert(coordinates, lasts, coordinates[firsts], axis=0), np.insert(
        ring, lasts, ring[firsts]
    )
