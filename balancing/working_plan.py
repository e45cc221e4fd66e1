"""A plan under exact moves: sums, members, cut links, and distances to every centre.

The state of the search for few units. Unlike `state.State` it knows the exact objective after
a move also where that is the distance to the best centre.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled, compiled_in_place
from balancing.distances import add_to_reach, distance
from balancing.problem import MOMENT_OF_INERTIA, TOTAL_DISTANCE, Bands, Problem
from balancing.state import Tally, tally


class Links(NamedTuple):
    """Each listed link seen from its two ends.

    Attributes
    ----------
    tail
        (nnz,) unit whose neighbour the entry lists.
    twin
        (nnz,) entry of the same edge in the opposite direction.
    """

    tail: IntArray
    twin: IntArray


class WorkingPlan(NamedTuple):
    """Everything a short run changes, in place.

    Attributes
    ----------
    alignment
        (n,) territory of each unit.
    sums
        Sums per territory.
    members, position
        (k, n) units of each territory, the first `n_units` entries of each row; (n,) each
        unit's place in its row.
    cut_links, cut_position, n_cut
        Listed links between territories, as a set: (nnz,) its members first, (nnz,) each
        entry's place or -1, (1,) how many.
    reach
        (k, n) mass times distance from all members of a territory to each unit; no columns
        unless distance is the objective.
    centre
        (k,) unit that distance is counted from, -1 unless distance is the objective.
    cost
        (k,) objective of each territory; zeros where edges are the objective.
    excess, breach
        (k,) how far each territory is out of its bands, summed plainly, which guides the
        search, and in squares, which ranks plans (`state.total_breach`).
    mark, queue
        Scratch of the contiguity search.
    """

    alignment: IntArray
    sums: Tally
    members: IntArray
    position: IntArray
    cut_links: IntArray
    cut_position: IntArray
    n_cut: IntArray
    reach: FloatArray
    centre: IntArray
    cost: FloatArray
    excess: FloatArray
    breach: FloatArray
    mark: IntArray
    queue: IntArray


def make_links(problem: Problem) -> Links:
    """Return both ends of every listed link."""
    n_units = len(problem.indptr) - 1
    tail = np.repeat(np.arange(n_units, dtype=np.int32), np.diff(problem.indptr))
    forward = np.lexsort((problem.indices, tail))
    backward = np.lexsort((tail, problem.indices))
    twin = np.empty(len(tail), np.int32)
    twin[forward] = backward
    return Links(tail, twin)


@compiled
def make_working_plan(
    problem: Problem, bands: Bands, links: Links, alignment: IntArray
) -> WorkingPlan:
    """Return a working plan on a copy of `alignment`, in which no territory is empty."""
    n_units, n_territories = len(alignment), len(problem.targets)
    n_columns = n_units if problem.objective == TOTAL_DISTANCE else 0
    plan = WorkingPlan(
        alignment.copy(),
        tally(problem, alignment),
        np.empty((n_territories, n_units), np.int32),
        np.empty(n_units, np.int32),
        np.empty(len(problem.indices), np.int32),
        np.full(len(problem.indices), -1, np.int32),
        np.zeros(1, np.int32),
        np.zeros((n_territories, n_columns)),
        np.full(n_territories, -1, np.int32),
        np.zeros(n_territories),
        np.zeros(n_territories),
        np.zeros(n_territories),
        np.zeros(n_units + 1, np.int32),
        np.empty(n_units, np.int32),
    )
    filled = np.zeros(n_territories, np.int32)
    for unit in range(n_units):
        territory = alignment[unit]
        plan.members[territory, filled[territory]] = unit
        plan.position[unit] = filled[territory]
        filled[territory] += 1
        if problem.objective == TOTAL_DISTANCE:
            add_to_reach(problem, plan.reach[territory], unit, 1.0)
    for entry in range(len(problem.indices)):
        refresh_cut_link(problem, plan, links, entry)
    for territory in range(n_territories):
        refresh_scores(problem, bands, plan, territory)
    return plan


@compiled_in_place
def give(
    problem: Problem, bands: Bands, links: Links, plan: WorkingPlan, unit: int, to: int
) -> None:
    """Give the unit to territory `to`, keeping everything that is known of the plan."""
    home = plan.alignment[unit]
    shift_sums(problem, plan.sums, unit, home, to)
    last = plan.members[home, plan.sums.n_units[home]]
    plan.members[home, plan.position[unit]] = last
    plan.position[last] = plan.position[unit]
    plan.position[unit] = plan.sums.n_units[to] - 1
    plan.members[to, plan.position[unit]] = unit
    plan.alignment[unit] = to
    if problem.objective == TOTAL_DISTANCE:
        add_to_reach(problem, plan.reach[home], unit, -1.0)
        add_to_reach(problem, plan.reach[to], unit, 1.0)
    for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
        refresh_cut_link(problem, plan, links, entry)
        refresh_cut_link(problem, plan, links, links.twin[entry])
    refresh_scores(problem, bands, plan, home)
    refresh_scores(problem, bands, plan, to)


@compiled_in_place
def shift_sums(problem: Problem, sums: Tally, unit: int, home: int, to: int) -> None:
    """Book the unit from one territory to another."""
    sums.n_units[home] -= 1
    sums.n_units[to] += 1
    for measure in range(problem.activity.shape[1]):
        sums.loads[home, measure] -= problem.activity[unit, measure]
        sums.loads[to, measure] += problem.activity[unit, measure]
    weight, x, y = problem.mass[unit], problem.x[unit], problem.y[unit]
    square = weight * (x * x + y * y)
    sums.mass[home] -= weight
    sums.mass[to] += weight
    sums.moment_x[home] -= weight * x
    sums.moment_x[to] += weight * x
    sums.moment_y[home] -= weight * y
    sums.moment_y[to] += weight * y
    sums.moment_2[home] -= square
    sums.moment_2[to] += square


@compiled_in_place
def refresh_cut_link(problem: Problem, plan: WorkingPlan, links: Links, entry: int) -> None:
    """Enter or strike one listed link in the set of cut ones."""
    is_cut = plan.alignment[links.tail[entry]] != plan.alignment[problem.indices[entry]]
    position = plan.cut_position[entry]
    size = plan.n_cut[0]
    if is_cut and position < 0:
        plan.cut_links[size] = entry
        plan.cut_position[entry] = size
        plan.n_cut[0] = size + 1
    elif not is_cut and position >= 0:
        last = plan.cut_links[size - 1]
        plan.cut_links[position] = last
        plan.cut_position[last] = position
        plan.cut_position[entry] = -1
        plan.n_cut[0] = size - 1


@compiled_in_place
def refresh_scores(problem: Problem, bands: Bands, plan: WorkingPlan, territory: int) -> None:
    """Count cost and breach of one territory from its sums."""
    plan.cost[territory] = cost_after(problem, plan, territory, -1, -1)
    if problem.objective == TOTAL_DISTANCE:
        plan.centre[territory] = median_after(problem, plan, territory, -1, -1)[1]
    excess, breach = excess_after(problem, bands, plan, territory, -1, -1)
    plan.excess[territory] = excess
    plan.breach[territory] = breach


@compiled_in_place
def cost_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> float:
    """Return the objective of a territory once a unit has joined and one left; -1 for none.

    Exact: inertia from the moments, distance from the best centre among those who are then
    members. By its pull p a territory is measured about its anchor, as in `Centre`.
    """
    if problem.objective == MOMENT_OF_INERTIA:
        return inertia_after(problem, plan, territory, joining, leaving)
    if problem.objective == TOTAL_DISTANCE:
        return distance_after(problem, plan, territory, joining, leaving)
    return 0.0


@compiled_in_place
def inertia_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> float:
    """Return the moment of inertia as in `objective.inertia`, of one territory."""
    mass, x, y, square = moments_after(problem, plan, territory, joining, leaving)
    dx = x - problem.anchor_x[territory]
    dy = y - problem.anchor_y[territory]
    drawn = problem.pull[territory] * mass * (dx * dx + dy * dy)
    return float(square - mass * (x * x + y * y) + drawn)


@compiled_in_place
def moments_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> tuple[float, float, float, float]:
    """Return mass, centroid and second moment about the origin."""
    sums = plan.sums
    mass, square = sums.mass[territory], sums.moment_2[territory]
    x, y = sums.moment_x[territory], sums.moment_y[territory]
    for side in range(2):
        unit = leaving if side else joining
        if unit >= 0:
            weight = -problem.mass[unit] if side else problem.mass[unit]
            mass += weight
            x += weight * problem.x[unit]
            y += weight * problem.y[unit]
            square += weight * (problem.x[unit] ** 2 + problem.y[unit] ** 2)
    safe = max(mass, 1e-300)
    return mass, x / safe, y / safe, square


@compiled_in_place
def distance_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> float:
    """Return mass times distance to the best centre, and by the pull to the anchor."""
    pull = problem.pull[territory]
    total = 0.0
    if pull < 1.0:
        about_centre, _ = median_after(problem, plan, territory, joining, leaving)
        total += (1.0 - pull) * about_centre
    if pull > 0.0:
        total += pull * anchor_distance_after(problem, plan, territory, joining, leaving)
    return total


@compiled_in_place
def median_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> tuple[float, int]:
    """Return the least mass times distance to any member, and that member."""
    n_members = plan.sums.n_units[territory]
    least, centre = np.inf, -1
    for place in range(n_members + 1):
        unit = int(plan.members[territory, place]) if place < n_members else joining
        if unit < 0 or unit == leaving:
            continue
        total = plan.reach[territory, unit]
        if joining >= 0:
            total += problem.mass[joining] * distance(problem, joining, unit)
        if leaving >= 0:
            total -= problem.mass[leaving] * distance(problem, leaving, unit)
        if total < least:
            least, centre = total, unit
    return least, centre


@compiled_in_place
def anchor_distance_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> float:
    """Return mass times distance of all members to the territory's anchor."""
    total = 0.0
    n_members = plan.sums.n_units[territory]
    for place in range(n_members + 1):
        unit = plan.members[territory, place] if place < n_members else joining
        if unit >= 0 and unit != leaving:
            dx = problem.x[unit] - problem.anchor_x[territory]
            dy = problem.y[unit] - problem.anchor_y[territory]
            total += problem.mass[unit] * np.sqrt(dx * dx + dy * dy)
    return total


