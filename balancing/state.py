"""A plan under change: alignment, moved accumulators, border."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.compiled import compiled
from balancing.moving import Moved, count_moved, note_move
from balancing.problem import TOTAL_DISTANCE, Bands, Problem

# Steps towards a territory's median each time; centres move little from sweep to sweep.
N_MEDIAN_STEPS = 6
# In units of the component's spread; keeps a unit at the median from weighing infinitely.
LEAST_DISTANCE = 1e-6


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
    centre_x, centre_y
        (k,) centres that distances are counted from, as of the last `settle`.
    moved
        What is away from home.
    """

    alignment: IntArray
    tally: Tally
    is_open: BoolArray
    border: IntArray
    border_position: IntArray
    border_size: IntArray
    mark: IntArray
    queue: IntArray
    centre_x: FloatArray
    centre_y: FloatArray
    moved: Moved


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
        centre_x=np.empty(n_territories),
        centre_y=np.empty(n_territories),
        moved=count_moved(problem.moving, alignment, n_territories),
    )
    place_centres(problem, state.alignment, state.tally, state.centre_x, state.centre_y)
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
def place_centres(
    problem: Problem,
    alignment: IntArray,
    sums: Tally,
    centre_x: FloatArray,
    centre_y: FloatArray,
) -> None:
    """Place (k,) centres in place: centroids, or medians where distance is the objective.

    Medians are approached by Weiszfeld's iteration (Tohoku Mathematical Journal 43, 1937)
    from the centroid. Either is drawn to the anchor by the territory's pull.
    """
    n_territories = len(sums.mass)
    for territory in range(n_territories):
        mass = max(sums.mass[territory], 1e-300)
        centre_x[territory] = sums.moment_x[territory] / mass
        centre_y[territory] = sums.moment_y[territory] / mass
    if problem.objective == TOTAL_DISTANCE:
        for _ in range(N_MEDIAN_STEPS):
            weight = np.zeros(n_territories)
            moment_x = np.zeros(n_territories)
            moment_y = np.zeros(n_territories)
            for unit in range(len(alignment)):
                territory = alignment[unit]
                dx = problem.x[unit] - centre_x[territory]
                dy = problem.y[unit] - centre_y[territory]
                part = problem.mass[unit] / (np.sqrt(dx * dx + dy * dy) + LEAST_DISTANCE)
                weight[territory] += part
                moment_x[territory] += part * problem.x[unit]
                moment_y[territory] += part * problem.y[unit]
            for territory in range(n_territories):
                centre_x[territory] = moment_x[territory] / max(weight[territory], 1e-300)
                centre_y[territory] = moment_y[territory] / max(weight[territory], 1e-300)
    for territory in range(n_territories):
        pull = problem.pull[territory]
        centre_x[territory] += pull * (problem.anchor_x[territory] - centre_x[territory])
        centre_y[territory] += pull * (problem.anchor_y[territory] - centre_y[territory])


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
    note_move(problem.moving, state.moved, unit, home, to)
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
    """Replace the moved sums by fresh ones, so that rounding cannot pile up, and the centres."""
    fresh = tally(problem, state.alignment)
    for field in Tally._fields:
        getattr(state.tally, field)[...] = getattr(fresh, field)
    moved = count_moved(problem.moving, state.alignment, len(state.is_open))
    state.moved.weight[...], state.moved.n_units[...] = moved
    place_centres(problem, state.alignment, state.tally, state.centre_x, state.centre_y)


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
def breaches(
    problem: Problem,
    bands: Bands,
    alignment: IntArray,
    sums: Tally,
    centre_x: FloatArray,
    centre_y: FloatArray,
) -> FloatArray:
    """Return (k,) breach of each territory, too distant units included."""
    found = np.empty(len(sums.mass))
    for territory in range(len(sums.mass)):
        found[territory] = breach(problem, bands, sums.loads[territory], territory)
    if np.isfinite(problem.max_radius):
        for unit in range(len(alignment)):
            territory = alignment[unit]
            found[territory] += overreach(problem, centre_x, centre_y, unit, territory)
    return found


@compiled
def total_breach(
    problem: Problem,
    bands: Bands,
    alignment: IntArray,
    sums: Tally,
    centre_x: FloatArray,
    centre_y: FloatArray,
) -> float:
    """Return the breach of all territories together."""
    return float(breaches(problem, bands, alignment, sums, centre_x, centre_y).sum())


@compiled
def overreach(
    problem: Problem, centre_x: FloatArray, centre_y: FloatArray, unit: int, territory: int
) -> float:
    """Return how far beyond the radius a unit lies: the square of the relative excess."""
    if not problem.is_carrying[unit]:
        return 0.0
    dx, dy = problem.x[unit] - centre_x[territory], problem.y[unit] - centre_y[territory]
    excess = np.sqrt(dx * dx + dy * dy) / problem.max_radius - 1.0
    return excess * excess if excess > 0 else 0.0


@compiled
def breach_change(
    problem: Problem, bands: Bands, state: State, unit: int, home: int, to: int
) -> float:
    """Return the change of `total_breach` when the unit goes from `home` to `to`.

    Centres stay where they were at the last `settle`.
    """
    sums = state.tally
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
    if np.isfinite(problem.max_radius):
        before += overreach(problem, state.centre_x, state.centre_y, unit, home)
        after += overreach(problem, state.centre_x, state.centre_y, unit, to)
    return after - before
