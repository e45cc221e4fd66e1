"""Where a search begins: power diagrams where space guides, plain halving where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.bisection import bisect, centres_of
from balancing.coarsening import Points, coarsen
from balancing.power_diagram import balanced_power_diagram, nearest_territory
from balancing.problem import Problem
from balancing.repair import make_valid

# Points without activity must not vanish from centroids altogether.
POINT_FLOOR = 1e-6


class Start(NamedTuple):
    """A plan to improve.

    Attributes
    ----------
    alignment
        (n,) valid plan.
    prices
        (k,) prices under which it is a rounded power diagram; zeros where it is none.
    cost
        What starts are compared by, less is better.
    """

    alignment: IntArray
    prices: FloatArray
    cost: float


def diagram_points(problem: Problem) -> Points:
    """Return the weighted points that power diagrams of this problem are made of.

    A unit heavier than a territory counts as one territory: it will be alone in it, and the
    rest is to be shared among the others.
    """
    weight = np.minimum(problem.activity[:, 0], 1.0)
    n_units, n_territories = len(weight), len(problem.targets)
    weight = weight + POINT_FLOOR * n_territories / n_units
    return coarsen(problem.x, problem.y, weight, n_territories)


def diagram_start(
    problem: Problem,
    points: Points,
    generator: np.random.Generator,
    should_stop: Callable[[float], bool],
) -> Start:
    """Return a balanced centroidal power diagram, rounded to whole units and repaired."""
    n_territories = len(problem.targets)
    targets = problem.targets[:, 0] * points.mass.sum() / n_territories
    guess = bisect(points.x, points.y, points.mass, targets, generator)
    centres = centres_of(points.x, points.y, points.mass, guess, n_territories)
    diagram = balanced_power_diagram(points, targets, centres, should_stop)
    nearest = nearest_territory(problem.x, problem.y, diagram.centres, diagram.prices)
    alignment = make_valid(problem, nearest, diagram.centres, diagram.prices)
    # A diagram that did not get balanced is cheap for the wrong reason.
    return Start(alignment, diagram.prices, diagram.cost * (1 + diagram.residual))


def bisection_start(problem: Problem, generator: np.random.Generator) -> Start:
    """Return a recursive halving of the units, repaired."""
    n_territories = len(problem.targets)
    shares = problem.targets[:, 0]
    guess = bisect(problem.x, problem.y, problem.mass, shares, generator)
    centres = centres_of(problem.x, problem.y, problem.mass, guess, n_territories)
    prices = np.zeros(n_territories)
    return Start(make_valid(problem, guess, centres, prices), prices, np.inf)
