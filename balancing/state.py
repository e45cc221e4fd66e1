"""A plan under change: alignment, moved accumulators, border."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.compiled import compiled
from balancing.problem import Bands, Problem


class Tally(NamedTuple):
    """What is known of each territory; every move shifts it, `tally` computes it afresh.

    Attributes
    ----------
    n_units
        (k,) units.
    loads
        (k, m) activity.
    mass, moment_x, moment_y, moment_2
        (k,) sums of mass, mass times x, mass times y, mass times (x² + y²).
    """

    n_units: IntArray
    loads: FloatArray
    mass: FloatArray
    moment_x: FloatArray
    moment_y: FloatArray
    moment_2: FloatArray


class State(NamedTuple):
    """Everything a search changes, in place.

    Attributes
    ----------
    alignment
        (n,) territory of each unit.
    tally
        Sums per territory.
    is_open
        (k,) whether a territory takes part in the search.
    border, border_position, border_size
        Units of open territories with a neighbour elsewhere, as a set: (n,) its members
        first, (n,) each unit's place or -1, (1,) how many.
    mark, queue
        Scratch of the contiguity search.
    """

    alignment: IntArray
    tally: Tally
    is_open: BoolArray
    border: IntArray
    border_position: IntArray
    border_size: IntArray
    mark: IntArray
    queue: IntArray


def make_state(problem: Problem, alignment: IntArray, is_open: BoolArray | None = None) -> State:
    """Return a state on a copy of `alignment`; all territories are open unless told."""
    n_units, n_territories = len(alignment), len(problem.targets)
    state = State(
        alignment=alignment.copy(),
        tally=tally(problem, alignment),
        is_open=np.ones(n_territories, bool) if is_open is None else is_open,
        border=np.empty(n_units, np.int32),
        border_position=np.full(n_units, -1, np.int32),
        border_size=np.zeros(1, np.int32),
        mark=np.zeros(n_units + 1, np.int32),
        queue=np.empty(n_units, np.int32),
    )
    fill_border(problem, state)
    return state


@compiled
def tally(problem: Problem, alignment: IntArray) -> Tally:
    """Sum up every territory from scratch."""
    n_territories, n_measures = problem.targets.shape
    n_units = np.zeros(n_territories, np.int32)
    loads = np.zeros((n_territories, n_measures))
    mass = np.zeros(n_territories)
    moment_x = np.zeros(n_territories)
    moment_y = np.zeros(n_territories)
    moment_2 = np.zeros(n_territories)
    for unit in range(len(alignment)):
        territory = alignment[unit]
        n_units[territory] += 1
        for measure in range(n_measures):
            loads[territory, measure] += problem.activity[unit, measure]
        weight, x, y = problem.mass[unit], problem.x[unit], problem.y[unit]
        mass[territory] += weight
        moment_x[territory] += weight * x
        moment_y[territory] += weight * y
        moment_2[territory] += weight * (x * x + y * y)
    return Tally(n_units, loads, mass, moment_x, moment_y, moment_2)


@compiled
def move(problem: Problem, state: State, unit: int, to: int) -> None:
    """Give the unit to territory `to`, keeping sums and border."""
    home = state.alignment[unit]
    sums = state.tally
    sums.n_units[home] -= 1
    sums.n_units[to] += 1
    for measure in range(problem.activity.shape[1]):
        sums.loads[home, measure] -= problem.activity[unit, measure]
        sums.loads[to, measure] += problem.activity[unit, measure]
    weight, x, y = problem.mass[unit], problem.x[unit], problem.y[unit]
    sums.mass[home] -= weight
    sums.mass[to] += weight
    sums.moment_x[home] -= weight * x
    sums.moment_x[to] += weight * x
    sums.moment_y[home] -= weight * y
    sums.moment_y[to] += weight * y
    square = weight * (x * x + y * y)
    sums.moment_2[home] -= square
    sums.moment_2[to] += square
    state.alignment[unit] = to
    refresh_border(problem, state, unit)
    for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
        refresh_border(problem, state, problem.indices[entry])


@compiled
def refresh_border(problem: Problem, state: State, unit: int) -> None:
    """Enter or strike one unit in the border set."""
    home = state.alignment[unit]
    is_border = False
    if state.is_open[home]:
        for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
            if state.alignment[problem.indices[entry]] != home:
                is_border = True
                break
    position = state.border_position[unit]
    size = state.border_size[0]
    if is_border and position < 0:
        state.border[size] = unit
        state.border_position[unit] = size
        state.border_size[0] = size + 1
    elif not is_border and position >= 0:
        last = state.border[size - 1]
        state.border[position] = last
        state.border_position[last] = position
        state.border_position[unit] = -1
        state.border_size[0] = size - 1


@compiled
def fill_border(problem: Problem, state: State) -> None:
    """Enter every border unit."""
    for unit in range(len(state.alignment)):
        refresh_border(problem, state, unit)


def settle(problem: Problem, state: State) -> None:
    """Replace the moved sums by fresh ones, so that rounding cannot pile up."""
    fresh = tally(problem, state.alignment)
    for field in Tally._fields:
        getattr(state.tally, field)[...] = getattr(fresh, field)


@compiled
def inertia(sums: Tally) -> float:
    """Return the moment of inertia of all territories about their own centres."""
    total = 0.0
    for territory in range(len(sums.mass)):
        if sums.mass[territory] > 0:
            moment = sums.moment_x[territory] ** 2 + sums.moment_y[territory] ** 2
            total += sums.moment_2[territory] - moment / sums.mass[territory]
    return total


@compiled
def inertia_change(problem: Problem, sums: Tally, unit: int, home: int, to: int) -> float:
    """Return the change of `inertia` when the unit goes from `home` to `to`, in O(1).

    Both centres move; by the parallel-axis theorem a mass v at distance d from the centre of
    a body of mass V adds v V / (v + V) d² when joined and takes v V / (V - v) d² when torn off.
    """
    weight, x, y = problem.mass[unit], problem.x[unit], problem.y[unit]
    change = 0.0
    body = sums.mass[to]
    if body > 0:
        dx, dy = x - sums.moment_x[to] / body, y - sums.moment_y[to] / body
        change += weight * body / (body + weight) * (dx * dx + dy * dy)
    body = sums.mass[home]
    if body > weight:
        dx, dy = x - sums.moment_x[home] / body, y - sums.moment_y[home] / body
        change -= weight * body / (body - weight) * (dx * dx + dy * dy)
    return change


@compiled
def breach(problem: Problem, bands: Bands, loads: FloatArray, territory: int) -> float:
    """Return how badly a territory's (m,) loads leave its bands: weighted sum of squares."""
    total = 0.0
    for measure in range(len(loads)):
        inverse = problem.inverse_targets[territory, measure]
        deviation = loads[measure] * inverse - 1.0 if inverse > 0 else 0.0
        excess = max(
            deviation - bands.upper[territory, measure],
            bands.lower[territory, measure] - deviation,
        )
        if excess > 0:
            total += bands.weights[measure] * excess * excess
    return total


