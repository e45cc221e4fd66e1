"""Search for few units, on any graph: a population of plans and many short annealing runs.

Where a territory has few units, packing decides and the feasible region falls apart: many
short runs from different plans beat one long one (research/published_instances.md, section 2).
A round is a fixed number of runs, merged in their order, so that the plan does not depend on
how many of them the machine does at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np

from balancing.annealing import RandomState, random_state
from balancing.arrays import BoolArray, IntArray
from balancing.best_plan import largest_deviation
from balancing.growth import fresh_plan
from balancing.problem import CUT_EDGES, TOTAL_DISTANCE, Bands, Problem
from balancing.recombination import recombine
from balancing.short_run import Control, Outcome, Rates, is_better, short_run
from balancing.state import tally
from balancing.working_plan import Links, make_links, make_working_plan

ShouldStop = Callable[[float, float | None], bool]

# Usual budget, about 1.5 CPU s for some hundred units: a proposal that looks for the best
# centre costs most. More for more than about a thousand units.
N_PROPOSALS, N_DISTANCE_PROPOSALS = 8_000_000, 5_000_000
BUDGET_PER_UNIT = 5_000
# Proposals of a run: by the number of units, between these limits.
PROPOSALS_PER_UNIT = 100
LEAST_RUN, MOST_RUN = 10_000, 200_000
ROUND_SIZE = 8
N_MEMBERS = 12

# The first rounds, and this part of the runs afterwards, start from fresh plans, this part of
# those compact; the others from members of the population after one or two kicks.
N_FRESH_ROUNDS = 2
FRESH_SHARE = 0.3
COMPACT_SHARE = 0.7
MOST_KICKS = 2

# Runs differ in how hot they start and what they first hold imbalance to cost. The unit of
# energy is a unit's mean share of the objective, or this many cut edges.
COOLEST_START, HOTTEST_START = 0.3, 1.0
COOLING = 0.15
FIRST_PRICE, PRICE_SPREAD = 30.0, 10.0
CUT_EDGES_PER_ENERGY = 3.0
PAIR_SHARE = 0.6

# Fresh runs that end at the best plan again before it is taken for the best there is.
N_CONFIRMATIONS = 10

# Seconds between two questions whether to stop.
LOOK_S = 0.01


class Task(NamedTuple):
    """A run to be made, from a fresh plan where there is no start.

    Attributes
    ----------
    start
        (n,) alignment to be kicked.
    n_kicks
        How often two territories of it are divided afresh.
    is_compact
        Whether a fresh plan is a compact one.
    control, random
        Of the run.
    """

    start: IntArray | None
    n_kicks: int
    is_compact: bool
    control: Control
    random: RandomState


def search_population(
    problem: Problem,
    bands: Bands,
    generator: np.random.Generator,
    should_stop: ShouldStop,
    n_proposals: int | None = None,
) -> IntArray:
    """Return (n,) the best plan found: least total breach first, then least objective.

    Every territory is connected and not empty. The same generator gives the same plan, on
    however many cores.

    Parameters
    ----------
    should_stop
        Asked about every 10 ms, with the fraction done and the best plan's largest deviation
        if there is one; True ends the search with the best plan so far.
    n_proposals
        Budget, in proposals of the annealing runs; None for the usual one.
    """
    population = Population(problem)
    if n_proposals is None:
        n_proposals = usual_budget(problem)
    n_rounds = max(n_proposals // (ROUND_SIZE * population.run_length), 1)
    runner = Runner(problem, bands, generator)
    with ThreadPoolExecutor(ROUND_SIZE) as pool:
        for number in range(n_rounds):
            tasks = [population.draw_task(generator, number) for _ in range(ROUND_SIZE)]
            runs = [pool.submit(runner.run, task) for task in tasks]
            while True:
                if should_stop(number / n_rounds, population.imbalance):
                    runner.stop()
                if not wait(runs, LOOK_S).not_done:
                    break
            population.merge(tasks, [run.result() for run in runs])
            if runner.is_stopped or population.n_confirmations >= N_CONFIRMATIONS:
                break
    return population.best.alignment


def usual_budget(problem: Problem) -> int:
    """Return the number of proposals that use 1 to 2 CPU s, more for large problems."""
    least = N_DISTANCE_PROPOSALS if problem.objective == TOTAL_DISTANCE else N_PROPOSALS
    return max(least, BUDGET_PER_UNIT * len(problem.mass))


class Runner:
    """Makes runs; safe to be used by several threads."""

    def __init__(self, problem: Problem, bands: Bands, generator: np.random.Generator) -> None:
        self._problem = problem
        self._bands = bands
        self._links = make_links(problem)
        some_plan = fresh_plan(problem, random_state(generator), True)
        self._rates = _make_rates(problem, bands, self._links, some_plan)
        self._stop_flag = np.zeros(1, np.bool_)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return bool(self._stop_flag[0])

    def stop(self) -> None:
        """Let all runs end within a thousand proposals."""
        self._stop_flag[0] = True

    def run(self, task: Task) -> Outcome:
        """Make one run."""
        problem, bands = self._problem, self._bands
        if task.start is None:
            start = fresh_plan(problem, task.random, task.is_compact)
        else:
            start = task.start.copy()
            for _ in range(task.n_kicks):
                recombine(problem, bands, start, task.random)
        return short_run(
            problem,
            bands,
            self._links,
            self._rates,
            task.control,
            start,
            task.random,
            self._stop_flag,
        )


class Population:
    """The best plans met, no two of them with the same borders."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._members: list[Outcome] = []
        self._price = FIRST_PRICE
        self.run_length = min(max(PROPOSALS_PER_UNIT * len(problem.mass), LEAST_RUN), MOST_RUN)
        self.imbalance: float | None = None
        self.n_confirmations = 0

    @property
    def best(self) -> Outcome:
        """The member of least breach, then of least energy."""
        return self._members[0]

    def merge(self, tasks: list[Task], outcomes: list[Outcome]) -> None:
        """Take the outcomes of a round in, and its final prices as a hint for the next."""
        for task, outcome in zip(tasks, outcomes, strict=True):
            if not self._members or _is_better(outcome, self.best):
                self.n_confirmations = 0
            elif task.start is None and not _is_better(self.best, outcome):
                self.n_confirmations += 1
            if not any(_is_same(self._problem, outcome, member) for member in self._members):
                self._members.append(outcome)
                self._members.sort(key=lambda member: (member.breach, member.energy))
                del self._members[N_MEMBERS:]
        self._price = float(np.exp(np.mean(np.log([outcome.price for outcome in outcomes]))))
        self.imbalance = largest_deviation(self._problem, tally(self._problem, self.best.alignment))

    @property
    def _least_breach(self) -> float:
        return self.best.breach if self._members else 0.0

    def draw_task(self, generator: np.random.Generator, number: int) -> Task:
        """Draw a run of the given round."""
        hot = COOLEST_START * (HOTTEST_START / COOLEST_START) ** generator.random()
        price = self._price * PRICE_SPREAD ** generator.uniform(-1, 1)
        start = None
        if number >= N_FRESH_ROUNDS and generator.random() >= FRESH_SHARE:
            start = self._members[int(generator.integers(len(self._members)))].alignment
        return Task(
            start,
            n_kicks=int(generator.integers(1, MOST_KICKS + 1)),
            is_compact=bool(generator.random() < COMPACT_SHARE),
            control=Control(
                hot, hot * COOLING, price, self._least_breach, PAIR_SHARE, self.run_length
            ),
            random=random_state(generator),
        )


