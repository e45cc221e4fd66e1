"""The graph of a cell set: which cells touch, each with its neighbours in circular order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from geo.cell_sets import (
    ABSENT,
    FINER,
    distinct_resolutions,
    owners_of,
    refuse_overlapping,
    refuse_unsorted,
)
from geo.cells import CellArray, IntArray, as_cells, neighbour_rings, resolutions
from geo.walks import refined, ring_edges

IndexArray = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Adjacency:
    """Neighbour lists of ``n_units`` cells in compressed sparse row form.

    Attributes
    ----------
    indptr : (n_units + 1,) int32
    indices : (n_links,) int32
        Unit ``i`` touches ``indices[indptr[i]:indptr[i + 1]]``, counter-clockwise as seen from
        above. Every link stands twice, once from each side.
    """

    indptr: IndexArray
    indices: IndexArray

    @property
    def n_units(self) -> int:
        return len(self.indptr) - 1

    def sources(self) -> IndexArray:
        """The unit each link starts from, (n_links,)."""
        return np.repeat(np.arange(self.n_units, dtype=np.int32), np.diff(self.indptr))


def build_adjacency(cells: npt.ArrayLike) -> Adjacency:
    """Links between units that share an edge; unit ``i`` is ``cells[i]``.

    Cells may be of several resolutions, none inside another. Two units then touch when, at the
    finer of their two resolutions, a logical descendant of the one (or itself) shares an edge
    with the other; at any resolution finer still the answer is the same. Neighbours stand in the
    order of a walk round the unit along the cells that border it, those finer where they are. One
    met twice stands where it was met first.

    Raises
    ------
    CellError
        ``cells_not_sorted`` unless the ids rise strictly; ``cells_overlap``; ``not_a_cell``.
    """
    ids = as_cells(cells)
    refuse_unsorted(ids)
    refuse_overlapping(ids)
    rings = neighbour_rings(ids)
    owners = owners_of(ids, rings)
    is_mixed = _are_mixed(ids, owners)
    unit, position = np.nonzero((owners >= 0) & ~is_mixed[:, None])
    neighbour = owners[unit, position]
    if is_mixed.any():
        mixed_unit, mixed_neighbour = _mixed_links(ids, rings, owners, is_mixed)
        unit = np.concatenate([unit, mixed_unit])
        by_unit = np.argsort(unit, kind="stable")
        unit, neighbour = unit[by_unit], np.concatenate([neighbour, mixed_neighbour])[by_unit]
    indptr = np.zeros(len(ids) + 1, dtype=np.int32)
    np.cumsum(np.bincount(unit, minlength=len(ids)), out=indptr[1:])
    return Adjacency(indptr, neighbour.astype(np.int32))


def _are_mixed(ids: CellArray, owners: IntArray) -> npt.NDArray[np.bool_]:
    """Which units touch one of another resolution, (n_units,)."""
    if len(distinct_resolutions(ids)) < 2:
        return np.zeros(len(ids), dtype=np.bool_)
    own = resolutions(ids)
    is_other = (owners == FINER) | ((owners >= 0) & (own[owners] != own[:, None]))
    return np.asarray(is_other.any(axis=1))


def _mixed_links(
    ids: CellArray, rings: CellArray, owners: IntArray, chosen: npt.NDArray[np.bool_]
) -> tuple[IntArray, IntArray]:
    """Unit and neighbour of each link of the chosen units, in the order of the walks."""
    edges = refined(ids, ring_edges(ids, rings, owners, chosen[:, None]))
    edges = edges.taken(edges.owner != ABSENT)
    _, firsts = np.unique(edges.unit * len(ids) + edges.owner, return_index=True)
    met_first = edges.taken(np.sort(firsts))
    return met_first.unit, met_first.owner


def components(adjacency: Adjacency) -> IndexArray:
    """Connected component of each unit, (n_units,), numbered from 0 by their first unit."""
    n = adjacency.n_units
    links = np.ones(len(adjacency.indices), dtype=np.int8)
    graph = csr_array((links, adjacency.indices, adjacency.indptr), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, dtype=np.int32)
