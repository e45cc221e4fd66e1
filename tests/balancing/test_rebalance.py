from dataclasses import replace
from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from balancing import ParameterError, Parameters, Requirements, connected_components, design
from balancing.layout import lay_out
from balancing.move_bound import least_moved_work
from balancing.move_policy import MoveLimit, MovePolicy
from balancing.rebalance import rebalance
from balancing.verify import verify
from tests.balancing.patches import (
    examples,
    hexagon_instance,
    instances,
    parallelogram,
    path_instance,
)
from tests.balancing.test_design import assert_is_plan
from tests.balancing.test_graph import as_networkx

QUICK = MovePolicy(prices=(1.0,))


def grown_alignment(graph, n_territories, generator):
    """(n,) connected territories, at least one in each component, grown from random units."""
    label = connected_components(graph)
    _, first = np.unique(label, return_index=True)
    others = np.setdiff1d(np.arange(graph.n_units), first)
    seeds = [*first, *generator.permutation(others)[: n_territories - len(first)]]
    alignment = np.full(graph.n_units, -1, np.int32)
    alignment[seeds] = np.arange(len(seeds))
    while np.any(alignment < 0):
        unit = generator.choice(np.flatnonzero(alignment < 0))
        owners = alignment[graph.neighbours(unit)]
        if np.any(owners >= 0):
            alignment[unit] = generator.choice(owners[owners >= 0])
    return alignment


@st.composite
def tasks(draw):
    """An instance, wishes, a connected incumbent with perhaps some new units, and a policy."""
    instance = draw(instances())
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_components = int(connected_components(instance.graph).max()) + 1
    n_territories = draw(st.integers(n_components, min(instance.n_units, n_components + 4)))
    incumbent = grown_alignment(instance.graph, n_territories, generator)
    if draw(st.booleans()):
        incumbent[generator.random(instance.n_units) < 0.1] = -1
    parameters = Parameters(
        n_territories=n_territories,
        tolerances=(draw(st.sampled_from((0.05, 0.2, 0.5))),) * instance.n_measures,
        n_starts=1,
    )
    shares = st.sampled_from((0.0, 0.05, 0.2, 1.0))
    policy = MovePolicy(
        prices=(0.3, 3.0),
        limits=(
            MoveLimit("work", instance.activity[:, 0], draw(shares)),
            MoveLimit("customers", generator.integers(0, 9, instance.n_units), draw(shares)),
        ),
        most_units_per_territory=draw(st.sampled_from((None, 0, 3))),
        is_protected=generator.random(instance.n_units) < draw(st.sampled_from((0.0, 0.3))),
        price_factors=generator.uniform(0, 5, instance.n_units),
        most_objective=2.0,
    )
    return instance, parameters, incumbent, policy


def moved_units(incumbent, alignment):
    return (incumbent >= 0) & (incumbent != alignment)


@settings(deadline=None, max_examples=examples(15))
@given(tasks(), st.integers(0, 1000))
def test_every_plan_is_whole_connected_and_scored_as_it_is(task, seed):
    instance, parameters, incumbent, policy = task

    found = rebalance(instance, parameters, incumbent, policy, seed)

    work = instance.activity[:, 0]
    for option in found.options:
        assert_is_plan(instance, option.result)
        verify(instance, option.result, parameters)
        is_moved = moved_units(incumbent, option.result.alignment)
        assert option.moved_work == pytest.approx(work[is_moved].sum() / work.sum())
        assert option.n_moved == np.count_nonzero(is_moved)


@settings(deadline=None, max_examples=examples(15))
@given(tasks(), st.integers(0, 1000))
def test_what_is_picked_never_breaks_the_budget_nor_moves_what_is_protected(task, seed):
    instance, parameters, incumbent, policy = task

    found = rebalance(instance, parameters, incumbent, policy, seed)

    if found.plan is None:
        assert found.code == "nothing_within_budget"
        assert not found.options[0].is_within_budget
        return
    is_moved = moved_units(incumbent, found.plan.result.alignment)
    for limit in policy.limits:
        total = max(limit.weight.sum(), 1e-300)
        assert limit.weight[is_moved].sum() <= limit.share * total + 1e-9 * total
    assert not np.any(is_moved & policy.is_protected)
    if policy.most_units_per_territory is not None:
        ends = np.concatenate((incumbent[is_moved], found.plan.result.alignment[is_moved]))
        assert np.bincount(ends, minlength=1).max() <= policy.most_units_per_territory


