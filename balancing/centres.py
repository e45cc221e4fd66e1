"""Centres of finished territories: centroids and centre units."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled
from balancing.measures import weighted_counts

# Up to this many members every one is tried as the centre; above it a walk downhill decides.
MOST_TRIED = 2000


def centroids(
    x_m: FloatArray, y_m: FloatArray, weight: FloatArray, alignment: IntArray, n_territories: int
) -> tuple[FloatArray, FloatArray]:
    """Return (n_territories,) x and y of weighted centroids; plain ones without weight."""
    mass = weighted_counts(alignment, weight, n_territories)
    safe = np.where(mass[alignment] > 0, weight, 1.0)
    mass = weighted_counts(alignment, safe, n_territories)
    x, y = (
        weighted_counts(alignment, safe * values, n_territories) / mass for values in (x_m, y_m)
    )
    return x, y


def centre_units(
    x_m: FloatArray, y_m: FloatArray, weight: FloatArray, alignment: IntArray, n_territories: int
) -> IntArray:
    """Return (n_territories,) unit of each with the least weighted distance to its members.

    Exact for territories of up to 2,000 units. Larger ones try the 2,000 members next to the
    weighted median: the sum of distances is convex in the plane, so the best is among them
    but for the shape of the grid.
    """
    order = np.argsort(alignment, kind="stable").astype(np.int32)
    bounds = np.searchsorted(alignment[order], np.arange(n_territories + 1))
    found = np.empty(n_territories, np.int32)
    for territory in range(n_territories):
        members = order[bounds[territory] : bounds[territory + 1]]
        found[territory] = members[_medoid(x_m[members], y_m[members], weight[members])]
    return found


def _medoid(x: FloatArray, y: FloatArray, weight: FloatArray) -> int:
    tried = np.arange(len(x))
    if len(x) > MOST_TRIED:
        centre_x, centre_y = _median(x, y, weight)
        squares = (x - centre_x) ** 2 + (y - centre_y) ** 2
        tried = np.sort(np.argpartition(squares, MOST_TRIED)[:MOST_TRIED])
    return int(tried[np.argmin(_distance_sums(x, y, weight, tried.astype(np.int32)))])


def _median(x: FloatArray, y: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Weighted geometric median by Weiszfeld's iteration (1937)."""
    safe = weight if weight.any() else np.ones_like(weight)
    centre_x, centre_y = np.sum(safe * x) / safe.sum(), np.sum(safe * y) / safe.sum()
    floor = 1e-6 * float(np.ptp(x) + np.ptp(y)) or 1.0
    for _ in range(50):
        part = safe / (np.hypot(x - centre_x, y - centre_y) + floor)
        centre_x, centre_y = np.sum(part * x) / part.sum(), np.sum(part * y) / part.sum()
    return float(centre_x), float(centre_y)


@compiled
def _distance_sums(x: FloatArray, y: FloatArray, weight: FloatArray, tried: IntArray) -> FloatArray:
    """(n_tried,) weighted distances from each tried member to all, added up."""
    sums = np.zeros(len(tried))
    for place in range(len(tried)):
        for unit in range(len(x)):
            dx, dy = x[unit] - x[tried[place]], y[unit] - y[tried[place]]
            sums[place] += weight[unit] * np.sqrt(dx * dx + dy * dy)
    return sums
