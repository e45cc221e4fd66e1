"""The plan in force as a start: homes of nodes, and what has to change before any search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.bisection import bisect, centres_of
from balancing.compiled import compiled
from balancing.contiguity import can_leave
from balancing.layout import Layout
from balancing.measures import weighted_counts
from balancing.move_policy import MovePolicy
from balancing.problem import Problem
from balancing.repair import keep_best_pieces, lead_home, make_valid, reattach, split_off


@dataclass(frozen=True, eq=False)
class Homes:
    """Where nodes come from.

    Attributes
    ----------
    home
        (n_nodes,) incumbent territory, of a node of several the one with most work; -1 for
        nodes of new units alone.
    is_fixed
        (n_nodes,) whether a protected unit holds the node at its home.
    factor
        (n_nodes,) highest factor of the price of moving.
    weight
        (n_nodes, b) parts of every limited weight that move when the node leaves home.
    n_units
        (n_nodes,) units that do.
    forced
        (b,) parts of every limited weight that move whatever is done: units of nodes that
        have their home elsewhere, and of closed territories.
    """

    home: IntArray
    is_fixed: BoolArray
    factor: FloatArray
    weight: FloatArray
    n_units: FloatArray
    forced: FloatArray


def homes_of(layout: Layout, work: FloatArray, incumbent: IntArray, policy: MovePolicy) -> Homes:
    """Return the homes of a layout's nodes; `work` (n_units,) decides between several."""
    merged, n_units = layout.merged, len(incumbent)
    home = node_homes(layout, work, incumbent)
    unit_home = home[merged.node]
    is_away = (incumbent >= 0) & (incumbent != unit_home)
    is_closed = layout.closed >= 0
    is_away |= is_closed & (incumbent >= 0) & (incumbent != layout.closed)
    is_at_home = (incumbent >= 0) & ~is_away & ~is_closed
    parts = np.array([limit.parts for limit in policy.limits]).reshape(-1, n_units).T
    protected = np.zeros(n_units, np.bool_) if policy.is_protected is None else policy.is_protected
    factors = np.ones(n_units) if policy.price_factors is None else policy.price_factors
    factor, weight = np.zeros(merged.n_nodes), np.empty((merged.n_nodes, 0))
    np.maximum.at(factor, merged.node, factors)
    if policy.limits:
        weight = merged.sums(parts * is_at_home[:, None])
    return Homes(
        home=home,
        is_fixed=weighted_counts(merged.node, protected & is_at_home, merged.n_nodes) > 0,
        factor=factor,
        weight=weight,
        n_units=weighted_counts(merged.node, is_at_home, merged.n_nodes),
        forced=parts[is_away].sum(axis=0),
    )


def node_homes(layout: Layout, work: FloatArray, incumbent: IntArray) -> IntArray:
    """(n_nodes,) incumbent territory with most work in each node, the lower of equals."""
    node = layout.merged.node
    home = np.full(layout.merged.n_nodes, -1, np.int32)
    known = np.flatnonzero(incumbent >= 0)
    pairs, place = np.unique(np.stack([node[known], incumbent[known]]), axis=1, return_inverse=True)
    sums = np.bincount(place, work[known], pairs.shape[1])
    # The last written wins: light pairs first, and of equal ones the higher territory.
    order = np.lexsort((-pairs[1], sums))
    home[pairs[0, order]] = pairs[1, order]
    return home


def start_from(
    problem: Problem, home: IntArray, is_fixed: BoolArray, prices: FloatArray | None = None
) -> IntArray:
    """Return (n,) valid plan next to the homes: the homes themselves where they are one.

    Nodes without a home, and those outside the piece of their territory that is kept (that
    with most fixed nodes, then the heaviest), join the neighbouring territory of least power
    cost, unless their home has come to touch them meanwhile. A territory without any node is
    split off the one that is heaviest for its target and has enough that is not fixed.
    """
    n_territories = len(problem.targets)
    alignment = np.where(problem.lock >= 0, problem.lock, home)
    centres = home_centres(problem, alignment)
    prices = np.zeros(n_territories) if prices is None else prices
    if not np.any(alignment >= 0):
        guess = bisect(
            problem.x, problem.y, problem.mass, problem.targets[:, 0], np.random.default_rng(0)
        )
        centres = centres_of(problem.x, problem.y, problem.mass, guess, n_territories)
        return make_valid(problem, guess, centres, prices)
    lead_home(problem, alignment, n_territories)
    heavy = problem.mass + is_fixed * problem.mass.sum()
    kept = keep_best_pieces(problem._replace(mass=heavy), alignment, n_territories)
    reattach(problem, kept, centres, prices)
    _send_home(problem, kept, home)
    _fill_empty(problem, kept, home, is_fixed)
    return kept


def home_centres(problem: Problem, alignment: IntArray) -> FloatArray:
    """(k, 2) centroids of the nodes that have a territory; of an empty one the middle."""
    known = alignment >= 0
    n_territories = len(problem.targets)
    mass = weighted_counts(alignment[known], problem.mass[known], n_territories)
    centres = np.zeros((n_territories, 2))
    for column, values in enumerate((problem.x, problem.y)):
        moment = weighted_counts(alignment[known], (problem.mass * values)[known], n_territories)
        centres[:, column] = np.divide(moment, mass, out=np.zeros_like(moment), where=mass > 0)
    pull = problem.pull
    centres[:, 0] += pull * (problem.anchor_x - centres[:, 0])
    centres[:, 1] += pull * (problem.anchor_y - centres[:, 1])
    return centres


@compiled
def _send_home(problem: Problem, alignment: IntArray, home: IntArray) -> None:
    """Give nodes back to their home where it touches them again, in place."""
    mark, queue = np.zeros(len(alignment) + 1, np.int32), np.empty(len(alignment), np.int32)
    has_changed = True
    while has_changed:
        has_changed = False
        for unit in np.flatnonzero((home >= 0) & (home != alignment)):
            is_near = False
            for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
                is_near = is_near or alignment[problem.indices[entry]] == home[unit]
            if is_near and can_leave(problem, alignment, int(unit), mark, queue):
                alignment[unit] = home[unit]
                has_changed = True


def _fill_empty(problem: Problem, alignment: IntArray, home: IntArray, is_fixed: BoolArray) -> None:
    """Split off a part for every empty territory, in place."""
    n_territories = len(problem.targets)
    held = problem._replace(lock=np.where(is_fixed & (problem.lock < 0), home, problem.lock))
    for empty in np.flatnonzero(np.bincount(alignment, minlength=n_territories) == 0):
        n_nodes = np.bincount(alignment, minlength=n_territories)
        loads = weighted_counts(alignment, problem.mass, n_territories)
        ranks = np.where(n_nodes > 1, loads / problem.targets[:, 0], -np.inf)
        trial = alignment
        for donor in np.argsort(-ranks, kind="stable")[: np.count_nonzero(n_nodes > 1)]:
            part = problem.targets[empty, 0] / problem.targets[[donor, empty], 0].sum()
            trial = alignment.copy()
            split_off(held, trial, int(donor), int(empty), part)
            if not np.any(is_fixed & (trial != alignment)):
                break
        alignment[...] = trial
