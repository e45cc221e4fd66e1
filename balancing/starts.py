"""Where a search begins: power diagrams where space guides, plain halving where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from balancing.arrays import FloatArray, IntArray
from balancing.bisection import bisect, centres_of
from balancing.coarsening import Points, coarsen
from balancing.power_diagram import Anchors, Diagram, balanced_power_diagram, nearest_territory
from balancing.problem import MOMENT_OF_INERTIA, Problem
from balancing.repair import make_valid

# Points without activity must not vanish from centroids altogether.
POINT_FLOOR = 1e-6

# Directions that many homes at one place are moved apart in, and how far, as a part of the
# mean distance between centres.
GOLDEN_ANGLE = 2.399963
STEP_APART = 0.01

# Pulls tried on territories that lie away from a unit locked to them.
LEASHES = (0.2, 0.5, 0.8)


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
    diagram, nearest, surcharge = _diagram(problem, points, generator, should_stop)
    alignment = make_valid(problem, nearest, diagram.centres, diagram.prices)
    prices = np.zeros_like(diagram.prices)
    if problem.objective == MOMENT_OF_INERTIA:
        prices = diagram.prices + surcharge
    # A diagram that did not get balanced is cheap for the wrong reason.
    return Start(alignment, prices, diagram.cost * (1 + diagram.residual))


def leashed(
    problem: Problem, generator: np.random.Generator, should_stop: Callable[[float], bool]
) -> Problem:
    """Return the problem with territories drawn to their locked unit where it takes that.

    The best place for a territory may be far from a unit it must hold; it would reach it by
    a long arm, and balance would be hard to find. Those that do so are drawn towards the
    unit, more and more, until it lies inside or the last pull is reached.
    """
    points = diagram_points(problem)
    locked = np.flatnonzero(problem.lock >= 0)
    territories = problem.lock[locked]
    for pull in LEASHES:
        nearest = _diagram(problem, points, generator, should_stop)[1]
        is_away = (nearest[locked] != territories) & (problem.pull[territories] < pull)
        if not is_away.any():
            break
        away, units = territories[is_away], locked[is_away]
        anchor_x, anchor_y = problem.anchor_x.copy(), problem.anchor_y.copy()
        anchor_x[away], anchor_y[away] = problem.x[units], problem.y[units]
        pulls = problem.pull.copy()
        pulls[away] = pull
        problem = problem._replace(anchor_x=anchor_x, anchor_y=anchor_y, pull=pulls)
    return problem


def _diagram(
    problem: Problem,
    points: Points,
    generator: np.random.Generator,
    should_stop: Callable[[float], bool],
) -> tuple[Diagram, IntArray, FloatArray]:
    """Return a balanced diagram, (n,) whose each unit is, (k,) what the anchors cost extra."""
    targets = problem.targets[:, 0] * points.mass.sum() / len(problem.targets)
    anchors = Anchors(_apart(problem), problem.pull)
    centres = _first_centres(problem, points, targets, anchors, generator)
    diagram = balanced_power_diagram(points, targets, centres, anchors, should_stop)
    nearest = nearest_territory(problem.x, problem.y, diagram.centres, diagram.prices)
    return diagram, nearest, anchors.surcharge(diagram.centres)


def bisection_start(problem: Problem, generator: np.random.Generator) -> Start:
    """Return a recursive halving of the units, repaired."""
    n_territories = len(problem.targets)
    shares = problem.targets[:, 0]
    guess = bisect(problem.x, problem.y, problem.mass, shares, generator)
    centres = centres_of(problem.x, problem.y, problem.mass, guess, n_territories)
    prices = np.zeros(n_territories)
    return Start(make_valid(problem, guess, centres, prices), prices, np.inf)


def _apart(problem: Problem) -> FloatArray:
    """(k, 2) anchors, those at one place moved a little apart: no prices could divide them."""
    places = np.stack([problem.anchor_x, problem.anchor_y], axis=1)
    drawn = np.flatnonzero(problem.pull > 0)
    _, first = np.unique(places[drawn], axis=0, return_index=True)
    doubles = np.delete(drawn, first)
    angles = GOLDEN_ANGLE * np.arange(1, len(doubles) + 1)
    step = STEP_APART / np.sqrt(len(places))
    places[doubles] += step * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return places


def _first_centres(
    problem: Problem,
    points: Points,
    targets: FloatArray,
    anchors: Anchors,
    generator: np.random.Generator,
) -> FloatArray:
    """Return (k, 2) centres to begin with: of a bisection, fitted to what is given.

    Territories with an anchor or a locked unit begin there. The others take the centres of
    a bisection that are left when those next to the given ones have been struck off (a
    least-cost matching).
    """
    n_territories = len(targets)
    guess = bisect(points.x, points.y, points.mass, targets, generator)
    centres = centres_of(points.x, points.y, points.mass, guess, n_territories)
    given = anchors.pull > 0
    places = anchors.places.copy()
    locked = np.flatnonzero(problem.lock >= 0)
    locked = locked[~given[problem.lock[locked]]]
    given[problem.lock[locked]] = True
    places[problem.lock[locked]] = np.stack([problem.x[locked], problem.y[locked]], axis=1)
    if not given.any():
        return centres
    rows = np.flatnonzero(given)
    squares = ((places[rows, None] - centres[None]) ** 2).sum(axis=2)
    _, struck = linear_sum_assignment(squares)
    left = np.delete(np.arange(n_territories), struck)
    fitted = places.copy()
    fitted[~given] = centres[left]
    return fitted
