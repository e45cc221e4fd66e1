"""The best of several plans."""

from __future__ import annotations

import numpy as np

from balancing.arrays import IntArray
from balancing.compiled import compiled
from balancing.objective import cut_weight, total_cost
from balancing.problem import Bands, Problem
from balancing.state import Tally, place_centres, tally, total_breach


class BestPlan:
    """Keeps the best of the plans offered: least breach first, then least energy.

    The energy is the objective plus the priced cut edges, in units of `unit_cost`.
    """

    def __init__(
        self, problem: Problem, bands: Bands, alignment: IntArray, unit_cost: float
    ) -> None:
        self.problem = problem
        self._bands = bands
        self._unit_cost = unit_cost
        self.breach = np.inf
        self.energy = np.inf
        self.alignment = alignment
        self.offer(alignment)

    @property
    def is_balanced(self) -> bool:
        """Whether every territory keeps its bands, and every unit the radius."""
        return self.breach == 0.0

    @property
    def imbalance(self) -> float:
        """Largest deviation from the component's own targets."""
        return largest_deviation(self.problem, tally(self.problem, self.alignment))

    def offer(self, alignment: IntArray) -> bool:
        """Keep a copy of the plan if it is better; return whether it was."""
        problem = self.problem
        breach, cost = _score(problem, self._bands, alignment)
        energy = cost / self._unit_cost + problem.cut_price * cut_weight(problem, alignment)
        if (breach, energy) >= (self.breach, self.energy):
            return False
        self.breach, self.energy = breach, energy
        self.alignment = alignment.copy()
        return True


def mean_cost(problem: Problem, bands: Bands, alignment: IntArray) -> float:
    """Return a territory's mean share of the objective, never 0."""
    _, cost = _score(problem, bands, alignment)
    return cost / len(problem.targets) or 1.0


def _score(problem: Problem, bands: Bands, alignment: IntArray) -> tuple[float, float]:
    sums = tally(problem, alignment)
    centre_x, centre_y = np.empty_like(sums.mass), np.empty_like(sums.mass)
    place_centres(problem, alignment, sums, centre_x, centre_y)
    breach = total_breach(problem, bands, alignment, sums, centre_x, centre_y)
    return breach, total_cost(problem, alignment, sums, centre_x, centre_y)


@compiled
def largest_deviation(problem: Problem, sums: Tally) -> float:
    """Return the largest |load / target - 1| over territories and measures."""
    largest = 0.0
    for territory in range(problem.targets.shape[0]):
        for measure in range(problem.targets.shape[1]):
            inverse = problem.inverse_targets[territory, measure]
            if inverse > 0:
                deviation = sums.loads[territory, measure] * inverse - 1.0
                largest = max(largest, abs(deviation))
    return largest
