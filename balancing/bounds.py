"""A lower bound of the objective by transport: what the same loads would cost undivided.

Let every unit be split at will, forget that territories are connected, and keep only the
centres and the weight each territory has: what is left is a transport problem, and every
plan with these centres and loads costs at least its optimum. Any prices bound that optimum
from below (weak duality), so prices need not be exact, only good, and anyone can check the
bound from them: it is the sum over units of weight times the least of (cost - price), plus
the sum over territories of load times price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.coarsening import Points, coarsen, in_square_order
from balancing.compiled import compiled
from balancing.parameters import Objective
from balancing.power_diagram import balance, nearest_territory

# Up to so many pairs of unit and territory the linear programme is solved exactly: 0.3 s.
MOST_PAIRS = 5000
# Smoothings in turn, in squared spacings of centres; the first ones only have to lead into the
# basin, which they do on fewer points. Below the last one Newton stalls on heavy units.
COARSE, FINE = (3.0, 0.3, 0.1), (0.03, 0.01, 0.003, 0.001)
# Where those fail, as they can with given centres far from balance: from smoother still.
SMOOTHER = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
COARSE_PASSES, FINE_PASSES = 60, 12
PRECISION = 1e-4
# A relative misplaced load above this means that prices have not been found.
LOST = 0.5
# The same for distances, in mean spacings, with steps of L-BFGS.
COARSE_DISTANCES, FINE_DISTANCES = ((1.0, 40), (0.3, 40), (0.1, 40), (0.03, 40)), ((0.01, 12),)


class Bound(NamedTuple):
    """A lower bound that can be checked.

    Attributes
    ----------
    value
        No plan with these centres and loads costs less. Rounded down by more than the
        additions can have rounded up.
    prices
        (k,) what proves it: square metres for the moment of inertia, metres for distance.
    """

    value: float
    prices: FloatArray

    def gap(self, objective_value: float) -> float | None:
        """Return how much dearer a plan is, as a part of the bound; None for a bound of 0."""
        return objective_value / self.value - 1 if self.value > 0 else None


def transport_bound(
    x_m: FloatArray,
    y_m: FloatArray,
    weight: FloatArray,
    centre_x_m: FloatArray,
    centre_y_m: FloatArray,
    loads: FloatArray,
    objective: Objective,
    surcharge: FloatArray | None = None,
) -> Bound | None:
    """Return a bound for plans with these centres and loads; None for `cut_edges`.

    Parameters
    ----------
    x_m, y_m
        (n_units,) places.
    weight
        (n_units,) what distances are weighted by.
    centre_x_m, centre_y_m
        (k,) centres; where they are drawn to a given place, the drawn ones.
    loads
        (k,) weight in each territory; they sum to that of the units.
    objective
        `moment_of_inertia` counts weight times squared distance, `total_distance` weight
        times distance; of `cut_edges` transport knows nothing.
    surcharge
        (k,) what a unit of weight costs beside, see `surcharges`; none by default.
    """
    if objective == "cut_edges":
        return None
    is_squared = objective == "moment_of_inertia"
    is_carrying, is_used = weight > 0, loads > 0
    centres = np.stack([centre_x_m, centre_y_m], axis=1)
    prices = np.zeros(len(loads))
    if is_carrying.any():
        units = Points(x_m[is_carrying], y_m[is_carrying], weight[is_carrying])
        prices[is_used] = _prices(units, centres[is_used], loads[is_used], is_squared)
        if not is_used.all():
            prices[~is_used] = _never_taken(units, centres, prices[is_used], is_squared)
    value = dual_value(x_m, y_m, weight, centres, loads, prices, is_squared)
    if surcharge is not None:
        value += float(np.sum(surcharge * loads)) * (1 - 1e-12)
    return Bound(max(value, 0.0), prices)


def surcharges(
    centres: FloatArray, pull: FloatArray, places: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (k, 2) drawn centres and (k,) what a unit of weight costs beside.

    With own centre c, given place h and pull p the cost (1 - p) |x - c|² + p |x - h|² is the
    squared distance to the drawn centre (1 - p) c + p h plus p (1 - p) |c - h|² everywhere.
    """
    away = ((centres - places) ** 2).sum(axis=1)
    drawn = centres + pull[:, None] * (places - centres)
    return drawn, pull * (1 - pull) * away


