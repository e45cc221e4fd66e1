"""Straight distances between units."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray
from balancing.compiled import compiled_in_place
from balancing.problem import Problem


@compiled_in_place
def distance(problem: Problem, one: int, other: int) -> float:
    """Return the distance between two units."""
    dx, dy = problem.x[one] - problem.x[other], problem.y[one] - problem.y[other]
    return float(np.sqrt(dx * dx + dy * dy))


@compiled_in_place
def add_to_reach(problem: Problem, reach: FloatArray, unit: int, sign: float) -> None:
    """Add to (n,) sums, or take away, mass times distance from `unit` to each unit."""
    weight, x, y = sign * problem.mass[unit], problem.x[unit], problem.y[unit]
    for other in range(len(reach)):
        dx, dy = x - problem.x[other], y - problem.y[other]
        reach[other] += weight * np.sqrt(dx * dx + dy * dy)
