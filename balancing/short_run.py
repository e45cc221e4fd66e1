"""One short annealing run on any graph, under a price of imbalance that finds its own level.

Strategic oscillation: the price of leaving the bands rises while the plan is outside them and
falls while it is inside, so that the run keeps crossing the border of what is feasible, where
the best plans lie (research/published_instances.md, sections 1 and 6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.annealing import RandomState, random_below, random_part
from balancing.arrays import BoolArray, IntArray
from balancing.compiled import compiled, compiled_in_place
from balancing.contiguity import can_leave
from balancing.distances import distance
from balancing.objective import cut_change, cut_weight
from balancing.problem import TOTAL_DISTANCE, Bands, Problem
from balancing.working_plan import (
    Links,
    WorkingPlan,
    cost_after,
    excess_after,
    give,
    make_working_plan,
)

# Proposals between two looks at the share of feasible steps, and what the price then changes by.
BLOCK = 1000
PRICE_STEP = 1.08
FEASIBLE_SHARE = 0.25
LEAST_PRICE, MOST_PRICE = 1.0, 1e5

# Draws of a second unit before a pair of moves is given up.
N_PARTNER_DRAWS = 4

# How much a move may look too dear about centres as they are, in energy, and still be weighed
# exactly.
ROUGHNESS = 1.0

# What counts as a difference between sums that were made in different order.
LEAST_GAIN = 1e-8


class Rates(NamedTuple):
    """What makes energy of a plan's scores.

    Attributes
    ----------
    cost
        Energy of a unit of cost: its reciprocal is a unit's mean share of the objective.
    border
        Energy of a cut edge weight of 1.
    """

    cost: float
    border: float


class Control(NamedTuple):
    """What governs one run.

    Attributes
    ----------
    hot, cold
        First and last temperature, in energy.
    price
        First price of a plain relative excess of 1, in energy.
    least_breach
        Of the plans met so far: a breach no larger counts as none when the price is set, so
        that it does not rise without end where the bands cannot be kept.
    pair_share
        Part of the proposals that move two units at once.
    n_proposals
        Length of the run.
    """

    hot: float
    cold: float
    price: float
    least_breach: float
    pair_share: float
    n_proposals: int


class Outcome(NamedTuple):
    """What a run found.

    Attributes
    ----------
    alignment
        (n,) best plan met: least breach, then least energy.
    breach, energy
        Its scores.
    price
        Price of excess at the end.
    """

    alignment: IntArray
    breach: float
    energy: float
    price: float


@compiled
def plan_energy(problem: Problem, rates: Rates, plan: WorkingPlan) -> float:
    """Return the energy of a plan from scratch, breach aside."""
    cut = rates.border * cut_weight(problem, plan.alignment)
    return float(rates.cost * plan.cost.sum() + cut)


@compiled
def short_run(
    problem: Problem,
    bands: Bands,
    links: Links,
    rates: Rates,
    control: Control,
    alignment: IntArray,
    random: RandomState,
    is_stopped: BoolArray,
) -> Outcome:
    """Anneal from `alignment` and return the best plan met; `is_stopped[0]` ends it early."""
    plan = make_working_plan(problem, bands, links, alignment)
    best = alignment.copy()
    best_breach = plan.breach.sum()
    energy = plan_energy(problem, rates, plan)
    best_energy = energy
    price = control.price
    within = control.least_breach * (1.0 + LEAST_GAIN)
    n_blocks = max(control.n_proposals // BLOCK, 1)
    for block in range(n_blocks):
        if is_stopped[0] or plan.n_cut[0] == 0:
            break
        temperature = control.hot * (control.cold / control.hot) ** (block / n_blocks)
        n_feasible = 0
        breach = plan.breach.sum()
        for _ in range(BLOCK):
            # The threshold of the Metropolis rule is drawn first, so that each test can refuse.
            limit = -temperature * np.log(1.0 - random_part(random))
            unit, neighbour = random_cut_link(problem, links, plan, random)
            to = int(plan.alignment[neighbour])
            if random_part(random) < control.pair_share:
                rise = try_pair(problem, bands, links, rates, plan, price, limit, unit, to, random)
            else:
                rise = try_move(problem, bands, links, rates, plan, price, limit, unit, to)
            if rise < np.inf:
                energy += rise
                breach = plan.breach.sum()
                if is_better(breach, energy, best_breach, best_energy):
                    best[:] = plan.alignment
                    best_breach, best_energy = breach, energy
            n_feasible += breach <= within
        if n_feasible > FEASIBLE_SHARE * BLOCK:
            price = max(price / PRICE_STEP, LEAST_PRICE)
        else:
            price = min(price * PRICE_STEP, MOST_PRICE)
    return Outcome(best, best_breach, best_energy, price)


@compiled_in_place
def is_better(breach: float, energy: float, best_breach: float, best_energy: float) -> bool:
    """Return whether one plan beats another: less breach, or the same and less energy."""
    if breach < best_breach * (1.0 - LEAST_GAIN):
        return True
    return breach <= best_breach * (1.0 + LEAST_GAIN) and energy < best_energy - LEAST_GAIN


@compiled_in_place
def random_cut_link(
    problem: Problem, links: Links, plan: WorkingPlan, random: RandomState
) -> tuple[int, int]:
    """Draw two touching units of different territories."""
    entry = plan.cut_links[random_below(random, plan.n_cut[0])]
    return int(links.tail[entry]), int(problem.indices[entry])


@compiled_in_place
def try_move(
    problem: Problem,
    bands: Bands,
    links: Links,
    rates: Rates,
    plan: WorkingPlan,
    price: float,
    limit: float,
    unit: int,
    to: int,
) -> float:
    """Move the unit if the priced energy rises by at most `limit`; return the energy's rise.

    Infinite if it was not moved. Contiguity, the dearest test, comes last.
    """
    home = int(plan.alignment[unit])
    if problem.lock[unit] >= 0 or plan.sums.n_units[home] == 1:
        return np.inf
    excess_rise = (
        excess_after(problem, bands, plan, home, -1, unit)[0]
        + excess_after(problem, bands, plan, to, unit, -1)[0]
        - plan.excess[home]
        - plan.excess[to]
    )
    limit -= price * excess_rise
    if rough_rise(problem, rates, plan, unit, to) > limit + ROUGHNESS:
        return np.inf
    rise = move_rise(problem, rates, plan, unit, to)
    if rise > limit or not can_leave(problem, plan.alignment, unit, plan.mark, plan.queue):
        return np.inf
    give(problem, bands, links, plan, unit, to)
    return rise


@compiled_in_place
def move_rise(problem: Problem, rates: Rates, plan: WorkingPlan, unit: int, to: int) -> float:
    """Return the rise of energy, breach aside, when the unit goes to territory `to`."""
    home = int(plan.alignment[unit])
    rise = rates.cost * (
        cost_after(problem, plan, home, -1, unit)
        + cost_after(problem, plan, to, unit, -1)
        - plan.cost[home]
        - plan.cost[to]
    )
    if rates.border != 0.0:
        rise += rates.border * cut_change(problem, plan.alignment, unit, home, to)
    return float(rise)


@compiled_in_place
def rough_rise(problem: Problem, rates: Rates, plan: WorkingPlan, unit: int, to: int) -> float:
    """Return `move_rise` about the centres as they are, which is never too low."""
    if problem.objective != TOTAL_DISTANCE:
        return move_rise(problem, rates, plan, unit, to)
    home = int(plan.alignment[unit])
    there = distance(problem, unit, plan.centre[to])
    here = distance(problem, unit, plan.centre[home])
    rise = rates.cost * problem.mass[unit] * (there - here)
    if rates.border != 0.0:
        rise += rates.border * cut_change(problem, plan.alignment, unit, home, to)
    return float(rise)


@compiled_in_place
def try_pair(
    problem: Problem,
    bands: Bands,
    links: Links,
    rates: Rates,
    plan: WorkingPlan,
    price: float,
    limit: float,
    unit: int,
    to: int,
    random: RandomState,
) -> float:
    """Move the unit, and out of territory `to` another one that makes room for it.

    The other goes to a neighbouring territory: a swap if that is the first unit's, else a
    chain. Judged together, as `try_move` does one; a rough sum of both changes goes first.
    """
    home = int(plan.alignment[unit])
    if problem.lock[unit] >= 0 or plan.sums.n_units[home] == 1:
        return np.inf
    other, onward = random_partner(problem, plan, to, random)
    if other < 0:
        return np.inf
    excess = joint_excess(problem, bands, plan, unit, other, onward)
    excess -= plan.excess[home] + plan.excess[to]
    if onward != home:
        excess -= plan.excess[onward]
    limit -= price * excess
    rough = rough_rise(problem, rates, plan, unit, to)
    rough += rough_rise(problem, rates, plan, other, onward)
    if rough > limit + ROUGHNESS:
        return np.inf
    if not can_leave(problem, plan.alignment, unit, plan.mark, plan.queue):
        return np.inf
    rise = move_rise(problem, rates, plan, unit, to)
    give(problem, bands, links, plan, unit, to)
    if touches(problem, plan, other, onward) and can_leave(
        problem, plan.alignment, other, plan.mark, plan.queue
    ):
        rise += move_rise(problem, rates, plan, other, onward)
        if rise <= limit:
            give(problem, bands, links, plan, other, onward)
            return rise
    give(problem, bands, links, plan, unit, home)
    return np.inf


@compiled_in_place
def random_partner(
    problem: Problem, plan: WorkingPlan, territory: int, random: RandomState
) -> tuple[int, int]:
    """Draw a free unit of the territory and another territory it touches, or -1, -1."""
    for _ in range(N_PARTNER_DRAWS):
        unit = int(plan.members[territory, random_below(random, plan.sums.n_units[territory])])
        first = problem.indptr[unit]
        n_neighbours = problem.indptr[unit + 1] - first
        onward = int(plan.alignment[problem.indices[first + random_below(random, n_neighbours)]])
        if onward != territory and problem.lock[unit] < 0:
            return unit, onward
    return -1, -1


@compiled_in_place
def joint_excess(
    problem: Problem, bands: Bands, plan: WorkingPlan, unit: int, other: int, onward: int
) -> float:
    """Return the excess of all territories concerned once both units have moved."""
    home, to = int(plan.alignment[unit]), int(plan.alignment[other])
    excess = excess_after(problem, bands, plan, to, unit, other)[0]
    if onward == home:
        return excess + excess_after(problem, bands, plan, home, other, unit)[0]
    return (
        excess
        + excess_after(problem, bands, plan, home, -1, unit)[0]
        + excess_after(problem, bands, plan, onward, other, -1)[0]
    )


@compiled_in_place
def touches(problem: Problem, plan: WorkingPlan, unit: int, territory: int) -> bool:
    """Return whether the unit has a neighbour in the territory."""
    for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
        if plan.alignment[problem.indices[entry]] == territory:
            return True
    return False
