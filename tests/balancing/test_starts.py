import numpy as np
import pytest

from balancing.starts import LEASHES, bisection_start, leashed
from tests.balancing.patches import hexagon_instance, one_component_problem, parallelogram
from tests.balancing.test_population import are_connected

INSTANCE = hexagon_instance(parallelogram(12, 12), np.ones(144))
CORNER, OPPOSITE = 0, 143


def locked(**territory_of_unit):
    lock = np.full(INSTANCE.n_units, -1, np.int32)
    for unit, territory in territory_of_unit.items():
        lock[int(unit.removeprefix("u"))] = territory
    return one_component_problem(INSTANCE, 4, lock=lock)[0]


def never(fraction):
    return False


def test_a_territory_locked_to_both_ends_is_drawn_to_one_of_them_as_hard_as_it_goes():
    problem = locked(u0=0, u143=0, u11=1)

    drawn = leashed(problem, np.random.default_rng(0), never)

    assert drawn.pull.tolist() == [LEASHES[-1], 0, 0, 0]
    ends = {(problem.x[unit], problem.y[unit]) for unit in (CORNER, OPPOSITE)}
    assert (drawn.anchor_x[0], drawn.anchor_y[0]) in ends


def test_a_territory_that_lies_about_its_locked_unit_is_left_alone():
    problem = locked(u0=0)

    drawn = leashed(problem, np.random.default_rng(0), never)

    assert not drawn.pull.any()


@pytest.mark.parametrize("seed", range(3))
def test_a_halving_is_a_plan_that_keeps_locks_and_is_no_cheaper_than_any_other(seed):
    problem = locked(u0=3, u143=1)

    start = bisection_start(problem, np.random.default_rng(seed))

    assert are_connected(problem, start.alignment)
    assert (start.alignment[CORNER], start.alignment[OPPOSITE]) == (3, 1)
    assert start.cost == np.inf
