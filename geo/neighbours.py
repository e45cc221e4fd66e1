"""How far apart neighbouring points are: the density that travel time depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt

from geo.distance import arcs_m
from geo.errors import CoordinateError
from geo.sphere import FloatArray, checked_points, unit_vectors

IntArray = npt.NDArray[np.int64]
# Some at a time: the answers for all would take three times the memory of the tree.
POINTS_AT_ONCE = 20_000


def mean_neighbour_distance_m(
    lon: npt.ArrayLike, lat: npt.ArrayLike, k: int = 4, weights: npt.ArrayLike | None = None
) -> FloatArray:
    """Mean great-circle distance from each point to its k nearest other points, (n,) metres.

    With ``weights`` (visit frequencies) the mean is weighted by those of the neighbours, and
    plain where all of them are zero. Fewer than k others count as they are; a point alone has
    no travel, 0 m. Coincident points are others: two at one address are 0 m apart.

    This is g of the workload model, docs/workload.md.

    Raises
    ------
    CoordinateError
        Bad points; ``bad_weights`` for weights that are negative, not finite or too few.
    ValueError
        ``k`` below 1.
    """
    if k < 1:
        raise ValueError(f"k = {k} neighbours: at least one is needed")
    lon, lat = checked_points(lon, lat)
    found = np.zeros(len(lon))
    tree = NeighbourTree(unit_vectors(lon, lat), _checked_weights(weights, len(lon)))
    every = np.arange(len(lon))
    blocks = (every[at : at + POINTS_AT_ONCE] for at in range(0, len(lon), POINTS_AT_ONCE))
    for which, distance_m in tree.mean_distances_m(blocks, k):
        found[which] = distance_m
    return found


class NeighbourTree:
    """Points among which neighbours are looked for; keeps both arrays and an index of 8 bytes each.

    Parameters
    ----------
    points
        (n, 3) unit vectors, C-contiguous.
    weights
        (n,) weights, finite and at least 0.
    """

    def __init__(self, points: FloatArray, weights: FloatArray) -> None:
        # Half of what a command line takes to start would be this import, and few need it.
        from sklearn.neighbors import KDTree

        self._points = points
        self._weights = weights
        # Chords through the Earth have the order of arcs along it, and a tree of them answers fifty
        # times faster than one of haversines (0.4 against 20 CPU seconds for 100,000 points).
        self._tree = KDTree(points) if len(points) > 1 else None

    def mean_distances_m(
        self, blocks: Iterable[IntArray], k: int, threads: int = 1
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield the mean distances of `mean_neighbour_distance_m` of some points, block by block.

        ``blocks`` holds indices of points; an answer takes some 300 bytes per index and thread.
        """
        with ThreadPoolExecutor(threads) as pool:
            # As many ahead as are worked on: who takes the answers may be slower.
            blocks = iter(blocks)
            while some := list(islice(blocks, threads)):
                yield from zip(
                    some, pool.map(lambda block: self._block(block, k), some), strict=True
                )

    def _block(self, which: IntArray, k: int) -> FloatArray:
        if self._tree is None or len(which) == 0:
            return np.zeros(len(which))
        # One more than k: the nearest of the points is usually the point itself.
        n_asked = min(k + 1, len(self._points))
        chords, neighbours = self._tree.query(self._points[which], k=n_asked)
        others = _without_self(neighbours, which)
        shape = (len(which), n_asked - 1)
        return _weighted_mean(
            arcs_m(chords[others].reshape(shape)),
            self._weights[neighbours[others]].reshape(shape),
        )


def _without_self(neighbours: IntArray, which: IntArray) -> npt.NDArray[np.bool_]:
    """Which of the neighbours to keep: all but the point itself, or but the last.

    Among more than k coincident points the tree may leave out the point itself; the farthest
    found goes then, which is at 0 m as well.
    """
    is_self = neighbours == which[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    return np.asarray(~is_self)


def _weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, 1.0)
    return np.asarray((values * weights).sum(axis=1) / weights.sum(axis=1))


def _checked_weights(weights: npt.ArrayLike | None, n_points: int) -> FloatArray:
    if weights is None:
        return np.ones(n_points)
    checked = np.asarray(weights, dtype=np.float64)
    if checked.shape != (n_points,) or not np.all(np.isfinite(checked) & (checked >= 0)):
        raise CoordinateError(
            "bad_weights", f"{n_points} finite weights of at least 0 are needed, one per point"
        )
    return checked
