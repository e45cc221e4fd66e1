"""Moved accumulators against sums from scratch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing.measures import cut_edges, moments_of_inertia, territory_sums
from balancing.state import (
    breach_change,
    cut_change,
    inertia,
    inertia_change,
    make_state,
    move,
    tally,
    total_breach,
)
from tests.balancing.patches import (
    hexagon_instance,
    instances,
    one_component_problem,
    parallelogram,
)

N_TERRITORIES = 4


def random_alignment(instance, seed):
    return np.random.default_rng(seed).integers(0, N_TERRITORIES, instance.n_units, np.int32)


@settings(deadline=None, max_examples=40)
@given(instances(), st.integers(0, 2**32 - 1))
def test_moved_sums_and_border_agree_with_fresh_ones_after_any_moves(instance, seed):
    problem, _ = one_component_problem(instance, N_TERRITORIES)
    state = make_state(problem, random_alignment(instance, seed))
    generator = np.random.default_rng(seed)

    for _ in range(30):
        unit, to = generator.integers(instance.n_units), generator.integers(N_TERRITORIES)
        move(problem, state, int(unit), int(to))

    fresh = make_state(problem, state.alignment)
    for moved, counted in zip(state.tally, fresh.tally, strict=True):
        assert np.allclose(moved, counted, atol=1e-9)
    members = state.border[: state.border_size[0]]
    assert sorted(members) == sorted(fresh.border[: fresh.border_size[0]])
    assert np.array_equal(state.border[state.border_position[members]], members)


@settings(deadline=None, max_examples=40)
@given(instances(), st.integers(0, 2**32 - 1))
def test_each_announced_change_is_the_difference_from_scratch(instance, seed):
    problem, bands = one_component_problem(instance, N_TERRITORIES)
    before = random_alignment(instance, seed)
    unit = seed % instance.n_units
    home, to = before[unit], (before[unit] + 1) % N_TERRITORIES
    after = before.copy()
    after[unit] = to
    old, new = tally(problem, before), tally(problem, after)

    arguments = (unit, home, to)
    assert inertia_change(problem, old, *arguments) == pytest.approx(
        inertia(new) - inertia(old), abs=1e-9
    )
    assert breach_change(problem, bands, old, *arguments) == pytest.approx(
        total_breach(problem, bands, new) - total_breach(problem, bands, old), abs=1e-9, rel=1e-9
    )
    assert cut_change(problem, before, *arguments) == cut_edges(instance.graph, after) - cut_edges(
        instance.graph, before
    )


@settings(deadline=None, max_examples=20)
@given(instances(most_components=1), st.integers(0, 2**32 - 1))
def test_the_scaled_inertia_is_the_one_in_metres(instance, seed):
    problem, _ = one_component_problem(instance, N_TERRITORIES)
    alignment = random_alignment(instance, seed)

    in_metres = moments_of_inertia(
        instance.x_m, instance.y_m, problem.mass, alignment, N_TERRITORIES
    ).sum()

    spread_m = np.ptp(instance.x_m) / max(np.ptp(problem.x), 1e-300)
    assert inertia(tally(problem, alignment)) * spread_m**2 == pytest.approx(
        in_metres, rel=1e-6, abs=1e-3
    )


def test_only_border_units_of_open_territories_take_part():
    instance = hexagon_instance(parallelogram(6, 1), np.ones(6))
    problem, _ = one_component_problem(instance, 3)
    alignment = np.array([0, 0, 1, 1, 2, 2], np.int32)

    state = make_state(problem, alignment, is_open=np.array([True, True, False]))

    assert sorted(state.border[: state.border_size[0]]) == [1, 2, 3]


def test_sums_by_territory_add_up_to_the_whole():
    instance = hexagon_instance(parallelogram(3, 2), np.arange(12).reshape(6, 2))

    sums = territory_sums(instance.activity, np.array([0, 0, 1, 1, 2, 2], np.int32), 3)

    assert sums.tolist() == [[2, 4], [10, 12], [18, 20]]
