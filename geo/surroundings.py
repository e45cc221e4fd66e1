"""The land around customers, found outwards ring by ring of the cell grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from geo.cells import CellArray, distinct, neighbour_rings, points_from_cells
from geo.distance import arcs_m
from geo.land import is_land
from geo.sphere import FloatArray, unit_vectors


class Surroundings:
    """Occupied cells and the land near them, with distances, extended on demand.

    The distance of a cell is the great-circle distance in metres from its centre to the centre
    of the nearest occupied cell. Cells at sea are walked over but not kept.

    Attributes
    ----------
    cells : (n,) uint64
        Sorted: every occupied cell, and the land cells found.
    is_occupied : (n,)
    distances_m : (n,)
        0 for occupied cells.
    reach_m : float
        All land cells up to this distance are there.
    """

    def __init__(self, occupied: CellArray, max_explored: int) -> None:
        self.cells = occupied
        self.is_occupied = np.ones(len(occupied), dtype=np.bool_)
        self.distances_m = np.zeros(len(occupied))
        self.reach_m = 0.0
        self._tree = KDTree(unit_vectors(*points_from_cells(occupied)))
        self._max_explored = max_explored
        self._explored = occupied
        self._rim = occupied
        self._rim_distances_m = np.zeros(len(occupied))

    def extend(self, reach_m: float) -> bool:
        """Find the cells up to a distance; False when that would explore too many.

        A cell at most ``reach_m`` away has a neighbour nearer to the same customer, so walking
        on from such cells alone misses none.
        """
        while True:
            near = self._rim_distances_m <= reach_m
            if not near.any():
                self.reach_m = reach_m
                return True
            ring = distinct(neighbour_rings(self._rim[near]))
            fresh = ring[~_are_in(ring, self._explored) & (ring != 0)]
            if len(self._explored) + len(fresh) > self._max_explored:
                return False
            self._add(fresh, ~near)

    def _add(self, fresh: CellArray, waiting: npt.NDArray[np.bool_]) -> None:
        lon, lat = points_from_cells(fresh)
        distances_m = self._distances_m(lon, lat)
        self._explored = _merged(self._explored, fresh)
        self._rim = np.concatenate([self._rim[waiting], fresh])
        self._rim_distances_m = np.concatenate([self._rim_distances_m[waiting], distances_m])
        on_land = is_land(lon, lat)
        places = np.searchsorted(self.cells, fresh[on_land])
        self.cells = np.insert(self.cells, places, fresh[on_land])
        self.is_occupied = np.insert(self.is_occupied, places, False)
        self.distances_m = np.insert(self.distances_m, places, distances_m[on_land])

    def _distances_m(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        chords, _ = self._tree.query(unit_vectors(lon, lat))
        return arcs_m(chords)


def _are_in(wanted: CellArray, ids: CellArray) -> npt.NDArray[np.bool_]:
    places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.asarray(ids[places] == wanted)


def _merged(ids: CellArray, fresh: CellArray) -> CellArray:
    return np.insert(ids, np.searchsorted(ids, fresh), fresh)