@settings(deadline=None, max_examples=examples(10))
@given(tasks(), st.integers(0, 1000))
def test_plans_searched_for_keep_the_budget_wherever_the_incumbent_does(task, seed):
    instance, parameters, incumbent, policy = task

    found = rebalance(instance, parameters, incumbent, policy, seed)

    if found.options[0].is_within_budget:
        near = [option for option in found.options if option.origin == "rebalanced"]
        assert all(option.is_within_budget for option in near)


@settings(deadline=None, max_examples=examples(10))
@given(tasks(), st.integers(0, 1000))
def test_no_plan_within_tolerance_moves_less_than_the_bound(task, seed):
    instance, parameters, incumbent, policy = task

    found = rebalance(instance, parameters, incumbent, policy, seed)

    has_islands = int(connected_components(instance.graph).max()) > 0
    for option in found.options:
        if option.origin == "fresh" and has_islands:
            # It may share the territories out among the components in another way.
            continue
        if option.result.worst_imbalance[0] <= parameters.tolerances[0] + 1e-9:
            assert option.moved_work >= found.least_moved_work - 1e-9


@pytest.mark.machine_code
@settings(deadline=None, max_examples=examples(6))
@given(tasks(), st.integers(0, 1000))
def test_the_same_seed_gives_the_same_plans(task, seed):
    first, second = (rebalance(*task, seed) for _ in range(2))

    assert first.picked == second.picked
    for one, other in zip(first.options, second.options, strict=True):
        assert np.array_equal(one.result.alignment, other.result.alignment)


@settings(deadline=None, max_examples=examples(15))
@given(instances(), st.integers(0, 2**32 - 1))
def test_nothing_changes_while_all_is_within_the_triggers(instance, seed):
    generator = np.random.default_rng(seed)
    n_components = int(connected_components(instance.graph).max()) + 1
    n_territories = min(instance.n_units, n_components + 2)
    incumbent = grown_alignment(instance.graph, n_territories, generator)
    parameters = Parameters(
        n_territories=n_territories, tolerances=(0.01,) * instance.n_measures, n_starts=1
    )
    policy = replace(QUICK, triggers=(1000.0,) * instance.n_measures)

    found = rebalance(instance, parameters, incumbent, policy, 1)

    assert found.code == "within_triggers"
    assert np.array_equal(found.plan.result.alignment, incumbent)
    assert len(found.options) == 1


def drifted(n_side=16, n_territories=5, tolerance=0.03):
    """A plan of even work, and the same units after work has shifted from west to east."""
    instance = hexagon_instance(parallelogram(n_side, n_side), np.ones(n_side**2))
    parameters = Parameters(n_territories=n_territories, tolerances=(tolerance,), n_starts=1)
    incumbent = design(instance, parameters, 0).alignment
    slope = 1 + 0.3 * (instance.x_m - instance.x_m.mean()) / np.ptp(instance.x_m)
    return replace(instance, activity=slope[:, None]), parameters, incumbent


@pytest.mark.machine_code
def test_a_drift_is_made_good_with_less_moving_than_a_fresh_plan():
    instance, parameters, incumbent = drifted()

    found = rebalance(instance, parameters, incumbent, MovePolicy(), 1)

    assert found.code == "least_moved"
    assert found.plan.origin == "rebalanced"
    fresh = next(option for option in found.options if option.origin == "fresh")
    assert found.plan.moved_work < fresh.moved_work


