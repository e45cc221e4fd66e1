"""Moved accumulators against sums from scratch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing.measures import cut_edges, moments_of_inertia, territory_sums
from balancing.objective import cost_change, cut_change, cut_weight, inertia, total_cost
from balancing.state import breach_change, make_state, move, tally, total_breach
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


@st.composite
def problems(draw):
    """An instance with any objective, pulls, edge weights, perhaps a radius."""
    instance = draw(instances())
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_links = len(instance.graph.indices)
    return instance, one_component_problem(
        instance,
        N_TERRITORIES,
        objective=draw(st.sampled_from(("moment_of_inertia", "cut_edges"))),
        edge_weight=np.full(n_links, generator.uniform(-1, 2)),
        anchor_x_m=generator.uniform(0, 8000, N_TERRITORIES),
        anchor_y_m=generator.uniform(0, 8000, N_TERRITORIES),
        pull=generator.choice([0.0, 0.3, 1.0], N_TERRITORIES),
    )


@settings(deadline=None, max_examples=40)
@given(problems(), st.integers(0, 2**32 - 1))
def test_each_announced_change_is_the_difference_from_scratch(drawn, seed):
    instance, (problem, bands) = drawn
    before = random_alignment(instance, seed)
    unit = seed % instance.n_units
    home, to = before[unit], (before[unit] + 1) % N_TERRITORIES
    after = before.copy()
    after[unit] = to
    old, new = make_state(problem, before), make_state(problem, after)

    arguments = (unit, home, to)
    assert cost_change(problem, old, *arguments) == pytest.approx(
        cost_of(problem, new) - cost_of(problem, old), abs=1e-9, rel=1e-9
    )
    assert breach_change(problem, bands, old, *arguments) == pytest.approx(
        breach_of(problem, bands, new) - breach_of(problem, bands, old), abs=1e-9, rel=1e-9
    )
    assert cut_change(problem, before, *arguments) == pytest.approx(
        cut_weight(problem, after) - cut_weight(problem, before)
    )


def cost_of(problem, state):
    return total_cost(problem, state.alignment, state.tally, state.centre_x, state.centre_y)


def breach_of(problem, bands, state):
    centres = (state.centre_x, state.centre_y)
    return total_breach(problem, bands, state.alignment, state.tally, *centres)


@settings(deadline=None, max_examples=20)
@given(instances(most_components=1), st.integers(0, 2**32 - 1))
def test_distance_with_resting_centres_and_radius_change_as_announced(instance, seed):
    problem, bands = one_component_problem(
        instance, N_TERRITORIES, objective="total_distance", max_radius_m=900.0
    )
    before = random_alignment(instance, seed)
    unit = seed % instance.n_units
    home, to = int(before[unit]), int((before[unit] + 1) % N_TERRITORIES)
    old = make_state(problem, before)
    new = make_state(problem, before)
    new.alignment[unit] = to
    centres = (old.centre_x, old.centre_y)

    assert cost_change(problem, old, unit, home, to) == pytest.approx(
        total_cost(problem, new.alignment, new.tally, *centres) - cost_of(problem, old), abs=1e-9
    )
    moved = make_state(problem, new.alignment)
    assert breach_change(problem, bands, old, unit, home, to) == pytest.approx(
        total_breach(problem, bands, moved.alignment, moved.tally, *centres)
        - breach_of(problem, bands, old),
        abs=1e-9,
        rel=1e-9,
    )


@settings(deadline=None, max_examples=20)
@given(instances(), st.integers(0, 2**32 - 1))
def test_the_weight_of_unweighted_cuts_is_their_number(instance, seed):
    problem, _ = one_component_problem(instance, N_TERRITORIES)
    alignment = random_alignment(instance, seed)

    assert cut_weight(problem, alignment) == cut_edges(instance.graph, alignment)


@settings(deadline=None, max_examples=20)
@given(instances(most_components=1), st.integers(0, 2**32 - 1))
def test_the_scaled_inertia_is_the_one_in_metres(instance, seed):
    problem, _ = one_component_problem(instance, N_TERRITORIES)
    alignment = random_alignment(instance, seed)

    in_metres = moments_of_inertia(
        instance.x_m, instance.y_m, problem.mass, alignment, N_TERRITORIES
    ).sum()

    spread_m = np.ptp(instance.x_m) / max(np.ptp(problem.x), 1e-300)
    assert inertia(problem, tally(problem, alignment)) * spread_m**2 == pytest.approx(
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
