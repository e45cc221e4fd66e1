"""Connected pieces of the land around customers, and what they hold, by distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.adjacency import IndexArray, build_adjacency
from geo.cells import CellArray
from geo.sphere import FloatArray
from geo.surroundings import Surroundings


class Pieces:
    """The cells within each distance of customers as a graph.

    With growing distance cells are only added, so pieces merge and their work grows: the share
    held by small pieces never rises, and a search by halving is right.

    Parameters
    ----------
    around
        Occupied cells and the land near them.
    work : (n_occupied,)
        Work of the occupied cells, in the order of their ids.
    least_work
        A piece with less is small.
    """

    def __init__(self, around: Surroundings, work: FloatArray, least_work: float) -> None:
        self._cells = around.cells
        self._distances_m = around.distances_m
        self._work = np.zeros(len(self._cells))
        self._work[around.is_occupied] = work
        self._is_occupied = around.is_occupied
        self._least_work = least_work
        adjacency = build_adjacency(self._cells)
        self._links = np.stack([adjacency.sources(), adjacency.indices])
        self._link_distances_m = self._distances_m[self._links].max(axis=0)

    def n_within(self, distance_m: float) -> int:
        """How many cells lie within a distance."""
        return int(np.count_nonzero(self._distances_m <= distance_m))

    def small_share(self, distance_m: float) -> float:
        """Share of the work in small pieces of the cells within a distance."""
        work = np.bincount(self._labels(distance_m), self._work)
        return float(work[work < self._least_work].sum() / max(self._work.sum(), 1e-300))

    def inhabited(self, distance_m: float) -> tuple[CellArray, int]:
        """The cells within a distance in pieces with customers, and how many pieces those are."""
        labels = self._labels(distance_m)
        inhabited = np.unique(labels[self._is_occupied])
        kept = np.isin(labels, inhabited) & (self._distances_m <= distance_m)
        return self._cells[kept], len(inhabited)

    def _labels(self, distance_m: float) -> IndexArray:
        """Piece of each cell; cells beyond the distance are pieces of their own."""
        links = self._links[:, self._link_distances_m <= distance_m]
        n = len(self._cells)
        ones: npt.NDArray[np.int8] = np.ones(links.shape[1], dtype=np.int8)
        graph = coo_array((ones, (links[0], links[1])), shape=(n, n)).tocsr()
        return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)
