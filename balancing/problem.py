"""One connected component in the form the kernels work on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.graph import Graph, ring_links

# Units without activity still have a place: a hundredth of the mean keeps them tidy at no
# visible price (research/solver.md, section 5.2, phase 5).
MASS_FLOOR = 0.01

# Price of a territory's border, in mean territory inertias, for a border as long as the root
# of its number of units: straightens borders where inertia is indifferent. Measured on oh4k
# and oh28k: 5 to 10 % fewer cut edges for less than 0.2 % more inertia.
BORDER_PRICE = 0.03

# Slack for the order of additions: incremental sums must not end a hair outside a band that
# exact sums are later held against.
BAND_SLACK = 1e-9


class Problem(NamedTuple):
    """Arrays of a component, in units in which a mean territory has activity 1.

    Attributes
    ----------
    indptr, indices, is_linked
        Adjacency, and whether each listed neighbour touches the next one listed.
    bfs_limit
        Units a contiguity search may visit before it gives up.
    x, y
        (n,) coordinates about the middle, in units of the component's spread.
    mass
        (n,) what inertia is made of: primary activity with a floor.
    activity
        (n, m) scaled so that a mean territory carries 1 of every measure.
    targets
        (k, m) wanted sums in the same scale.
    inverse_targets
        (k, m) their reciprocals, 0 where the target is 0.
    cut_price
        Price of a cut edge in mean territory inertias.
    """

    indptr: IntArray
    indices: IntArray
    is_linked: BoolArray
    bfs_limit: int
    x: FloatArray
    y: FloatArray
    mass: FloatArray
    activity: FloatArray
    targets: FloatArray
    inverse_targets: FloatArray
    cut_price: float


class Bands(NamedTuple):
    """Allowed relative deviation from the targets, per territory and measure.

    Attributes
    ----------
    lower, upper
        (k, m) lowest and highest allowed deviation.
    weights
        (m,) price of a breach.
    """

    lower: FloatArray
    upper: FloatArray
    weights: FloatArray

    def narrowed(self, part: float) -> Bands:
        """Bands of `part` the width: room for rounding while the search is still warm."""
        return Bands(self.lower * part, self.upper * part, self.weights)


def make_problem(
    graph: Graph, x_m: FloatArray, y_m: FloatArray, activity: FloatArray, shares: FloatArray
) -> Problem:
    """Scale a component with territories of the given shares (summing to 1)."""
    n_territories = len(shares)
    scaled = activity.copy()
    if not scaled[:, 0].any():
        # Nothing to balance here: equal numbers of units are as good a wish as any.
        scaled[:, 0] = 1.0
    totals = scaled.sum(axis=0)
    scaled = scaled / np.where(totals > 0, totals, 1.0) * n_territories
    targets = np.outer(shares, np.where(totals > 0, n_territories, 0.0))
    weight = scaled[:, 0] / n_territories
    # Sums, not BLAS products: those depend on the number of threads in their last bits.
    x, y = x_m - np.sum(weight * x_m), y_m - np.sum(weight * y_m)
    spread = max(float(np.abs(x).max()), float(np.abs(y).max())) or 1.0
    is_fine = graph.is_ring_ordered and graph.n_units > 200 * n_territories
    return Problem(
        indptr=graph.indptr,
        indices=graph.indices,
        is_linked=ring_links(graph.indptr, graph.indices),
        # On fine cells a loop round a hole is rare and its search long, so it is cut short.
        bfs_limit=64 if is_fine else graph.n_units,
        x=x / spread,
        y=y / spread,
        mass=scaled[:, 0] + MASS_FLOOR * n_territories / graph.n_units,
        activity=scaled,
        targets=targets,
        inverse_targets=np.divide(1.0, targets, out=np.zeros_like(targets), where=targets > 0),
        cut_price=BORDER_PRICE / np.sqrt(graph.n_units / n_territories),
    )


def make_bands(
    local_targets: FloatArray,
    global_targets: FloatArray,
    tolerances: FloatArray,
    weights: FloatArray,
) -> Bands:
    """Return the bands of a component's territories about its own targets.

    What counts is the global target. Where a component's activity forces its territories out
    of the global band altogether, the band is laid about the local target instead: being
    equally far off is then the best that can be had.
    """
    is_void = local_targets <= 0
    reach = np.divide(
        global_targets, local_targets, out=np.ones_like(local_targets), where=~is_void
    )
    lower = (1 - tolerances) * reach - 1
    upper = (1 + tolerances) * reach - 1
    is_out = (lower > 0) | (upper < 0)
    lower = np.where(is_out, -tolerances, lower)
    upper = np.where(is_out, tolerances, upper)
    return Bands(np.minimum(lower + BAND_SLACK, 0.0), np.maximum(upper - BAND_SLACK, 0.0), weights)
