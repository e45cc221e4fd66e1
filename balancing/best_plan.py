"""The best of several plans."""

from __future__ import annotations

import numpy as np

from balancing.arrays import IntArray
from balancing.compiled import compiled
from balancing.problem import Bands, Problem
from balancing.state import Tally, inertia, tally, total_breach


class BestPlan:
    """Keeps the best of the plans offered: least breach first, then least inertia."""

    def __init__(self, problem: Problem, bands: Bands, alignment: IntArray) -> None:
        self._problem = problem
        self._bands = bands
        self.breach = np.inf
        self.inertia = np.inf
        self.alignment = alignment
        self.offer(alignment)

    @property
    def is_balanced(self) -> bool:
        """Whether every territory keeps its bands."""
        return self.breach == 0.0

    @property
    def imbalance(self) -> float:
        """Largest deviation from the component's own targets."""
        return largest_deviation(self._problem, tally(self._problem, self.alignment))

    def offer(self, alignment: IntArray) -> bool:
        """Keep a copy of the plan if it is better; return whether it was."""
        sums = tally(self._problem, alignment)
        score = (total_breach(self._problem, self._bands, sums), inertia(sums))
        if score >= (self.breach, self.inertia):
            return False
        self.breach, self.inertia = score
        self.alignment = alignment.copy()
        return True


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
