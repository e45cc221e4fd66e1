"""What follows annealing: repair of what is out of balance, polish of what is in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from balancing.annealing import Control, Schedule, anneal, random_state, sweep
from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.balance_fix import fix_worst
from balancing.best_plan import BestPlan
from balancing.problem import Bands, Problem
from balancing.state import breaches, make_state, settle

ShouldStop = Callable[[float], bool]

N_FIX_STEPS = 200
# Local rounds vary what they hold dear and how hot they are: no one setting unlocks every
# knot (research/solver.md, section 5.2, phase 6).
CHEAP_CHOICES = (1.0, 10.0, 100.0)
HOT_CHOICES = (3e-4, 3e-3, 3e-2)
LOCAL_SWEEPS = 12
PATIENCE = 20
LOCAL_PROPOSALS_PER_BORDER_UNIT = 8

N_POLISH_SWEEPS = 12
POLISH_PROPOSALS_PER_BORDER_UNIT = 6


def repair_balance(
    problem: Problem,
    plan: BestPlan,
    bands: Bands,
    prices: FloatArray,
    unit_cost: float,
    n_rounds: int,
    generator: np.random.Generator,
    should_stop: ShouldStop,
) -> int:
    """Lower the breach of a plan: border moves, then local annealing where it is worst.

    Ends when nothing is out of balance, after `n_rounds` rounds or `PATIENCE` fruitless ones
    in a row, or when told to stop. Returns the rounds it took.
    """
    state = make_state(problem, plan.alignment)
    fix_worst(problem, state, bands, unit_cost, N_FIX_STEPS)
    plan.offer(state.alignment)
    n_fruitless = 0
    for number in range(n_rounds):
        if plan.is_balanced or n_fruitless == PATIENCE or should_stop(number / n_rounds):
            return number
        is_open = _surroundings(problem, plan.alignment, _pick(problem, plan, bands, generator))
        state = make_state(problem, plan.alignment, is_open)
        schedule = Schedule(
            hot=float(generator.choice(HOT_CHOICES)),
            cold=3e-6,
            cheap=float(generator.choice(CHEAP_CHOICES)),
            dear=1e5,
            n_sweeps=LOCAL_SWEEPS,
            n_proposals=LOCAL_PROPOSALS_PER_BORDER_UNIT * int(state.border_size[0]),
        )
        anneal(problem, state, bands, prices, schedule, unit_cost, generator)
        fix_worst(problem, state, bands, unit_cost, N_FIX_STEPS)
        n_fruitless = 0 if plan.offer(state.alignment) else n_fruitless + 1
    return n_rounds


def polish(
    problem: Problem,
    plan: BestPlan,
    bands: Bands,
    unit_cost: float,
    generator: np.random.Generator,
    should_stop: ShouldStop,
) -> None:
    """Lower the objective and cut edges by greedy moves that breach nothing further."""
    state = make_state(problem, plan.alignment)
    control = Control(unit_cost, temperature=0.0, breach_price=0.0, is_strict=True)
    no_prices = np.zeros(len(problem.targets))
    random = random_state(generator)
    for number in range(N_POLISH_SWEEPS):
        n_proposals = POLISH_PROPOSALS_PER_BORDER_UNIT * int(state.border_size[0])
        n_moves = sweep(problem, state, bands, no_prices, control, random, n_proposals)
        settle(problem, state)
        plan.offer(state.alignment)
        if should_stop(number / N_POLISH_SWEEPS) or n_moves == 0:
            return


def _pick(problem: Problem, plan: BestPlan, bands: Bands, generator: np.random.Generator) -> int:
    """Choose a territory out of balance, the worst every other time."""
    state = make_state(problem, plan.alignment)
    found = breaches(problem, bands, state.alignment, state.tally, state.centre_x, state.centre_y)
    if generator.random() < 0.5:
        return int(np.argmax(found))
    return int(generator.choice(np.flatnonzero(found > 0)))


def _surroundings(problem: Problem, alignment: IntArray, centre: int) -> BoolArray:
    """(k,) the territory, its neighbours and theirs."""
    tails = np.repeat(alignment, np.diff(problem.indptr))
    heads = alignment[problem.indices]
    is_near = np.zeros(len(problem.targets), bool)
    is_near[centre] = True
    for _ in range(2):
        is_near[heads[is_near[tails]]] = True
    return is_near
