"""Fresh plans: territories that grow from seeds, the lightest first."""

from __future__ import annotations

import numpy as np

from balancing.annealing import RandomState, random_below, random_part
from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled
from balancing.distances import distance
from balancing.problem import Problem

N_RECENTRINGS = 5


@compiled
def fresh_plan(problem: Problem, random: RandomState, is_compact: bool) -> IntArray:
    """Return a plan with every territory connected and not empty.

    Compact: by nearest unit, from seeds that are moved to the middle of what grew from them
    and grown again. Otherwise by random units of the fringe.
    """
    seeds = spread_seeds(problem, random)
    alignment = grow(problem, seeds, random, is_compact)
    if is_compact:
        for _ in range(N_RECENTRINGS):
            recentre(problem, alignment, seeds)
            alignment = grow(problem, seeds, random, is_compact)
    return alignment


@compiled
def spread_seeds(problem: Problem, random: RandomState) -> IntArray:
    """Return (k,) distinct units: those locked, then far ones with preference.

    With a probability in proportion to the squared distance to the nearest seed (Arthur and
    Vassilvitskii, k-means++, SODA 2007).
    """
    n_units, n_territories = len(problem.mass), len(problem.targets)
    seeds = np.full(n_territories, -1, np.int32)
    nearest = np.full(n_units, np.inf)
    for unit in range(n_units):
        if problem.lock[unit] >= 0:
            seeds[problem.lock[unit]] = unit
            note_seed(problem, nearest, unit)
    for territory in range(n_territories):
        if seeds[territory] < 0 and problem.pull[territory] > 0:
            seeds[territory] = nearest_to_anchor(problem, nearest, territory)
            note_seed(problem, nearest, seeds[territory])
    for territory in range(n_territories):
        if seeds[territory] < 0:
            seeds[territory] = far_unit(problem, nearest, random)
            note_seed(problem, nearest, seeds[territory])
    return seeds


@compiled
def note_seed(problem: Problem, nearest: FloatArray, seed: int) -> None:
    """Shorten (n,) squared distances to the nearest seed; -1 marks the seeds themselves."""
    for unit in range(len(nearest)):
        nearest[unit] = min(nearest[unit], distance(problem, seed, unit) ** 2)
    nearest[seed] = -1.0


@compiled
def far_unit(problem: Problem, nearest: FloatArray, random: RandomState) -> int:
    """Draw a unit that is no seed, by its squared distance to the nearest one."""
    total = 0.0
    n_free = 0
    for unit in range(len(nearest)):
        if nearest[unit] >= 0:
            n_free += 1
            total += nearest[unit]
    if not 0 < total < np.inf:
        rank = random_below(random, n_free)
        for unit in range(len(nearest)):
            if nearest[unit] >= 0:
                if rank == 0:
                    return unit
                rank -= 1
    mark = total * random_part(random)
    chosen = -1
    for unit in range(len(nearest)):
        if nearest[unit] >= 0:
            chosen = unit
            mark -= nearest[unit]
            if mark < 0:
                break
    return chosen


@compiled
def nearest_to_anchor(problem: Problem, nearest: FloatArray, territory: int) -> int:
    """Return the unit nearest to the territory's anchor that is no seed."""
    chosen, least = -1, np.inf
    for unit in range(len(nearest)):
        dx = problem.x[unit] - problem.anchor_x[territory]
        dy = problem.y[unit] - problem.anchor_y[territory]
        if nearest[unit] >= 0 and dx * dx + dy * dy < least:
            chosen, least = unit, dx * dx + dy * dy
    return chosen


@compiled
def grow(problem: Problem, seeds: IntArray, random: RandomState, is_compact: bool) -> IntArray:
    """Grow all seeds at once: the lightest territory that can takes a free neighbour."""
    n_units, n_territories = len(problem.mass), len(problem.targets)
    alignment = np.full(n_units, -1, np.int32)
    load = np.zeros(n_territories)
    is_growing = np.ones(n_territories, np.bool_)
    for territory in range(n_territories):
        alignment[seeds[territory]] = territory
        load[territory] = relative_load(problem, seeds[territory], territory)
    fringe = np.empty((n_territories, len(problem.indices)), np.int32)
    n_fringe = np.zeros(n_territories, np.int32)
    for territory in range(n_territories):
        extend_fringe(problem, fringe[territory], n_fringe, territory, seeds[territory])
    for _ in range(n_units - n_territories):
        unit = -1
        while unit < 0:
            lightest = -1
            for territory in range(n_territories):
                if is_growing[territory] and (lightest < 0 or load[territory] < load[lightest]):
                    lightest = territory
            unit = take_from_fringe(
                problem,
                alignment,
                fringe[lightest],
                n_fringe,
                lightest,
                seeds[lightest] if is_compact else -1,
                random,
            )
            is_growing[lightest] = unit >= 0
        alignment[unit] = lightest
        load[lightest] += relative_load(problem, unit, lightest)
        extend_fringe(problem, fringe[lightest], n_fringe, lightest, unit)
    return alignment


@compiled
def relative_load(problem: Problem, unit: int, territory: int) -> float:
    """Return what the unit adds to a territory, summed over the measures."""
    total = 0.0
    for measure in range(problem.activity.shape[1]):
        total += problem.activity[unit, measure] * problem.inverse_targets[territory, measure]
    return total


@compiled
def extend_fringe(
    problem: Problem, fringe: IntArray, n_fringe: IntArray, territory: int, unit: int
) -> None:
    """List the unit's neighbours in a territory's fringe, taken ones and doubles included."""
    for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
        fringe[n_fringe[territory]] = problem.indices[entry]
        n_fringe[territory] += 1


@compiled
def take_from_fringe(
    problem: Problem,
    alignment: IntArray,
    fringe: IntArray,
    n_fringe: IntArray,
    territory: int,
    seed: int,
    random: RandomState,
) -> int:
    """Return the free unit nearest to the seed (any one if the seed is -1), or -1."""
    place = 0
    while place < n_fringe[territory]:
        if alignment[fringe[place]] >= 0:
            n_fringe[territory] -= 1
            fringe[place] = fringe[n_fringe[territory]]
        else:
            place += 1
    if n_fringe[territory] == 0:
        return -1
    if seed < 0:
        return int(fringe[random_below(random, n_fringe[territory])])
    chosen, least = -1, np.inf
    for place in range(n_fringe[territory]):
        away = distance(problem, seed, fringe[place])
        if away < least:
            chosen, least = fringe[place], away
    return chosen


@compiled
def recentre(problem: Problem, alignment: IntArray, seeds: IntArray) -> None:
    """Move each seed to the unit nearest to its territory's middle, unless it is locked."""
    n_territories = len(seeds)
    n_units = np.zeros(n_territories)
    x, y = np.zeros(n_territories), np.zeros(n_territories)
    for unit in range(len(alignment)):
        territory = alignment[unit]
        n_units[territory] += 1
        x[territory] += problem.x[unit]
        y[territory] += problem.y[unit]
    least = np.full(n_territories, np.inf)
    for unit in range(len(alignment)):
        territory = alignment[unit]
        dx = problem.x[unit] - x[territory] / n_units[territory]
        dy = problem.y[unit] - y[territory] / n_units[territory]
        if dx * dx + dy * dy < least[territory]:
            if problem.lock[seeds[territory]] < 0:
                seeds[territory] = unit
            least[territory] = dx * dx + dy * dy
