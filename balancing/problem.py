"""One connected component in the form the kernels work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.graph import Graph, ring_links
from balancing.moving import Moving, no_homes
from balancing.parameters import Objective

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

# How the kernels know the objectives.
MOMENT_OF_INERTIA, TOTAL_DISTANCE, CUT_EDGES = 0, 1, 2
OBJECTIVE_CODES: dict[Objective, int] = {
    "moment_of_inertia": MOMENT_OF_INERTIA,
    "total_distance": TOTAL_DISTANCE,
    "cut_edges": CUT_EDGES,
}


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
        (n,) what distance is weighted by, with a floor; sums to about k.
    is_carrying
        (n,) whether a unit has primary activity.
    lock
        (n,) territory a unit must be in, or -1; at most one unit per territory, since the
        units locked to one territory come merged.
    activity
        (n, m) scaled so that a mean territory carries 1 of every measure.
    targets
        (k, m) wanted sums in the same scale.
    inverse_targets
        (k, m) their reciprocals, 0 where the target is 0.
    anchor_x, anchor_y, pull
        (k,) place each territory is drawn to and how strongly, 0 for not at all, 1 for a
        centre that is that place.
    edge_weight
        (nnz,) what cutting each listed link counts: the number of edges it stands for, less
        what keeping them together costs.
    cut_price
        Price of an edge weight of 1 beside the objective, in mean territory costs; 0 where
        edges are the objective.
    objective
        One of the codes above.
    max_radius
        Greatest distance of a carrying unit from its territory's centre, infinite for none.
    moving
        Where units come from, and what leaving costs.
    """

    indptr: IntArray
    indices: IntArray
    is_linked: BoolArray
    bfs_limit: int
    x: FloatArray
    y: FloatArray
    mass: FloatArray
    is_carrying: BoolArray
    lock: IntArray
    activity: FloatArray
    targets: FloatArray
    inverse_targets: FloatArray
    anchor_x: FloatArray
    anchor_y: FloatArray
    pull: FloatArray
    edge_weight: FloatArray
    cut_price: float
    objective: int
    max_radius: float
    moving: Moving


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


@dataclass(frozen=True, eq=False)
class Component:
    """One connected component as it comes, in metres and in the instance's measures.

    Attributes
    ----------
    graph
        Which units touch.
    x_m, y_m, weight
        (n,) place, and what distance is weighted by.
    activity
        (n, m) sums.
    edge_weight
        (nnz,) as in `Problem`.
    lock
        (n,) as in `Problem`.
    targets
        (k, m) wanted of each territory in the whole plan.
    anchor_x_m, anchor_y_m, pull
        (k,) as in `Problem`.
    objective, max_radius_m
        As in `Parameters` and `Requirements`.
    """

    graph: Graph
    x_m: FloatArray
    y_m: FloatArray
    weight: FloatArray
    activity: FloatArray
    edge_weight: FloatArray
    lock: IntArray
    targets: FloatArray
    anchor_x_m: FloatArray
    anchor_y_m: FloatArray
    pull: FloatArray
    objective: Objective
    max_radius_m: float

    @property
    def shares(self) -> FloatArray:
        """(k,) part of the component's activity each territory is to have."""
        shares: FloatArray = self.targets[:, 0] / self.targets[:, 0].sum()
        return shares

    @property
    def local_targets(self) -> FloatArray:
        """(k, m) what each territory gets when the component is shared out exactly."""
        return np.outer(self.shares, self.activity.sum(axis=0))


def make_problem(component: Component) -> Problem:
    """Scale a component."""
    graph, shares = component.graph, component.shares
    n_territories = len(shares)
    activity = component.activity.copy()
    if not activity[:, 0].any():
        # Nothing to balance here: equal numbers of units are as good a wish as any.
        activity[:, 0] = 1.0
    totals = activity.sum(axis=0)
    scaled = activity / np.where(totals > 0, totals, 1.0) * n_territories
    targets = np.outer(shares, np.where(totals > 0, n_territories, 0.0))
    part = scaled[:, 0] / n_territories
    # Sums, not BLAS products: those depend on the number of threads in their last bits.
    middle_x, middle_y = np.sum(part * component.x_m), np.sum(part * component.y_m)
    x, y = component.x_m - middle_x, component.y_m - middle_y
    spread = max(float(np.abs(x).max()), float(np.abs(y).max())) or 1.0
    is_fine = graph.is_ring_ordered and graph.n_units > 200 * n_territories
    weight = component.weight if component.weight.any() else np.ones(graph.n_units)
    return Problem(
        indptr=graph.indptr,
        indices=graph.indices,
        is_linked=ring_links(graph.indptr, graph.indices),
        # On fine cells a loop round a hole is rare and its search long, so it is cut short.
        bfs_limit=64 if is_fine else graph.n_units,
        x=x / spread,
        y=y / spread,
        mass=(weight / weight.sum() + MASS_FLOOR / graph.n_units) * n_territories,
        is_carrying=component.activity[:, 0] > 0,
        lock=component.lock,
        activity=scaled,
        targets=targets,
        inverse_targets=np.divide(1.0, targets, out=np.zeros_like(targets), where=targets > 0),
        anchor_x=(component.anchor_x_m - middle_x) / spread,
        anchor_y=(component.anchor_y_m - middle_y) / spread,
        pull=component.pull,
        edge_weight=component.edge_weight,
        cut_price=0.0
        if component.objective == "cut_edges"
        else BORDER_PRICE / np.sqrt(graph.n_units / n_territories),
        objective=OBJECTIVE_CODES[component.objective],
        max_radius=component.max_radius_m / spread,
        moving=no_homes(),
    )


def make_bands(
    component: Component,
    tolerances: FloatArray,
    weights: FloatArray,
    least: FloatArray,
    most: FloatArray,
) -> Bands:
    """Return the bands of a component's territories about its own targets.

    What counts is the global target. Where a component's activity forces its territories out
    of the global band altogether, the band is laid about the local target instead: being
    equally far off is then the best that can be had. Limits (m,) cut the bands down; where
    a limit lies beyond the band it is the band's only point, since limits are hard.
    """
    local = component.local_targets
    is_void = local <= 0
    reach = np.divide(component.targets, local, out=np.ones_like(local), where=~is_void)
    lower = (1 - tolerances) * reach - 1
    upper = (1 + tolerances) * reach - 1
    safe = np.where(is_void, 1.0, local)
    lower, upper = (np.clip(bound, least / safe - 1, most / safe - 1) for bound in (lower, upper))
    is_out = (lower > 0) | (upper < 0)
    lower = np.where(is_out, -tolerances, lower)
    upper = np.where(is_out, tolerances, upper)
    return Bands(np.minimum(lower + BAND_SLACK, 0.0), np.maximum(upper - BAND_SLACK, 0.0), weights)
