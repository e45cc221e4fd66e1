"""Recursive weighted bisection: a balanced first guess, different for every seed."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.measures import weighted_counts

# Standard deviation, in radians, of the turn given to each cutting axis: enough for starts to
# differ, not so much that slabs get slender.
AXIS_JITTER = 0.3


def bisect(
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    shares: FloatArray,
    generator: np.random.Generator,
) -> IntArray:
    """Return (n_points,) territory of each point, each non-empty, by recursive halving.

    Each part is cut across its longer axis (turned by a random angle) so that either side
    carries the activity of the territories that go there. Needs as many points as shares.
    """
    alignment = np.zeros(len(x), dtype=np.int32)
    everything = np.arange(len(x))
    waiting = [(everything, generator.permutation(len(shares)))]
    while waiting:
        points, territories = waiting.pop()
        if len(territories) == 1:
            alignment[points] = territories[0]
            continue
        angle = _long_axis(x[points], y[points], weight[points])
        angle += generator.normal(0.0, AXIS_JITTER)
        along = x[points] * np.cos(angle) + y[points] * np.sin(angle)
        points = points[np.argsort(along, kind="stable")]
        half = len(territories) // 2
        near, far = territories[:half], territories[half:]
        part = shares[near].sum() / shares[territories].sum()
        cut = _cut(weight[points], part, half, len(points) - len(far))
        waiting += [(points[:cut], near), (points[cut:], far)]
    return alignment


def _long_axis(x: FloatArray, y: FloatArray, weight: FloatArray) -> float:
    """Direction of greatest weighted spread, radians."""
    total = weight.sum()
    if total <= 0:
        weight, total = np.ones_like(weight), float(len(weight))
    dx, dy = x - np.sum(weight * x) / total, y - np.sum(weight * y) / total
    skew, stretch = 2 * np.sum(weight * dx * dy), np.sum(weight * (dx * dx - dy * dy))
    return 0.5 * float(np.arctan2(skew, stretch))


def _cut(weight: FloatArray, part: float, lowest: int, highest: int) -> int:
    """How many of the sorted points come nearest to `part` of the weight."""
    covered = np.cumsum(weight)
    wanted = part * covered[-1]
    cut = int(np.searchsorted(covered, wanted)) + 1
    if cut > 1 and wanted - covered[cut - 2] < covered[min(cut, len(covered)) - 1] - wanted:
        cut -= 1
    return min(max(cut, lowest), highest)


def centres_of(
    x: FloatArray, y: FloatArray, weight: FloatArray, alignment: IntArray, n_territories: int
) -> FloatArray:
    """Return (n_territories, 2) weighted centroids; nothing may be massless."""
    mass = weighted_counts(alignment, weight, n_territories)
    moments = [
        weighted_counts(alignment, weight * coordinate, n_territories) for coordinate in (x, y)
    ]
    return np.stack(moments, axis=1) / mass[:, None]