def dual_value(
    x_m: FloatArray,
    y_m: FloatArray,
    weight: FloatArray,
    centres: FloatArray,
    loads: FloatArray,
    prices: FloatArray,
    is_squared: bool,
) -> float:
    """Return what the prices prove, rounded down.

    A sum of n terms is off by less than n units in the last place of the sum of their sizes
    (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2).
    """
    value, size = _hard_dual(x_m, y_m, weight, centres, prices, is_squared)
    value += float(np.sum(loads * prices))
    size += float(np.sum(loads * np.abs(prices)))
    n_terms = len(x_m) + len(loads) + 16
    return value - n_terms * float(np.finfo(np.float64).eps) * size


@compiled
def _hard_dual(
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    centres: FloatArray,
    prices: FloatArray,
    is_squared: bool,
) -> tuple[float, float]:
    """Sum over units of weight times least (cost - price), and of the sizes of the terms."""
    value = 0.0
    size = 0.0
    for unit in range(len(x)):
        least = np.inf
        of_terms = 0.0
        for territory in range(len(prices)):
            dx, dy = x[unit] - centres[territory, 0], y[unit] - centres[territory, 1]
            cost = dx * dx + dy * dy
            if not is_squared:
                cost = np.sqrt(cost)
            if cost - prices[territory] < least:
                least = cost - prices[territory]
                of_terms = cost + abs(prices[territory])
        value += weight[unit] * least
        size += weight[unit] * of_terms
    return value, size


def _never_taken(units: Points, centres: FloatArray, prices: FloatArray, is_squared: bool) -> float:
    """Return a price so low that no unit is nearest to a territory that has it."""
    all_x = np.concatenate([units.x, centres[:, 0]])
    all_y = np.concatenate([units.y, centres[:, 1]])
    farthest = float(np.hypot(np.ptp(all_x), np.ptp(all_y)))
    return float(prices.min()) - (farthest**2 if is_squared else farthest)


def _prices(units: Points, centres: FloatArray, loads: FloatArray, is_squared: bool) -> FloatArray:
    """(k,) prices that are good, or the best there are; found in scaled units."""
    k = len(loads)
    if k == 1:
        return np.zeros(1)
    total = units.mass.sum()
    middle = np.array([np.sum(units.mass * units.x), np.sum(units.mass * units.y)]) / total
    spread = max(float(np.abs(units.x - middle[0]).max()), float(np.abs(units.y - middle[1]).max()))
    spread = spread or 1.0
    scaled = Points(
        (units.x - middle[0]) / spread, (units.y - middle[1]) / spread, units.mass / total * k
    )
    places, targets = (centres - middle) / spread, loads / loads.sum() * k
    if len(units.x) * k <= MOST_PAIRS:
        found = _by_linear_programme(scaled, places, targets, is_squared)
    elif is_squared:
        found = _by_newton(scaled, places, targets)
    else:
        found = _by_gradients(scaled, places, targets)
    return found * (spread**2 if is_squared else spread)


def _value(
    units: Points, centres: FloatArray, targets: FloatArray, prices: FloatArray, is_squared: bool
) -> float:
    return dual_value(units.x, units.y, units.mass, centres, targets, prices, is_squared)


def _by_linear_programme(
    units: Points, centres: FloatArray, targets: FloatArray, is_squared: bool
) -> FloatArray:
    """(k,) exact prices: the dual values of the territories' rows."""
    # Half a second to import, and large instances do not need it.
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, k = len(units.x), len(targets)
    cost = np.hypot(units.x[:, None] - centres[:, 0], units.y[:, None] - centres[:, 1])
    if is_squared:
        cost **= 2
    rows = vstack(
        [kron(eye_array(n), np.ones((1, k))), kron(np.ones((1, n)), eye_array(k))]
    ).tocsr()
    wanted = np.concatenate([units.mass, targets * (units.mass.sum() / targets.sum())])
    found = linprog(cost.ravel(), A_eq=rows, b_eq=wanted, method="highs-ds")
    if found.status != 0:
        return np.zeros(k)
    prices: FloatArray = np.asarray(found.eqlin.marginals[n:], dtype=np.float64)
    return prices


