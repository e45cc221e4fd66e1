import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing import Graph, Instance, ParameterError, Parameters, connected_components, design
from tests.balancing.patches import (
    examples,
    hexagon_instance,
    instances,
    parallelogram,
    path_instance,
)
from tests.balancing.test_graph import as_networkx


@st.composite
def tasks(draw):
    instance = draw(instances())
    n_components = int(connected_components(instance.graph).max()) + 1
    n_territories = draw(st.integers(n_components, min(instance.n_units, n_components + 5)))
    tolerance = draw(st.sampled_from((0.01, 0.1, 0.5)))
    shares = None
    if draw(st.booleans()):
        raw = np.random.default_rng(n_territories).uniform(0.5, 1.5, n_territories)
        shares = tuple(raw / raw.sum())
    return instance, Parameters(
        n_territories=n_territories,
        tolerances=(tolerance,) * instance.n_measures,
        shares=shares,
        n_starts=1,
    )


def assert_is_plan(instance, result):
    alignment = result.alignment
    assert alignment.shape == (instance.n_units,)
    assert set(alignment) == set(range(result.n_territories))
    oracle = as_networkx(instance.graph)
    for territory in range(result.n_territories):
        assert nx.is_connected(oracle.subgraph(np.flatnonzero(alignment == territory)))


@settings(deadline=None, max_examples=examples(15))
@given(tasks(), st.integers(0, 1000))
def test_every_unit_is_in_one_connected_territory_whatever_the_input(task, seed):
    instance, parameters = task

    result = design(instance, parameters, seed)

    assert_is_plan(instance, result)


@settings(deadline=None, max_examples=examples(6))
@given(tasks(), st.integers(0, 1000))
def test_sums_targets_and_components_account_for_all_activity(task, seed):
    instance, parameters = task

    result = design(instance, parameters, seed)

    total = instance.activity.sum(axis=0)
    assert np.allclose(result.sums.sum(axis=0), total)
    assert np.allclose(result.targets.sum(axis=0), total)
    assert np.allclose(np.sum([c.activity for c in result.components], axis=0), total)
    assert sum(c.n_units for c in result.components) == instance.n_units
    assert sum(c.n_territories for c in result.components) == parameters.n_territories


@settings(deadline=None, max_examples=examples(6))
@given(tasks(), st.integers(0, 1000))
def test_a_plan_is_feasible_exactly_when_every_tolerance_holds(task, seed):
    instance, parameters = task

    result = design(instance, parameters, seed)

    is_held = np.all(result.worst_imbalance <= np.array(parameters.tolerances) + 1e-9)
    assert result.is_feasible == is_held
    assert result.stop_reason == ("balanced" if is_held else "budget_spent")


@pytest.mark.machine_code
@settings(deadline=None, max_examples=examples(6))
@given(tasks(), st.integers(0, 1000))
def test_the_same_seed_gives_the_same_plan(task, seed):
    instance, parameters = task

    first, second = (design(instance, parameters, seed) for _ in range(2))

    assert np.array_equal(first.alignment, second.alignment)


@pytest.mark.machine_code
def test_an_even_patch_is_divided_within_the_tolerance_and_compactly():
    instance = hexagon_instance(parallelogram(24, 24), np.ones(576))
    parameters = Parameters(n_territories=4, tolerances=(0.02,))

    result = design(instance, parameters, seed=1)

    assert result.is_feasible
    # A square of 144 unit cells of area 0.866 km² has inertia n²A/6; hexagonal pieces of a
    # parallelogram cannot do better than a disc and should not do much worse than a square.
    assert result.total_moment_of_inertia < 1.2 * 4 * 144**2 * 0.866e6 / 6


@pytest.mark.machine_code
def test_several_measures_are_held_together():
    generator = np.random.default_rng(2)
    instance = hexagon_instance(parallelogram(14, 14), generator.uniform(0.8, 1.2, (196, 3)))
    parameters = Parameters(n_territories=7, tolerances=(0.03, 0.05, 0.05))

    result = design(instance, parameters, seed=1)

    assert result.is_feasible


