"""Search of one component for plans near the one in force, one for each price of moving."""

from __future__ import annotations

import numpy as np

from balancing.annealing import Schedule, anneal
from balancing.arrays import FloatArray, IntArray
from balancing.best_plan import BestPlan, mean_cost
from balancing.moving import Moving
from balancing.power_diagram import balanced_prices
from balancing.problem import MOMENT_OF_INERTIA, Bands, Problem
from balancing.refinement import ShouldStop, polish, repair_balance
from balancing.starts import diagram_points
from balancing.state import make_state

AIM = 0.7
N_SWEEPS = 64
# What annealing leaves unbalanced is annealed again, colder and with breach dear from the start,
# before single moves and pairs are looked for: on 135,000 cells 0.3 s instead of 5 to 40 s.
N_MENDINGS = 3
MENDINGS = ((0.5, 3e-4), (0.8, 3e-3))
N_MENDING_SWEEPS = 16
N_REPAIR_ROUNDS = 4
PROPOSALS_PER_BORDER_UNIT, LEAST_PROPOSALS, MOST_PER_BORDER_UNIT = 60, 500_000, 1000
ANNEALED, MENDED = 0.6, 0.9
# Above this the prices of a power diagram cost more than they bring.
MOST_DIAGRAM_TERRITORIES = 1500


def prices_at(problem: Problem, centres: FloatArray) -> FloatArray:
    """(k,) prices under which the incumbent's own centres share today's work out.

    They make moves across the borders of that diagram free of cost, so that the search can
    pass work on through several territories without first paying for it.
    """
    n_territories = len(problem.targets)
    if problem.objective != MOMENT_OF_INERTIA or n_territories > MOST_DIAGRAM_TERRITORIES:
        return np.zeros(n_territories)
    points = diagram_points(problem)
    targets = problem.targets[:, 0] * points.mass.sum() / n_territories
    return balanced_prices(points, targets, centres)


def search_near(
    problem: Problem,
    bands: Bands,
    start: IntArray,
    prices: FloatArray,
    moving: Moving,
    generator: np.random.Generator,
    should_stop: ShouldStop,
) -> IntArray:
    """Return (n,) the best valid plan found from `start` under the prices and caps of moving.

    `moving.price` is in mean territory objectives. Nothing beyond the caps is ever held.
    """
    unit_cost = mean_cost(problem, bands, start)
    problem = problem._replace(moving=moving._replace(price=moving.price * unit_cost))
    best = BestPlan(problem, bands, start, unit_cost)
    state = make_state(problem, start)
    n_border = int(state.border_size[0])
    n_proposals = max(
        PROPOSALS_PER_BORDER_UNIT * n_border,
        min(LEAST_PROPOSALS, MOST_PER_BORDER_UNIT * n_border),
    )
    schedule = Schedule(3e-4, 3e-6, 30.0, 1e5, N_SWEEPS, n_proposals // N_SWEEPS + 1)
    n_mending_proposals = n_proposals // N_MENDING_SWEEPS + 1
    anneal(
        problem, state, bands.narrowed(AIM), prices, schedule, unit_cost, generator,
        lambda fraction: should_stop(ANNEALED * fraction),
    )  # fmt: skip
    best.offer(state.alignment)
    for number in range(N_MENDINGS):
        if best.is_balanced or should_stop(ANNEALED + (MENDED - ANNEALED) * number / N_MENDINGS):
            break
        for aim, hot in MENDINGS:
            state = make_state(problem, best.alignment)
            schedule = Schedule(hot, 3e-6, 1e4, 1e6, N_MENDING_SWEEPS, n_mending_proposals)
            anneal(problem, state, bands.narrowed(aim), prices, schedule, unit_cost, generator)
            best.offer(state.alignment)
            if best.is_balanced:
                break
        repair_balance(
            problem, best, bands, prices, unit_cost, N_REPAIR_ROUNDS, generator,
            lambda _: should_stop(ANNEALED),
        )  # fmt: skip
    polish(
        problem, best, bands, unit_cost, generator,
        lambda fraction: should_stop(MENDED + (1 - MENDED) * fraction),
    )  # fmt: skip
    return best.alignment