@pytest.mark.machine_code
def test_a_budget_too_small_is_used_as_far_as_it_goes():
    instance, parameters, incumbent = drifted()
    limit = MoveLimit("work", instance.activity[:, 0], 0.02)

    found = rebalance(instance, parameters, incumbent, MovePolicy(limits=(limit,)), 1)

    assert found.code == "tolerance_not_reached"
    assert 0 < found.plan.moved["work"] <= 0.02
    assert not found.plan.result.is_feasible
    assert found.plan.result.violations[0].code == "tolerance_not_met"


def test_without_any_budget_the_incumbent_stays():
    instance, parameters, incumbent = drifted()
    limit = MoveLimit("units", np.ones(instance.n_units), 0.0)

    found = rebalance(instance, parameters, incumbent, replace(QUICK, limits=(limit,)), 1)

    assert found.code == "nothing_gained"
    assert np.array_equal(found.plan.result.alignment, incumbent)


def test_new_units_join_a_neighbouring_territory_and_do_not_count_as_moved():
    instance = path_instance(np.ones(12))
    parameters = Parameters(n_territories=2, tolerances=(0.2,), n_starts=1)
    incumbent = np.repeat([0, 1], 6).astype(np.int32)
    incumbent[[0, 11]] = -1

    found = rebalance(instance, parameters, incumbent, QUICK, 1)

    assert found.code == "within_triggers"
    assert found.plan.n_moved == 0
    assert np.array_equal(found.plan.result.alignment, np.repeat([0, 1], 6))


def test_a_new_territory_is_given_units():
    instance = path_instance(np.ones(30))
    parameters = Parameters(n_territories=3, tolerances=(0.1,), n_starts=1)
    incumbent = np.repeat([0, 1], 15).astype(np.int32)

    found = rebalance(instance, parameters, incumbent, QUICK, 1)

    assert found.plan.result.is_feasible
    assert found.plan.moved_work >= found.least_moved_work >= 0.3


def test_protected_units_stay_even_when_their_territory_has_to_be_divided():
    instance = path_instance(np.ones(30))
    parameters = Parameters(n_territories=3, tolerances=(0.1,), n_starts=1)
    incumbent = np.repeat([0, 1], 15).astype(np.int32)
    is_protected = np.zeros(30, np.bool_)
    is_protected[:14] = True

    found = rebalance(instance, parameters, incumbent, replace(QUICK, is_protected=is_protected), 1)

    assert np.all(found.plan.result.alignment[:14] == 0)


def test_a_torn_incumbent_is_mended_though_it_is_in_balance():
    instance = path_instance(np.ones(10))
    parameters = Parameters(n_territories=2, tolerances=(0.5,), n_starts=1)
    incumbent = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 1], np.int32)

    found = rebalance(instance, parameters, incumbent, QUICK, 1)

    assert found.plan.n_moved == 1


def test_mending_beyond_the_budget_is_left_to_the_caller():
    instance = path_instance(np.ones(10))
    parameters = Parameters(n_territories=2, tolerances=(0.5,), n_starts=1)
    incumbent = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 1], np.int32)

    policy = replace(QUICK, most_units_per_territory=0)
    found = rebalance(instance, parameters, incumbent, policy, 1)

    assert found.plan is None
    assert found.code == "nothing_within_budget"
    assert found.options[0].n_moved == 1


def test_what_cannot_be_balanced_moves_nobody_every_night():
    activity = np.ones(20)
    activity[0] = 100.0
    instance = path_instance(activity)
    parameters = Parameters(n_territories=2, tolerances=(0.05,), n_starts=1)
    incumbent = np.repeat([0, 1], [1, 19]).astype(np.int32)

    found = rebalance(instance, parameters, incumbent, QUICK, 1)

    assert found.code == "nothing_gained"
    assert found.plan.n_moved == 0
    assert "unit_too_heavy" in {v.code for v in found.plan.result.violations}


def test_locks_and_closed_territories_are_kept():
    instance, parameters, incumbent = drifted(n_side=10, n_territories=4, tolerance=0.2)
    locks = np.where(incumbent == 2, 2, -1).astype(np.int32)
    parameters = replace(parameters, requirements=Requirements(locks=locks, closed=(2,)))

    found = rebalance(instance, parameters, incumbent, replace(QUICK, triggers=(0.2,)), 1)

    for option in found.options:
        assert np.array_equal(option.result.alignment == 2, incumbent == 2)


