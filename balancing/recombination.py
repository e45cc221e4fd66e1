"""ReCom: merge two neighbouring territories and cut a random spanning tree of theirs.

After DeFord, Duchin and Solomon, Recombination: a family of Markov chains for redistricting
(Harvard Data Science Review 3(1), 2021), here as a kick between annealing runs.
"""

from __future__ import annotations

import numpy as np

from balancing.annealing import RandomState, random_below
from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.compiled import compiled
from balancing.problem import Bands, Problem

N_TREES = 10


@compiled
def recombine(problem: Problem, bands: Bands, alignment: IntArray, random: RandomState) -> None:
    """Divide two neighbouring territories afresh, in place: the best cut of `N_TREES` trees.

    The best cut has the least excess over the bands. Locked units stay where they must be.
    """
    one, other = neighbouring_territories(problem, alignment, random)
    if one < 0:
        return
    units = np.flatnonzero((alignment == one) | (alignment == other)).astype(np.int32)
    is_inside = np.zeros(len(alignment), np.bool_)
    is_inside[units] = True
    best = np.full(len(alignment), -1, np.int32)
    least = np.inf
    for _ in range(N_TREES):
        parent, order = random_tree(problem, units, is_inside, random)
        least = cut_tree(problem, bands, parent, order, one, other, best, least)
        if least == 0.0:
            break
    if least < np.inf:
        alignment[units] = best[units]


@compiled
def neighbouring_territories(
    problem: Problem, alignment: IntArray, random: RandomState
) -> tuple[int, int]:
    """Draw two territories that touch, or -1, -1 when luck is out."""
    for _ in range(20 * len(alignment)):
        unit = random_below(random, len(alignment))
        first = problem.indptr[unit]
        n_neighbours = problem.indptr[unit + 1] - first
        if n_neighbours == 0:
            continue
        neighbour = problem.indices[first + random_below(random, n_neighbours)]
        if alignment[unit] != alignment[neighbour]:
            return alignment[unit], alignment[neighbour]
    return -1, -1


@compiled
def random_tree(
    problem: Problem, units: IntArray, is_inside: BoolArray, random: RandomState
) -> tuple[IntArray, IntArray]:
    """Return a uniform spanning tree by Wilson's algorithm (STOC 1996) on connected `units`.

    (n,) parent of each unit, -1 at the root; and the units, parents before children.
    """
    parent = np.full(len(is_inside), -1, np.int32)
    is_in_tree = np.zeros(len(is_inside), np.bool_)
    order = np.empty(len(units), np.int32)
    root = units[random_below(random, len(units))]
    is_in_tree[root] = True
    order[0] = root
    n_ordered = 1
    for start in units:
        unit = start
        while not is_in_tree[unit]:
            parent[unit] = random_inside(problem, unit, is_inside, random)
            unit = parent[unit]
        # The walk's last exits make a path without loops.
        unit = start
        first = n_ordered
        while not is_in_tree[unit]:
            is_in_tree[unit] = True
            order[n_ordered] = unit
            n_ordered += 1
            unit = parent[unit]
        order[first:n_ordered] = order[first:n_ordered][::-1].copy()
    return parent, order


@compiled
def random_inside(problem: Problem, unit: int, is_inside: BoolArray, random: RandomState) -> int:
    """Draw a neighbour among the units concerned; there is one."""
    first = problem.indptr[unit]
    n_neighbours = problem.indptr[unit + 1] - first
    while True:
        neighbour = problem.indices[first + random_below(random, n_neighbours)]
        if is_inside[neighbour]:
            return int(neighbour)


@compiled
def cut_tree(
    problem: Problem,
    bands: Bands,
    parent: IntArray,
    order: IntArray,
    one: int,
    other: int,
    best: IntArray,
    least: float,
) -> float:
    """Write the tree's best cut into `best` if its excess is below `least`; return the least.

    Either side of a cut can be either territory; a side must not hold the other's lock.
    """
    n_measures = problem.activity.shape[1]
    below = np.zeros((len(parent), n_measures))
    locks = np.zeros((len(parent), 2), np.int32)
    for place in range(len(order) - 1, -1, -1):
        unit = order[place]
        below[unit] += problem.activity[unit]
        locks[unit, 0] += problem.lock[unit] == one
        locks[unit, 1] += problem.lock[unit] == other
        if place > 0:
            below[parent[unit]] += below[unit]
            locks[parent[unit]] += locks[unit]
    root = order[0]
    cut, lower, upper = -1, one, other
    for unit in order[1:]:
        rest = below[root] - below[unit]
        if locks[unit, 1] == 0 and locks[unit, 0] == locks[root, 0]:
            excess = load_excess(problem, bands, below[unit], one)
            excess += load_excess(problem, bands, rest, other)
            if excess < least:
                least, cut, lower, upper = excess, unit, one, other
        if locks[unit, 0] == 0 and locks[unit, 1] == locks[root, 1]:
            excess = load_excess(problem, bands, below[unit], other)
            excess += load_excess(problem, bands, rest, one)
            if excess < least:
                least, cut, lower, upper = excess, unit, other, one
    if cut >= 0:
        for unit in order:
            is_below = unit == cut or (unit != root and best[parent[unit]] == lower)
            # Parents come first, so whoever hangs on the cut unit follows it.
            best[unit] = lower if is_below else upper
    return least


@compiled
def load_excess(problem: Problem, bands: Bands, loads: FloatArray, territory: int) -> float:
    """Return how far (m,) loads are out of the territory's bands."""
    total = 0.0
    for measure in range(len(loads)):
        inverse = problem.inverse_targets[territory, measure]
        if inverse > 0:
            deviation = loads[measure] * inverse - 1.0
            beyond = max(
                deviation - bands.upper[territory, measure],
                bands.lower[territory, measure] - deviation,
            )
            total += bands.weights[measure] * max(beyond, 0.0)
    return total
