"""What is made small, and what a move does to it.

The kernels count in scaled units (see `problem`): mass times squared distance, mass times
distance, or edge weight. `measures` holds the same scores of a finished plan in real units.
"""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled
from balancing.moving import moved_price, moved_price_change
from balancing.problem import MOMENT_OF_INERTIA, TOTAL_DISTANCE, Problem
from balancing.state import State, Tally


@compiled
def total_cost(
    problem: Problem, alignment: IntArray, sums: Tally, centre_x: FloatArray, centre_y: FloatArray
) -> float:
    """Return the objective of a whole plan, and the price of what is away from home."""
    price = moved_price(problem.moving, alignment)
    if problem.objective == MOMENT_OF_INERTIA:
        return price + inertia(problem, sums)
    if problem.objective == TOTAL_DISTANCE:
        total = price
        for unit in range(len(alignment)):
            total += distance_to(problem, centre_x, centre_y, unit, alignment[unit])
        return total
    return price + cut_weight(problem, alignment)


@compiled
def cost_change(problem: Problem, state: State, unit: int, home: int, to: int) -> float:
    """Return the change of the objective when the unit goes from `home` to `to`.

    Exact for inertia and cut edges; for distance the centres stay where they are, which is
    an upper bound. The price of leaving home is part of it.
    """
    price = moved_price_change(problem.moving, unit, home, to)
    if problem.objective == MOMENT_OF_INERTIA:
        return price + inertia_change(problem, state.tally, unit, home, to)
    if problem.objective == TOTAL_DISTANCE:
        there = distance_to(problem, state.centre_x, state.centre_y, unit, to)
        return price + there - distance_to(problem, state.centre_x, state.centre_y, unit, home)
    return price + cut_change(problem, state.alignment, unit, home, to)


@compiled
def distance_to(
    problem: Problem, centre_x: FloatArray, centre_y: FloatArray, unit: int, territory: int
) -> float:
    """Return mass times distance from a unit to a territory's centre."""
    dx, dy = problem.x[unit] - centre_x[territory], problem.y[unit] - centre_y[territory]
    return float(problem.mass[unit] * np.sqrt(dx * dx + dy * dy))


@compiled
def inertia(problem: Problem, sums: Tally) -> float:
    """Return the moment of inertia of all territories.

    Each about its own centre, and by its pull about its anchor: with the moment I about the
    centroid c, mass M and anchor h, the mixture (1 - p) I + p (I + M |c - h|²).
    """
    total = 0.0
    for territory in range(len(sums.mass)):
        mass = sums.mass[territory]
        if mass <= 0:
            continue
        x, y = sums.moment_x[territory] / mass, sums.moment_y[territory] / mass
        total += sums.moment_2[territory] - mass * (x * x + y * y)
        dx, dy = x - problem.anchor_x[territory], y - problem.anchor_y[territory]
        total += problem.pull[territory] * mass * (dx * dx + dy * dy)
    return total


@compiled
def inertia_change(problem: Problem, sums: Tally, unit: int, home: int, to: int) -> float:
    """Return the change of `inertia` when the unit goes from `home` to `to`, in O(1).

    Both centres move; by the parallel-axis theorem a mass v at distance d from the centre of
    a body of mass V adds v V / (v + V) d² when joined and takes v V / (V - v) d² when torn
    off. About an anchor it adds and takes v d² plainly.
    """
    weight, x, y = problem.mass[unit], problem.x[unit], problem.y[unit]
    change = 0.0
    free = 0.0
    body = sums.mass[to]
    if body > 0:
        dx, dy = x - sums.moment_x[to] / body, y - sums.moment_y[to] / body
        free = weight * body / (body + weight) * (dx * dx + dy * dy)
    change += free + problem.pull[to] * (about_anchor(problem, unit, to) - free)
    free = 0.0
    body = sums.mass[home]
    if body > weight and sums.n_units[home] > 1:
        dx, dy = x - sums.moment_x[home] / body, y - sums.moment_y[home] / body
        free = weight * body / (body - weight) * (dx * dx + dy * dy)
    change -= free + problem.pull[home] * (about_anchor(problem, unit, home) - free)
    return float(change)


@compiled
def about_anchor(problem: Problem, unit: int, territory: int) -> float:
    """Return the unit's moment of inertia about a territory's anchor."""
    dx = problem.x[unit] - problem.anchor_x[territory]
    dy = problem.y[unit] - problem.anchor_y[territory]
    return float(problem.mass[unit] * (dx * dx + dy * dy))


@compiled
def cut_weight(problem: Problem, alignment: IntArray) -> float:
    """Return the weight of all links between territories, each edge counted once."""
    total = 0.0
    for unit in range(len(alignment)):
        for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
            if alignment[problem.indices[entry]] != alignment[unit]:
                total += problem.edge_weight[entry]
    return float(total / 2.0)


@compiled
def cut_change(problem: Problem, alignment: IntArray, unit: int, home: int, to: int) -> float:
    """Return the change of `cut_weight` when the unit goes from `home` to `to`."""
    change = 0.0
    for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
        neighbour = alignment[problem.indices[entry]]
        if neighbour == home:
            change += problem.edge_weight[entry]
        elif neighbour == to:
            change -= problem.edge_weight[entry]
    return change