@pytest.mark.machine_code
def test_a_run_that_is_stopped_hands_back_valid_plans():
    instance, parameters, incumbent = drifted()

    found = rebalance(instance, parameters, incumbent, MovePolicy(), 1, lambda progress: True)

    assert found.is_cancelled
    assert found.plan is not None
    for option in found.options:
        assert_is_plan(instance, option.result)


def test_progress_never_falls_and_reaches_the_end():
    instance, parameters, incumbent = drifted(n_side=8, n_territories=3)
    fractions = []

    rebalance(
        instance, parameters, incumbent, QUICK, 1, lambda step: fractions.append(step.fraction)
    )

    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@settings(deadline=None, max_examples=examples(20))
@given(st.integers(0, 2**32 - 1), st.sampled_from((0.1, 0.3)), st.booleans())
def test_the_bound_is_never_above_the_best_there_is(seed, tolerance, has_new):
    generator = np.random.default_rng(seed)
    n_territories = int(generator.integers(2, 4))
    instance = hexagon_instance(parallelogram(4, 2), generator.uniform(0.2, 1, 8))
    incumbent = grown_alignment(instance.graph, n_territories, generator)
    if has_new:
        incumbent[generator.integers(8)] = -1
    parameters = Parameters(n_territories=n_territories, tolerances=(tolerance,), n_starts=1)

    layout = lay_out(instance, parameters, incumbent)
    bound = least_moved_work(instance, parameters, layout, incumbent)

    best = least_moved_by_trying_all(instance, n_territories, tolerance, incumbent)
    assert bound <= best + 1e-12


def least_moved_by_trying_all(instance, n_territories, tolerance, incumbent):
    work, graph = instance.activity[:, 0], as_networkx(instance.graph)
    target, best = work.sum() / n_territories, np.inf
    for numbers in product(range(n_territories), repeat=instance.n_units):
        alignment = np.array(numbers)
        sums = np.bincount(alignment, work, n_territories)
        moved = work[moved_units(incumbent, alignment)].sum() / work.sum()
        if moved >= best or np.abs(sums / target - 1).max() > tolerance:
            continue
        members = (np.flatnonzero(alignment == t) for t in range(n_territories))
        if all(nx.is_connected(graph.subgraph(part)) for part in members):
            best = moved
    return best


@settings(deadline=None, max_examples=examples(20))
@given(st.integers(0, 2**32 - 1))
def test_the_bound_is_at_most_the_flow_over_borders(seed):
    generator = np.random.default_rng(seed)
    instance = hexagon_instance(parallelogram(8, 8), generator.pareto(2, 64) + 0.1)
    incumbent = grown_alignment(instance.graph, 6, generator)
    parameters = Parameters(n_territories=6, tolerances=(0.05,), n_starts=1)

    layout = lay_out(instance, parameters, incumbent)
    bound = least_moved_work(instance, parameters, layout, incumbent)

    assert bound <= flow_over_borders(instance, incumbent, 6, 0.05) + 1e-9