def _by_newton(units: Points, centres: FloatArray, targets: FloatArray) -> FloatArray:
    """(k,) prices from the smoothed dual, less and less smooth, on fewer points at first."""
    k = len(targets)
    points = coarsen(units.x, units.y, units.mass, k)
    prices, misplaced = _led_in(points, centres, targets, COARSE)
    if misplaced > LOST:
        prices, misplaced = _led_in(points, centres, targets, SMOOTHER)
    # Points that follow one another must lie near each other: `look` makes use of that.
    order = in_square_order(units.x, units.y)
    fine = Points(units.x[order], units.y[order], units.mass[order])
    best, most = prices, _value(units, centres, targets, prices, True)
    for part in FINE:
        nearest = nearest_territory(fine.x, fine.y, centres, prices)
        smoothing = _local_smoothing(centres, nearest, part)
        prices, _ = balance(fine, targets, centres, prices, smoothing, FINE_PASSES, PRECISION)
        value = _value(units, centres, targets, prices, True)
        if value > most:
            best, most = prices, value
    return best


def _led_in(
    points: Points, centres: FloatArray, targets: FloatArray, parts: tuple[float, ...]
) -> tuple[FloatArray, float]:
    """(k,) prices of the last of several smoothings, and the largest relative misplaced load."""
    prices = np.zeros(len(targets))
    misplaced = np.inf
    nearest = nearest_territory(points.x, points.y, centres, prices)
    for part in parts:
        smoothing = _local_smoothing(centres, nearest, part)
        prices, seen = balance(
            points, targets, centres, prices, smoothing, COARSE_PASSES, PRECISION
        )
        nearest = seen.winner
        misplaced = float(np.abs(seen.loads / targets - 1).max())
    return prices, misplaced


def _local_smoothing(centres: FloatArray, nearest: IntArray, part: float) -> FloatArray:
    """(n_points,) part of the squared spacing of centres where each point lies."""
    squares = _between(centres) ** 2
    spacing = squares.min(axis=1)
    smoothing: FloatArray = part * spacing.clip(min=1e-6 * spacing.mean() + 1e-12)[nearest]
    return smoothing


def _between(centres: FloatArray) -> FloatArray:
    """(k, k) distances from centre to centre, infinite to itself."""
    dx = centres[:, None, 0] - centres[None, :, 0]
    dy = centres[:, None, 1] - centres[None, :, 1]
    away: FloatArray = np.hypot(dx, dy)
    np.fill_diagonal(away, np.inf)
    return away


def _by_gradients(units: Points, centres: FloatArray, targets: FloatArray) -> FloatArray:
    """(k,) prices for distances, from the smoothed dual by L-BFGS."""
    from scipy.optimize import minimize

    spacing = max(float(_between(centres).min(axis=1).mean()), 1e-6)
    coarse = coarsen(units.x, units.y, units.mass, len(targets))
    best = prices = np.zeros(len(targets))
    most = _value(units, centres, targets, prices, False)
    stages = [(coarse, *stage) for stage in COARSE_DISTANCES]
    for points, part, n_steps in (*stages, *((units, *stage) for stage in FINE_DISTANCES)):

        def negative(
            prices: FloatArray, points: Points = points, smoothing: float = part * spacing
        ) -> tuple[float, FloatArray]:
            value, loads = _soft_distance_dual(points, centres, prices, smoothing)
            return -value - float(np.sum(targets * prices)), loads - targets

        found = minimize(
            negative, prices, jac=True, method="L-BFGS-B", options={"maxiter": n_steps}
        )
        prices = found.x - found.x.mean()
        value = _value(units, centres, targets, prices, False)
        if value > most:
            best, most = prices, value
    return best


@compiled
def _soft_distance_dual(
    units: Points, centres: FloatArray, prices: FloatArray, smoothing: float
) -> tuple[float, FloatArray]:
    """Sum over units of mass times the soft least of (distance - price), and the soft loads."""
    k = len(prices)
    loads = np.zeros(k)
    score = np.empty(k)
    value = 0.0
    for unit in range(len(units.x)):
        highest = -np.inf
        for territory in range(k):
            dx = units.x[unit] - centres[territory, 0]
            dy = units.y[unit] - centres[territory, 1]
            score[territory] = prices[territory] - np.sqrt(dx * dx + dy * dy)
            highest = max(highest, score[territory])
        total = 0.0
        for territory in range(k):
            gain = (score[territory] - highest) / smoothing
            # Less than 1e-9 of a unit is not worth its exponential.
            score[territory] = np.exp(gain) if gain > -20.0 else 0.0
            total += score[territory]
        for territory in range(k):
            loads[territory] += units.mass[unit] * score[territory] / total
        value -= units.mass[unit] * (highest + smoothing * np.log(total))
    return value, loads
