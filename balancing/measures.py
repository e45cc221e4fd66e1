"""Scores of a plan, from scratch: the twins of what the search keeps incrementally."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.graph import Graph


def weighted_counts(label: IntArray, weight: FloatArray, n_labels: int) -> FloatArray:
    """Return (n_labels,) sum of weights of each label."""
    return np.bincount(label, weights=weight, minlength=n_labels).astype(np.float64, copy=False)


def territory_sums(activity: FloatArray, alignment: IntArray, n_territories: int) -> FloatArray:
    """Return (n_territories, n_measures) activity of each territory."""
    columns = [
        weighted_counts(alignment, activity[:, measure], n_territories)
        for measure in range(activity.shape[1])
    ]
    return np.stack(columns, axis=1)


def imbalance(sums: FloatArray, targets: FloatArray) -> FloatArray:
    """Return (n_territories, n_measures) (actual - target) / target.

    A measure that is zero everywhere has zero targets and counts as balanced.
    """
    return np.divide(sums - targets, targets, out=np.zeros_like(sums), where=targets > 0)


def moments_of_inertia(
    x_m: FloatArray, y_m: FloatArray, weight: FloatArray, alignment: IntArray, n_territories: int
) -> FloatArray:
    """Return (n_territories,) weight times squared metres to the weighted centroid."""
    mass = weighted_counts(alignment, weight, n_territories)
    squares = np.zeros(len(x_m))
    for coordinate in (x_m, y_m):
        moment = weighted_counts(alignment, weight * coordinate, n_territories)
        centre = np.divide(moment, mass, out=np.zeros_like(moment), where=mass > 0)
        squares += (coordinate - centre[alignment]) ** 2
    return weighted_counts(alignment, weight * squares, n_territories)


def cut_edges(graph: Graph, alignment: IntArray) -> int:
    """Return the number of adjacencies whose two units lie in different territories."""
    tails = np.repeat(alignment, np.diff(graph.indptr))
    return int(np.count_nonzero(tails != alignment[graph.indices])) // 2