def flow_over_borders(instance, incumbent, n_territories, tolerance):
    """Least total flow between neighbouring territories that evens out their work."""
    graph, work = instance.graph, instance.activity[:, 0]
    tails = np.repeat(incumbent, np.diff(graph.indptr))
    pairs = np.unique(np.stack([tails, incumbent[graph.indices]], axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    net = np.zeros((n_territories, len(pairs)))
    net[pairs[:, 1], np.arange(len(pairs))] += 1
    net[pairs[:, 0], np.arange(len(pairs))] -= 1
    sums = np.bincount(incumbent, work, n_territories)
    target = sums.sum() / n_territories
    upper, lower = (1 + tolerance) * target - sums, (1 - tolerance) * target - sums
    solved = linprog(np.ones(len(pairs)), np.vstack((net, -net)), np.hstack((upper, -lower)))
    return solved.fun / work.sum()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prices": ()}, "prices"),
        ({"prices": (-1.0,)}, "prices"),
        ({"most_units_per_territory": -1}, "most_units_per_territory"),
        ({"most_objective": 0.5}, "most_objective"),
        ({"price_factors": np.array([-1.0])}, "price_factors"),
        ({"limits": (MoveLimit("a", np.ones(1)), MoveLimit("a", np.ones(1)))}, "limits"),
    ],
)
def test_a_malformed_policy_is_refused(change, field):
    with pytest.raises(ParameterError) as refusal:
        MovePolicy(**change)

    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (MovePolicy(price_factors=np.ones(3)), "price_factors"),
        (MovePolicy(is_protected=np.ones(3)), "is_protected"),
        (MovePolicy(limits=(MoveLimit("a", np.ones(3)),)), "limits[0].weight"),
        (MovePolicy(triggers=(0.1, 0.1)), "triggers"),
        (MovePolicy(triggers=(0.01,)), "triggers"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(policy, field):
    parameters = Parameters(n_territories=2)

    with pytest.raises(ParameterError) as refusal:
        rebalance(path_instance(np.ones(4)), parameters, [0, 0, 1, 1], policy, 0)

    assert refusal.value.field == field


@pytest.mark.parametrize("incumbent", [[0, 1], [0.0, 0, 1, 1], [0, 0, 1, 2], [0, 0, 1, -2]])
def test_an_incumbent_that_does_not_fit_is_refused(incumbent):
    with pytest.raises(ParameterError) as refusal:
        rebalance(path_instance(np.ones(4)), Parameters(n_territories=2), incumbent, QUICK, 0)

    assert refusal.value.field == "incumbent"


@pytest.mark.parametrize(("weight", "share"), [([-1.0], 0.5), ([np.nan], 0.5), ([1.0], 1.5)])
def test_a_malformed_limit_is_refused(weight, share):
    with pytest.raises(ParameterError):
        MoveLimit("work", np.array(weight), share)


@settings(deadline=None, max_examples=examples(10))
@given(tasks(), st.integers(0, 1000))
def test_a_start_of_its_own_costs_what_it_moves_from_the_incumbent(task, seed):
    instance, parameters, incumbent, policy = task
    generator = np.random.default_rng(seed)
    start = grown_alignment(instance.graph, parameters.n_territories, generator)

    found = rebalance(instance, parameters, incumbent, policy, seed, start=start)

    for option in found.options:
        assert_is_plan(instance, option.result)
        is_moved = moved_units(incumbent, option.result.alignment)
        assert option.n_moved == np.count_nonzero(is_moved)
        if option.is_within_budget:
            assert not np.any(is_moved & policy.is_protected)


def test_a_territory_more_stays_near_the_ground_it_begins_with():
    instance = hexagon_instance(parallelogram(24, 24), np.ones(576))
    incumbent = (instance.x_m > np.median(instance.x_m)).astype(np.int32)
    corner = (instance.x_m - instance.x_m.min()) + (instance.y_m - instance.y_m.min())
    first = np.argsort(corner)[: instance.n_units // 3]
    start = incumbent.copy()
    start[first] = 2

    found = rebalance(
        instance, Parameters(n_territories=3, n_starts=1), incumbent, QUICK, 1, start=start
    )

    assert found.options[0].origin == "incumbent"
    near = next(option for option in found.options if option.origin == "rebalanced")
    assert near.result.is_feasible
    third = near.result.alignment == 2
    assert np.mean(np.isin(np.flatnonzero(third), first)) > 0.5
    assert near.n_moved >= np.count_nonzero(third)


def test_a_start_that_does_not_fit_is_refused():
    instance = path_instance([1] * 6)
    incumbent = np.array([0, 0, 0, 1, 1, 1])
    with pytest.raises(ParameterError) as refusal:
        rebalance(instance, Parameters(n_territories=2), incumbent, QUICK, 1, start=incumbent[1:])
    assert refusal.value.field == "start"