@compiled
def total_breach(problem: Problem, bands: Bands, sums: Tally) -> float:
    """Return the breach of all territories together."""
    total = 0.0
    for territory in range(len(sums.mass)):
        total += breach(problem, bands, sums.loads[territory], territory)
    return total


@compiled
def breach_change(
    problem: Problem, bands: Bands, sums: Tally, unit: int, home: int, to: int
) -> float:
    """Return the change of `total_breach` when the unit goes from `home` to `to`."""
    before = 0.0
    after = 0.0
    for side in range(2):
        territory = to if side else home
        sign = 1.0 if side else -1.0
        for measure in range(problem.activity.shape[1]):
            inverse = problem.inverse_targets[territory, measure]
            if inverse <= 0:
                continue
            lower = bands.lower[territory, measure]
            upper = bands.upper[territory, measure]
            deviation = sums.loads[territory, measure] * inverse - 1.0
            moved = deviation + sign * problem.activity[unit, measure] * inverse
            excess = max(deviation - upper, lower - deviation, 0.0)
            before += bands.weights[measure] * excess * excess
            excess = max(moved - upper, lower - moved, 0.0)
            after += bands.weights[measure] * excess * excess
    return after - before


@compiled
def cut_change(problem: Problem, alignment: IntArray, unit: int, home: int, to: int) -> int:
    """Return the change of the number of cut edges when the unit goes from `home` to `to`."""
    change = 0
    for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
        neighbour = alignment[problem.indices[entry]]
        change += (neighbour == home) - (neighbour == to)
    return change