@pytest.mark.machine_code
def test_unequal_shares_are_met_in_their_order():
    instance = hexagon_instance(parallelogram(20, 20), np.ones(400))
    shares = (0.5, 0.3, 0.15, 0.05)
    parameters = Parameters(n_territories=4, tolerances=(0.05,), shares=shares)

    result = design(instance, parameters, seed=3)

    assert result.is_feasible
    assert np.allclose(result.sums[:, 0], 400 * np.array(shares), rtol=0.05)


def test_a_path_is_cut_where_the_activity_says():
    instance = path_instance([1, 1, 1, 1, 2, 2, 4])

    result = design(instance, Parameters(n_territories=3, tolerances=(0.01,)), seed=0)

    assert result.alignment.tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert result.cut_edges == 2


def test_one_unit_per_territory_is_a_plan():
    instance = path_instance([3, 1, 2, 5])

    result = design(instance, Parameters(n_territories=4), seed=0)

    assert result.alignment.tolist() == [0, 1, 2, 3]


def test_a_single_unit_is_a_plan():
    result = design(path_instance([3.0]), Parameters(n_territories=1), seed=0)

    assert result.alignment.tolist() == [0]
    assert result.is_feasible
    assert result.total_moment_of_inertia == 0


def test_units_in_one_place_are_still_divided_into_connected_territories():
    graph = hexagon_instance(parallelogram(5, 5), np.ones(25)).graph
    instance = Instance(graph, np.zeros(25), np.zeros(25), np.ones((25, 1)))

    result = design(instance, Parameters(n_territories=5), seed=0)

    assert_is_plan(instance, result)


def test_a_star_gives_its_middle_to_one_territory():
    n_leaves = 12
    indptr = np.concatenate(([0, n_leaves], n_leaves + 1 + np.arange(n_leaves)))
    indices = np.concatenate((np.arange(1, n_leaves + 1), np.zeros(n_leaves, int)))
    angle = np.linspace(0, 2 * np.pi, n_leaves, endpoint=False)
    x_m, y_m = np.append(0, np.cos(angle)), np.append(0, np.sin(angle))
    instance = Instance(Graph(indptr, indices), x_m, y_m, np.ones((n_leaves + 1, 1)))

    result = design(instance, Parameters(n_territories=4), seed=0)

    assert_is_plan(instance, result)
    assert sorted(np.bincount(result.alignment)) == [1, 1, 1, 10]


@pytest.mark.machine_code
def test_more_territories_than_a_power_diagram_carries_are_halved_instead(monkeypatch):
    monkeypatch.setattr("balancing.component.MOST_DIAGRAM_TERRITORIES", 3)
    instance = hexagon_instance(parallelogram(20, 20), np.ones(400))

    result = design(instance, Parameters(n_territories=4, n_starts=1), seed=0)

    assert result.is_feasible
    assert_is_plan(instance, result)


def test_territories_are_numbered_by_their_lowest_unit():
    instance = hexagon_instance(parallelogram(12, 12), np.ones(144))

    result = design(instance, Parameters(n_territories=6), seed=5)

    first_units = [int(np.argmax(result.alignment == territory)) for territory in range(6)]
    assert first_units == sorted(first_units)


def test_no_territory_spans_two_components():
    hexagons = parallelogram(6, 6) + parallelogram(6, 4, left=20)
    instance = hexagon_instance(hexagons, np.ones(60))

    result = design(instance, Parameters(n_territories=5), seed=0)

    labels = connected_components(instance.graph)
    assert [c.n_territories for c in result.components] == [3, 2]
    assert np.array_equal(result.territory_component[result.alignment], labels)


@pytest.mark.parametrize(
    ("parameters", "seed", "field"),
    [
        (Parameters(n_territories=5), 0, "n_territories"),
        (Parameters(n_territories=1), 0, "n_territories"),
        (Parameters(n_territories=2, tolerances=(0.1, 0.1)), 0, "tolerances"),
        (Parameters(n_territories=2), -1, "seed"),
        (Parameters(n_territories=2), 1.5, "seed"),
    ],
)
def test_wishes_that_do_not_fit_the_instance_are_refused(parameters, seed, field):
    two_pieces = hexagon_instance([(0, 0), (1, 0), (9, 0), (10, 0)], np.ones(4))

    with pytest.raises(ParameterError) as caught:
        design(two_pieces, parameters, seed)

    assert caught.value.field == field
