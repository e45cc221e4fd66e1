"""Walks round the units of a cell set, edge by edge, also where resolutions meet.

The logical descendants of a cell at a finer resolution fill a patch that touches the patches of
the cell's neighbours and no others; three edges of the next resolution run along each edge of the
cell, from vertex to vertex of it. (So it is on all cells of resolutions 0 to 4, pentagons
included, and the grid is self-similar below: ``tests/geo/test_walks.py``.) An edge beside finer
units can therefore be replaced by three, as deep as needed there and no deeper, and the walk
round a unit stays a closed line.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from geo.cell_ids import ancestors, descendants, distinct, resolutions
from geo.cell_sets import FINER, distinct_resolutions, owners_of, positions_in
from geo.cells import CellArray, IntArray, neighbour_rings


@dataclass(frozen=True, slots=True)
class Edges:
    """Cell edges with a unit on the left, counter-clockwise round each unit.

    Attributes
    ----------
    unit : (n_edges,)
        Unit on the left.
    inner, outer : (n_edges,) uint64
        The cells left and right of the edge, of one resolution; ``inner`` is the unit or a
        logical descendant of it.
    before, after : (n_edges,) uint64
        The neighbours of ``inner`` before and after ``outer``: third cells at the edge's start
        and end.
    owner : (n_edges,)
        Unit that ``outer`` is or lies in, else `geo.cell_sets.ABSENT` or `FINER`.
    """

    unit: IntArray
    inner: CellArray
    outer: CellArray
    before: CellArray
    after: CellArray
    owner: IntArray

    def taken(self, rows: npt.NDArray[np.bool_] | IntArray) -> Edges:
        """Some of the edges, in the order of the rows."""
        return Edges(*(getattr(self, field.name)[rows] for field in fields(self)))

    def followed_by(self, others: Edges) -> Edges:
        """These edges, then the others."""
        pairs = ((getattr(self, field.name), getattr(others, field.name)) for field in fields(self))
        return Edges(*(np.concatenate(pair) for pair in pairs))


def ring_edges(
    cells: CellArray, rings: CellArray, owners: IntArray, chosen: npt.NDArray[np.bool_]
) -> Edges:
    """The chosen edges of cells, unit ``i`` being ``cells[i]``; other arguments are (n, 6)."""
    unit, position = np.nonzero(chosen & (rings != 0))
    n_neighbours = np.where(rings[unit, 5] == 0, 5, 6)
    return Edges(
        unit=unit,
        inner=cells[unit],
        outer=rings[unit, position],
        before=rings[unit, (position - 1) % n_neighbours],
        after=rings[unit, (position + 1) % n_neighbours],
        owner=owners[unit, position],
    )


def refined(ids: CellArray, edges: Edges) -> Edges:
    """The edges, those beside finer units replaced by finer ones until no owner is `FINER`.

    The order of the walk is kept.
    """
    levels = distinct_resolutions(ids)
    for level in range(levels[0], levels[-1]) if levels else ():
        coarse = np.flatnonzero(edges.owner == FINER)
        coarse = coarse[resolutions(edges.outer[coarse]) == level]
        if len(coarse):
            finer, origin = _along(ids, edges.taken(coarse), level)
            kept = np.delete(np.arange(len(edges.unit)), coarse)
            places = np.argsort(np.concatenate([kept, coarse[origin]]), kind="stable")
            edges = edges.taken(kept).followed_by(finer).taken(places)
    return edges


def _along(ids: CellArray, edges: Edges, level: int) -> tuple[Edges, IntArray]:
    """The three finer edges along each edge of one resolution, in order, and whose they are."""
    inners, outers = distinct(edges.inner), distinct(edges.outer)
    children = descendants(inners, level + 1)
    rings = neighbour_rings(children)
    # An edge is named by the cells on its two sides; its finer ones have children of both there.
    names = positions_in(inners, edges.inner) * len(outers) + positions_in(outers, edges.outer)
    inside = positions_in(inners, ancestors(children, level))[:, None]
    across = positions_in(outers, _parents(rings, level))
    candidates = np.where(across >= 0, inside * len(outers) + across, -1)
    by_name = np.argsort(names)
    places = np.minimum(np.searchsorted(names[by_name], candidates), len(names) - 1)
    chosen = names[by_name][places] == candidates
    origin = by_name[places[chosen]]
    finer = ring_edges(children, rings, owners_of(ids, rings), chosen)
    order = np.lexsort((_rank(finer, level), origin))
    return replace(finer, unit=edges.unit[origin]).taken(order), origin[order]


def _rank(edges: Edges, level: int) -> IntArray:
    """0, 1 or 2: where each edge stands among the three along one of a coarser resolution.

    At the ends of the coarse edge a third cell of that resolution comes in.
    """
    inner, outer = ancestors(edges.inner, level), ancestors(edges.outer, level)
    before, after = ancestors(edges.before, level), ancestors(edges.after, level)
    is_first = (before != inner) & (before != outer)
    is_last = (after != inner) & (after != outer)
    return np.where(is_first, 0, np.where(is_last, 2, 1))


def _parents(rings: CellArray, level: int) -> CellArray:
    parents = np.zeros_like(rings)
    parents[rings != 0] = ancestors(rings[rings != 0], level)
    return parents