@compiled_in_place
def excess_after(
    problem: Problem, bands: Bands, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> tuple[float, float]:
    """Return plain and squared excess over the bands, as in `cost_after`."""
    excess, breach = 0.0, 0.0
    for measure in range(problem.activity.shape[1]):
        load = plan.sums.loads[territory, measure]
        if joining >= 0:
            load += problem.activity[joining, measure]
        if leaving >= 0:
            load -= problem.activity[leaving, measure]
        inverse = problem.inverse_targets[territory, measure]
        if inverse <= 0:
            continue
        deviation = load * inverse - 1.0
        beyond = max(
            deviation - bands.upper[territory, measure],
            bands.lower[territory, measure] - deviation,
        )
        if beyond > 0:
            excess += bands.weights[measure] * beyond
            breach += bands.weights[measure] * beyond * beyond
    if np.isfinite(problem.max_radius):
        far, far_squared = overreach_after(problem, plan, territory, joining, leaving)
        return excess + far, breach + far_squared
    return excess, breach


@compiled_in_place
def overreach_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> tuple[float, float]:
    """Return plain and squared relative excess over the radius, of all carrying units."""
    centre_x, centre_y = centre_after(problem, plan, territory, joining, leaving)
    excess, breach = 0.0, 0.0
    n_members = plan.sums.n_units[territory]
    for place in range(n_members + 1):
        unit = plan.members[territory, place] if place < n_members else joining
        if unit < 0 or unit == leaving or not problem.is_carrying[unit]:
            continue
        dx, dy = problem.x[unit] - centre_x, problem.y[unit] - centre_y
        beyond = np.sqrt(dx * dx + dy * dy) / problem.max_radius - 1.0
        if beyond > 0:
            excess += beyond
            breach += beyond * beyond
    return excess, breach


@compiled_in_place
def centre_after(
    problem: Problem, plan: WorkingPlan, territory: int, joining: int, leaving: int
) -> tuple[float, float]:
    """Return the centre, drawn to the anchor by the territory's pull."""
    if problem.objective == TOTAL_DISTANCE:
        _, centre = median_after(problem, plan, territory, joining, leaving)
        x, y = problem.x[centre], problem.y[centre]
    else:
        _, x, y, _ = moments_after(problem, plan, territory, joining, leaving)
    pull = problem.pull[territory]
    return (
        x + pull * (problem.anchor_x[territory] - x),
        y + pull * (problem.anchor_y[territory] - y),
    )
