"""The smoothed dual of a power diagram: who gets which part of which point, at what slope."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.coarsening import Points
from balancing.compiled import compiled

# Beyond this many smoothings below the best a part is under 1e-5 and not worth its exp.
REACH = 12.0
# Points looked at together; shorter runs rule out more territories but cost more to set up.
RUN = 32


class Pass(NamedTuple):
    """One look at all points under given centres and prices.

    Attributes
    ----------
    value
        (1,) smoothed dual, to be minimised in the prices.
    loads
        (k,) fractional loads.
    moments
        (k, 3) load times x, y, x² + y².
    hessian
        (k, k) of the value in the prices.
    winner
        (n_points,) territory with the largest part of each point.
    """

    value: FloatArray
    loads: FloatArray
    moments: FloatArray
    hessian: FloatArray
    winner: IntArray


@compiled
def look(
    points: Points,
    targets: FloatArray,
    centres: FloatArray,
    prices: FloatArray,
    smoothing: FloatArray,
) -> Pass:
    """Share out every point by softmax and collect value, loads, moments and curvature.

    Runs of points are near each other (see `coarsen`), so most territories can be ruled out
    for a whole run at once.
    """
    n_territories = len(prices)
    n_points = len(points.x)
    found = Pass(
        np.array([-np.sum(targets * prices)]),
        np.zeros(n_territories),
        np.zeros((n_territories, 3)),
        np.zeros((n_territories, n_territories)),
        np.empty(n_points, np.int32),
    )
    candidates = np.empty(n_territories, np.int32)
    active = np.empty(n_territories, np.int32)
    score = np.empty(n_territories)
    for first in range(0, n_points, RUN):
        last = min(first + RUN, n_points)
        n_candidates = _candidates(
            points, centres, prices, smoothing, first, last, candidates, score
        )
        for point in range(first, last):
            _share_out(
                points,
                centres,
                prices,
                smoothing,
                point,
                candidates[:n_candidates],
                score,
                active,
                found,
            )
    for one in range(n_territories):
        for other in range(one):
            found.hessian[other, one] = found.hessian[one, other]
    return found


@compiled
def _candidates(
    points: Points,
    centres: FloatArray,
    prices: FloatArray,
    smoothing: FloatArray,
    first: int,
    last: int,
    candidates: IntArray,
    score: FloatArray,
) -> int:
    """List the territories that can have a part in any of the points; return how many.

    The difference of two scores is linear in the place, so over a disc of radius r it grows
    by at most 2 r times the distance of the two centres.
    """
    x, y = points.x[first:last].mean(), points.y[first:last].mean()
    radius = np.sqrt(np.max((points.x[first:last] - x) ** 2 + (points.y[first:last] - y) ** 2))
    reach = REACH * np.max(smoothing[first:last])
    best = 0
    for territory in range(len(prices)):
        dx, dy = x - centres[territory, 0], y - centres[territory, 1]
        score[territory] = prices[territory] - dx * dx - dy * dy
        if score[territory] > score[best]:
            best = territory
    count = 0
    for territory in range(len(prices)):
        dx = centres[territory, 0] - centres[best, 0]
        dy = centres[territory, 1] - centres[best, 1]
        growth = 2.0 * radius * np.sqrt(dx * dx + dy * dy)
        if score[territory] + growth >= score[best] - reach:
            candidates[count] = territory
            count += 1
    return count


@compiled
def _share_out(
    points: Points,
    centres: FloatArray,
    prices: FloatArray,
    smoothing: FloatArray,
    point: int,
    candidates: IntArray,
    score: FloatArray,
    active: IntArray,
    found: Pass,
) -> None:
    """Add one point to what a look has found; `score` and `active` are scratch."""
    x, y, mass, epsilon = points.x[point], points.y[point], points.mass[point], smoothing[point]
    highest = -np.inf
    for place in range(len(candidates)):
        territory = candidates[place]
        dx, dy = x - centres[territory, 0], y - centres[territory, 1]
        score[place] = prices[territory] - dx * dx - dy * dy
        if score[place] > highest:
            highest = score[place]
            found.winner[point] = territory
    n_active = 0
    total = 0.0
    for place in range(len(candidates)):
        # The highest itself, too, where prices are so large that the reach is lost in rounding.
        if score[place] >= highest - REACH * epsilon:
            # Compressed in place: what is written has been read.
            active[n_active] = candidates[place]
            score[n_active] = np.exp((score[place] - highest) / epsilon)
            total += score[n_active]
            n_active += 1
    found.value[0] += mass * (highest + epsilon * np.log(total))
    for one in range(n_active):
        territory = active[one]
        share = mass * score[one] / total
        found.loads[territory] += share
        found.moments[territory, 0] += share * x
        found.moments[territory, 1] += share * y
        found.moments[territory, 2] += share * (x * x + y * y)
        found.hessian[territory, territory] += share / epsilon * (1.0 - score[one] / total)
        slope = share / epsilon / total
        for other in range(one):
            # Candidates ascend, so only the lower triangle fills.
            found.hessian[territory, active[other]] -= slope * score[other]
