"""Balanced centroidal power diagrams: centres and prices that share the activity out.

Every point goes to the territory with the least squared distance less price; prices are
such that each territory gets its share, centres are the centroids of what they get
(Aurenhammer, Hoffmann and Aronov, Algorithmica 20, 1998; Cohen-Addad, Klein and Young,
SIGSPATIAL 2018, arXiv:1710.03358). The prices maximise a concave dual, smoothed by entropy
(Peyré and Cuturi, Computational Optimal Transport, 2019, sections 4.4 and 5.3), by
Newton's method with a line search (research/solver.md, section 4, with damping instead).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.coarsening import Points
from balancing.compiled import compiled
from balancing.conjugate_gradients import solve_symmetric
from balancing.dual import Pass, look

N_LLOYD_STEPS = 40
# Smoothing as a part of the squared spacing of centres: falls from the first to the second
# value. At 0.01 heavy units make the dual stair-shaped and Newton stalls.
WARM, COOL = 0.3, 0.03
COOLED_AT = 0.6
PASSES, MANY_PASSES = 30, 60
APPROACH = (100.0, 30.0, 10.0, 3.0)
LOOSE, TIGHT = 1e-2, 1e-4
# A line search that has come down to this part of a step is stuck on a heavy unit.
SHORTEST_STEP = 1e-3


class Anchors(NamedTuple):
    """Where centres are fixed, or drawn to.

    Attributes
    ----------
    places
        (k, 2) coordinates.
    pull
        (k,) 0 for a free centre, 1 for one that is this place.
    """

    places: FloatArray
    pull: FloatArray

    def draw(self, centres: FloatArray) -> FloatArray:
        """Return (k, 2) centres as far from their own place as their pull lets them be."""
        drawn: FloatArray = centres + self.pull[:, None] * (self.places - centres)
        return drawn

    def surcharge(self, drawn: FloatArray) -> FloatArray:
        """Return (k,) by how much the cost exceeds the squared distance to the drawn centre.

        That is p (1 - p) |c - h|² everywhere, with c - h = (drawn - h) / (1 - p).
        """
        away = ((drawn - self.places) ** 2).sum(axis=1)
        is_free = self.pull < 1
        cost: FloatArray = np.divide(
            self.pull * away, 1 - self.pull, out=np.zeros_like(away), where=is_free
        )
        return cost


class Diagram(NamedTuple):
    """A power diagram and its fractional cost.

    Attributes
    ----------
    centres
        (k, 2) coordinates.
    prices
        (k,) squared distance each territory is favoured by.
    cost
        Fractional moment of inertia, the basis for choosing between starts.
    residual
        Largest relative deviation of a fractional load from its target.
    """

    centres: FloatArray
    prices: FloatArray
    cost: float
    residual: float


def balanced_power_diagram(
    points: Points,
    targets: FloatArray,
    centres: FloatArray,
    anchors: Anchors,
    should_stop: Callable[[float], bool],
) -> Diagram:
    """Alternate prices (damped Newton) and centres (Lloyd) from the given centres.

    With centroid c, anchor h and pull p the cost (1 - p) |x - c|² + p |x - h|² is the squared
    distance to (1 - p) c + p h and a surcharge that the price takes up: drawn centres need
    no other diagram. `should_stop(fraction)` returning True ends it early with what there is.
    """
    prices = np.zeros(len(targets))
    centres = anchors.draw(centres)
    winner = nearest_territory(points.x, points.y, centres, prices)
    if anchors.pull.any():
        # Given centres are far from balanced: prices come from smoother problems first.
        for factor in APPROACH:
            smoothing = _smoothing(centres, winner, WARM * factor)
            prices, seen = balance(points, targets, centres, prices, smoothing, MANY_PASSES, LOOSE)
    for step in range(N_LLOYD_STEPS):
        cooled = min(step / (COOLED_AT * N_LLOYD_STEPS), 1.0)
        smoothing = _smoothing(centres, winner, WARM * (COOL / WARM) ** cooled)
        is_thorough = step == 0 or step >= N_LLOYD_STEPS - 2
        prices, seen = balance(
            points,
            targets,
            centres,
            prices,
            smoothing,
            MANY_PASSES if is_thorough else PASSES,
            TIGHT if is_thorough else LOOSE,
        )
        winner = seen.winner
        if step < N_LLOYD_STEPS - 1:
            drawn = anchors.draw(_centroids(seen, centres))
            prices += anchors.surcharge(centres) - anchors.surcharge(drawn)
            centres = drawn
        if should_stop((step + 1) / N_LLOYD_STEPS):
            break
    return Diagram(centres, prices, _cost(seen, anchors), _residual(seen, targets))


def balanced_prices(points: Points, targets: FloatArray, centres: FloatArray) -> FloatArray:
    """Return (k,) prices that share the points out over centres that stay where they are."""
    prices = np.zeros(len(targets))
    winner = nearest_territory(points.x, points.y, centres, prices)
    # Given centres are far from balanced: prices come from smoother problems first.
    for factor in (*APPROACH, 1.0, COOL / WARM):
        smoothing = _smoothing(centres, winner, WARM * factor)
        prices, seen = balance(points, targets, centres, prices, smoothing, MANY_PASSES, LOOSE)
        winner = seen.winner
    return prices


def balance(
    points: Points,
    targets: FloatArray,
    centres: FloatArray,
    prices: FloatArray,
    smoothing: FloatArray,
    n_passes: int,
    precision: float,
) -> tuple[FloatArray, Pass]:
    """Return prices under which fractional loads meet the targets, and the last look.

    Newton with a line search on the misplaced load (Kitagawa, Mérigot and Thibert, Journal
    of the EMS 21, 2019, algorithm 1): full steps diverge, because a territory that has lost
    all its points has no curvature, and capping price by price bends the direction, because
    the territories of a city have to become dearer together.
    """
    seen = look(points, targets, centres, prices, smoothing)
    length = 1.0
    for _ in range(n_passes):
        if _residual(seen, targets) < precision or length < SHORTEST_STEP:
            break
        diagonal = np.diag(seen.hessian)
        ridge = 1e-6 * diagonal + 1e-9 * diagonal.mean() + 1e-12
        step = solve_symmetric(seen.hessian + np.diag(ridge), targets - seen.loads)
        trial = look(points, targets, centres, prices + length * step, smoothing)
        if _misplaced(trial, targets) < (1 - 0.1 * length) * _misplaced(seen, targets):
            prices, seen, length = prices + length * step, trial, min(2 * length, 1.0)
        else:
            length /= 3
    return prices - prices.mean(), seen


def _misplaced(seen: Pass, targets: FloatArray) -> float:
    return float(np.abs(seen.loads - targets).sum())


def _residual(seen: Pass, targets: FloatArray) -> float:
    return float(np.abs(seen.loads / targets - 1).max())


def _cost(seen: Pass, anchors: Anchors) -> float:
    safe = np.maximum(seen.loads, 1e-300)
    centroids = seen.moments[:, :2] / safe[:, None]
    own = seen.moments[:, 2] - safe * (centroids**2).sum(axis=1)
    away = safe * ((centroids - anchors.places) ** 2).sum(axis=1)
    return float((own + anchors.pull * away).sum())


def _centroids(seen: Pass, centres: FloatArray) -> FloatArray:
    is_used = seen.loads > 1e-9
    safe = np.where(is_used, seen.loads, 1.0)
    return np.where(is_used[:, None], seen.moments[:, :2] / safe[:, None], centres)


def _spacing(centres: FloatArray) -> FloatArray:
    """(k,) squared distance of each centre to the nearest other, with a floor."""
    squares = ((centres[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    nearest: FloatArray = squares.min(axis=1)
    floor = 1e-6 * float(nearest.mean()) + 1e-12
    return nearest.clip(min=floor)


def _smoothing(centres: FloatArray, winner: IntArray, part: float) -> FloatArray:
    """(n_points,) smoothing of each point, from the spacing of centres where it lies.

    One smoothing for all would melt the centres of a dense city together, or leave the
    country without curvature.
    """
    smoothing: FloatArray = part * _spacing(centres)[winner]
    return smoothing


@compiled
def nearest_territory(
    x: FloatArray, y: FloatArray, centres: FloatArray, prices: FloatArray
) -> IntArray:
    """Return (n,) territory with the least squared distance less price."""
    nearest = np.empty(len(x), np.int32)
    for point in range(len(x)):
        least = np.inf
        best = 0
        for territory in range(len(prices)):
            dx, dy = x[point] - centres[territory, 0], y[point] - centres[territory, 1]
            cost = dx * dx + dy * dy - prices[territory]
            if cost < least:
                least = cost
                best = territory
        nearest[point] = best
    return nearest
