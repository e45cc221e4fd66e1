"""The graph of a cell set: which cells touch, each with its neighbours in circular order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from geo.cells import CellArray, as_cells, neighbour_rings
from geo.errors import CellError

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
    """Links between cells of one set that share an edge; unit ``i`` is ``cells[i]``.

    Raises
    ------
    CellError
        ``cells_not_sorted`` unless the ids rise strictly; ``not_a_cell``.
    """
    ids = as_cells(cells)
    refuse_unsorted(ids)
    positions = positions_in(ids, neighbour_rings(ids))
    present = positions >= 0
    indptr = np.zeros(len(ids) + 1, dtype=np.int32)
    np.cumsum(present.sum(axis=1), out=indptr[1:])
    return Adjacency(indptr, positions[present].astype(np.int32))


def components(adjacency: Adjacency) -> IndexArray:
    """Connected component of each unit, (n_units,), numbered from 0 by their first unit."""
    n = adjacency.n_units
    links = np.ones(len(adjacency.indices), dtype=np.int8)
    graph = csr_array((links, adjacency.indices, adjacency.indptr), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, dtype=np.int32)


def positions_in(ids: CellArray, wanted: CellArray) -> npt.NDArray[np.int64]:
    """Where each wanted id stands in the sorted ids, -1 where it does not; shape of ``wanted``."""
    if len(ids) == 0:
        return np.full(wanted.shape, -1, dtype=np.int64)
    places = np.searchsorted(ids, wanted)
    places[places == len(ids)] = 0
    return np.where(ids[places] == wanted, places, -1)


def refuse_unsorted(ids: CellArray) -> None:
    """Refuse a cell set whose ids do not rise strictly (``cells_not_sorted``)."""
    falls = np.flatnonzero(ids[1:] <= ids[:-1])
    if len(falls):
        raise CellError(
            "cells_not_sorted",
            f"cells must rise strictly; they do not after index {int(falls[0])}",
            index=int(falls[0]),
        )
