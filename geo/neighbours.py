"""How far apart neighbouring points are: the density that travel time depends on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo.distance import arcs_m
from geo.errors import CoordinateError
from geo.sphere import FloatArray, checked_points, unit_vectors

POINTS_AT_ONCE = 100_000


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
    # Half of what a command line takes to start would be this import, and few commands need it.
    from sklearn.neighbors import KDTree

    if k < 1:
        raise ValueError(f"k = {k} neighbours: at least one is needed")
    lon, lat = checked_points(lon, lat)
    frequencies = _checked_weights(weights, len(lon))
    if len(lon) < 2:
        return np.zeros(len(lon))
    # Chords through the Earth have the order of arcs along it, and a tree of them answers fifty
    # times faster than one of haversines (0.4 against 20 CPU seconds for 100,000 points).
    points = unit_vectors(lon, lat)
    # One more than k: the nearest of the points is usually the point itself.
    n_asked = min(k + 1, len(lon))
    tree = KDTree(points)
    found = np.empty(len(points))
    # Some at a time: the answers for all would take three times the memory of the tree.
    for start in range(0, len(points), POINTS_AT_ONCE):
        block = slice(start, start + POINTS_AT_ONCE)
        chords, neighbours = tree.query(points[block], k=n_asked)
        others = _without_self(neighbours, start)
        shape = (len(neighbours), n_asked - 1)
        found[block] = _weighted_mean(
            arcs_m(chords[others].reshape(shape)),
            frequencies[neighbours[others]].reshape(shape),
        )
    return found


def _without_self(neighbours: npt.NDArray[np.int64], first: int) -> npt.NDArray[np.bool_]:
    """Which of the neighbours to keep: all but the point itself, or but the last.

    The rows are those of the points from ``first`` on.

    Among more than k coincident points the tree may leave out the point itself; the farthest
    found goes then, which is at 0 m as well.
    """
    is_self = neighbours == np.arange(first, first + len(neighbours))[:, None]
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
