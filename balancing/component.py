"""One connected component from start to finish: starts, annealing, repair, polish."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from balancing.annealing import Schedule, anneal
from balancing.arrays import IntArray
from balancing.best_plan import BestPlan, mean_cost
from balancing.observer import Monitor, Phase
from balancing.population import search_population
from balancing.problem import Bands, Problem
from balancing.refinement import ShouldStop, polish, repair_balance
from balancing.starts import Start, bisection_start, diagram_points, diagram_start, leashed
from balancing.state import State, make_state

# Above this the dense curvature of a power diagram costs more than it brings.
MOST_DIAGRAM_TERRITORIES = 1500

# Annealing aims at bands this part as wide, which leaves room for rounding.
AIM = 0.7
N_SWEEPS = 64
WORST_START = 1.5
# Rounds of repair of one attempt, and of all together: what 200 rounds have not found is
# hardly ever there.
N_REPAIR_ROUNDS, MOST_REPAIR_ROUNDS = 60, 200
# Proposals per border unit, and in all what a small border gets with at most a thousand each.
COLD_PROPOSALS_PER_UNIT, COLD_PROPOSALS = 60, 500_000
HOT_PROPOSALS_PER_UNIT, HOT_PROPOSALS = 300, 60_000
MOST_PROPOSALS_PER_UNIT = 1000

# With fewer units per territory packing decides and not place: runs without prices, hot, from
# several starts, do better than one guided by prices (research/solver.md, section 4;
# research/published_instances.md, section 2). They are also tried when all else failed.
FEW_UNITS_PER_TERRITORY = 50
# Where a population of short runs beats the power diagram: always with so few units, and up
# to the second number with few units per territory or without ring order.
FEW_UNITS, MOST_POPULATION_UNITS = 1500, 3000
HOT_PROPOSALS_IN_ALL = 6_000_000
HOT_RUNS_PER_START = 8

# Where in a run the starts are made and the cold attempts end, and where in an attempt
# annealing and repair end: for progress only, estimated from oh28k.
LEASHED, STARTED, COOLED = 0.1, 0.6, 0.8
ANNEALED, REPAIRED = 0.6, 0.9


class Found(NamedTuple):
    """What a search ends with.

    Attributes
    ----------
    alignment
        (n,) the best plan.
    n_starts
        Starts it was chosen from.
    spread
        How much dearer the dearest start was than the cheapest, a fraction; None where starts
        are not comparable.
    """

    alignment: IntArray
    n_starts: int
    spread: float | None


class ComponentSearch:
    """Search for a plan of one connected component with two territories or more.

    From the first start on it holds a valid plan, so the monitor can end it at any report.
    """

    def __init__(
        self,
        problem: Problem,
        bands: Bands,
        is_ring_ordered: bool,
        generator: np.random.Generator,
        monitor: Monitor,
    ) -> None:
        self._problem = problem
        self._is_ring_ordered = is_ring_ordered
        self._unit_cost = 1.0
        self._n_rounds_left = MOST_REPAIR_ROUNDS
        self._bands = bands
        self._generator = generator
        self._monitor = monitor

    def run(self, n_starts: int) -> Found:
        """Return the best plan found; every territory connected and not empty."""
        if self._suits_population():
            return self._search_population()
        wanted = self._problem
        if np.any(wanted.lock >= 0) and not self._has_many_territories():
            generator, self._generator = self._generator.spawn(2)
            self._problem = leashed(wanted, generator, self._reporter("starting", 0.0, LEASHED))
        starts = self._make_starts(n_starts)
        self._unit_cost = mean_cost(wanted, self._bands, starts[0].alignment)
        best = BestPlan(wanted, self._bands, starts[0].alignment, self._unit_cost)
        self._monitor.best_imbalance = best.imbalance
        self._improve_cold(best, starts[:1] if self._has_few_units() else starts)
        if self._has_few_units() or not best.is_balanced:
            self._improve_hot(best, starts, n_starts)
        costs = np.array([start.cost for start in starts])
        spread = None
        if np.isfinite(costs).all():
            # A start that did not get balanced is no measure of what other centres could do.
            usable = costs[costs < WORST_START * costs.min()]
            spread = float(usable.max() / usable.min() - 1)
        return Found(best.alignment, len(starts), spread)

    def _suits_population(self) -> bool:
        n_units = len(self._problem.mass)
        if n_units <= FEW_UNITS:
            return True
        is_hard = self._has_few_units() or not self._is_ring_ordered
        return is_hard and n_units <= MOST_POPULATION_UNITS

    def _has_many_territories(self) -> bool:
        return len(self._problem.targets) > MOST_DIAGRAM_TERRITORIES

    def _search_population(self) -> Found:
        def should_stop(fraction: float, best_imbalance: float | None) -> bool:
            self._monitor.best_imbalance = best_imbalance
            return self._monitor.report("searching", fraction)

        alignment = search_population(self._problem, self._bands, self._generator, should_stop)
        return Found(alignment, 1, None)

    def _has_few_units(self) -> bool:
        n_units, n_territories = len(self._problem.mass), len(self._problem.targets)
        return n_units < FEW_UNITS_PER_TERRITORY * n_territories

    def _make_starts(self, n_starts: int) -> list[Start]:
        """Starts, the cheapest first; made side by side, one to a core."""
        if self._has_many_territories():
            return [bisection_start(self._problem, self._generator)]
        points = diagram_points(self._problem)
        should_stop = self._reporter("starting", LEASHED, STARTED)
        if np.all(self._problem.pull == 1):
            n_starts = 1  # with all centres given there is nothing to vary

        def make(generator: np.random.Generator) -> Start:
            return diagram_start(self._problem, points, generator, should_stop)

        generators = self._generator.spawn(n_starts)
        with ThreadPoolExecutor(min(n_starts, os.cpu_count() or 1)) as pool:
            starts = list(pool.map(make, generators))
        return sorted(starts, key=lambda start: start.cost)

    def _improve_cold(self, best: BestPlan, starts: list[Start]) -> None:
        """Anneal the cheapest start under its prices, then others until one is balanced."""
        for number, start in enumerate(starts):
            if (number > 0 and best.is_balanced) or self._monitor.is_stopped:
                return
            state = make_state(self._problem, start.alignment)
            n_proposals = _budget(state, COLD_PROPOSALS_PER_UNIT, COLD_PROPOSALS)
            schedule = Schedule(3e-4, 3e-6, 30.0, 1e5, N_SWEEPS, n_proposals // N_SWEEPS + 1)
            window = _part(STARTED, COOLED, number, len(starts))
            self._improve(best, state, start, schedule, window)

    def _improve_hot(self, best: BestPlan, starts: list[Start], n_starts: int) -> None:
        """Anneal without prices, the starts first, then fresh halvings."""
        state = make_state(self._problem, best.alignment)
        n_proposals = _budget(state, HOT_PROPOSALS_PER_UNIT, HOT_PROPOSALS)
        schedule = Schedule(0.05, 3e-6, 10.0, 1e5, N_SWEEPS, n_proposals // N_SWEEPS + 1)
        n_runs = HOT_PROPOSALS_IN_ALL // (n_proposals + 1)
        n_runs = max(n_starts, min(n_runs, HOT_RUNS_PER_START * n_starts))
        for number in range(n_runs):
            if self._monitor.is_stopped or (best.is_balanced and not self._has_few_units()):
                return
            if number < len(starts):
                start = starts[number]._replace(prices=np.zeros_like(starts[number].prices))
            else:
                start = bisection_start(self._problem, self._generator)
            state = make_state(self._problem, start.alignment)
            self._improve(best, state, start, schedule, _part(COOLED, 1.0, number, n_runs))

    def _improve(
        self,
        best: BestPlan,
        state: State,
        start: Start,
        schedule: Schedule,
        window: tuple[float, float],
    ) -> None:
        """Anneal, repair and polish a start, and offer the outcome."""
        problem, bands, generator = self._problem, self._bands, self._generator
        unit_cost = self._unit_cost
        first, last = window
        annealed, repaired = (first + (last - first) * part for part in (ANNEALED, REPAIRED))
        anneal(
            problem,
            state,
            bands.narrowed(AIM),
            start.prices,
            schedule,
            unit_cost,
            generator,
            self._reporter("annealing", first, annealed),
        )
        plan = BestPlan(problem, bands, state.alignment, unit_cost)
        self._n_rounds_left -= repair_balance(
            problem,
            plan,
            bands,
            start.prices,
            unit_cost,
            min(N_REPAIR_ROUNDS, self._n_rounds_left),
            generator,
            self._reporter("repairing", annealed, repaired),
        )
        polish(
            problem,
            plan,
            bands,
            unit_cost,
            generator,
            self._reporter("polishing", repaired, last),
        )
        if best.offer(plan.alignment) and problem is not best.problem:
            # Leashed territories are polished once more as they were asked for.
            polish(
                best.problem,
                best,
                bands,
                unit_cost,
                generator,
                self._reporter("polishing", last, last),
            )
        self._monitor.best_imbalance = best.imbalance

    def _reporter(self, phase: Phase, first: float, last: float) -> ShouldStop:
        """Report fractions of a phase that lasts from `first` to `last` of the run."""

        def should_stop(fraction: float) -> bool:
            return self._monitor.report(phase, first + (last - first) * fraction)

        return should_stop


def _budget(state: State, per_unit: int, small: int) -> int:
    """Proposals for an annealing run from the given state."""
    n_border = int(state.border_size[0])
    return max(per_unit * n_border, min(small, MOST_PROPOSALS_PER_UNIT * n_border))


def _part(first: float, last: float, number: int, count: int) -> tuple[float, float]:
    """The window of attempt `number` of `count` between `first` and `last`."""
    width = (last - first) / count
    return first + number * width, first + (number + 1) * width