def _is_better(one: Outcome, other: Outcome) -> bool:
    return bool(is_better(one.breach, one.energy, other.breach, other.energy))


def _is_same(problem: Problem, one: Outcome, other: Outcome) -> bool:
    if _is_better(one, other) or _is_better(other, one):
        return False
    is_cut = _cut_links(problem, one.alignment)
    return np.array_equal(is_cut, _cut_links(problem, other.alignment))


def _cut_links(problem: Problem, alignment: IntArray) -> BoolArray:
    """(nnz,) whether each listed link lies between territories."""
    tails = np.repeat(alignment, np.diff(problem.indptr))
    is_cut: BoolArray = tails != alignment[problem.indices]
    return is_cut


def _make_rates(problem: Problem, bands: Bands, links: Links, alignment: IntArray) -> Rates:
    """Return what makes energy of scores, by a plan such as the search starts from.

    Straight borders for their own sake are not paid for with the objective, which few units
    allow to be exact: the price of cut edges holds where keeping units together has one.
    """
    if problem.objective == CUT_EDGES:
        return Rates(cost=0.0, border=1.0 / CUT_EDGES_PER_ENERGY)
    n_units, n_territories = len(alignment), len(problem.targets)
    plan = make_working_plan(problem, bands, links, alignment)
    unit_cost = float(plan.cost.sum()) / n_units or 1.0
    is_discouraging = bool((problem.edge_weight < 1.0).any())
    border = problem.cut_price * n_units / n_territories if is_discouraging else 0.0
    return Rates(cost=1.0 / unit_cost, border=border)
