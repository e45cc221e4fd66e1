import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing.contiguity import can_leave, label_pieces
from balancing.repair import make_valid, split_off
from balancing.state import make_state
from tests.balancing.patches import (
    hexagon_instance,
    instances,
    one_component_problem,
    parallelogram,
)
from tests.balancing.test_graph import as_networkx


def make_connected_plan(instance, n_territories, seed):
    problem, _ = one_component_problem(instance, n_territories)
    generator = np.random.default_rng(seed)
    wish = generator.integers(0, n_territories, instance.n_units, np.int32)
    centres = generator.normal(size=(n_territories, 2))
    return problem, make_valid(problem, wish, centres, np.zeros(n_territories))


def solid(instances_drawn):
    """Only instances in one piece: repair works within a component."""
    return instances_drawn.filter(lambda i: nx.is_connected(as_networkx(i.graph)))


@settings(deadline=None, max_examples=40)
@given(solid(instances(most_components=1)), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_repair_leaves_every_territory_connected_and_not_empty(instance, wanted, seed):
    n_territories = min(wanted, instance.n_units)

    problem, alignment = make_connected_plan(instance, n_territories, seed)

    assert set(alignment) == set(range(n_territories))
    assert label_pieces(problem, alignment).max() + 1 == n_territories


@settings(deadline=None, max_examples=40)
@given(solid(instances(most_components=1)), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_unit_can_leave_exactly_when_the_rest_stays_in_one_piece(instance, wanted, seed):
    n_territories = min(wanted, instance.n_units)
    problem, alignment = make_connected_plan(instance, n_territories, seed)
    state = make_state(problem, alignment)
    oracle = as_networkx(instance.graph)

    for unit in range(instance.n_units):
        rest = set(np.flatnonzero(alignment == alignment[unit])) - {unit}
        expected = bool(rest) and nx.is_connected(oracle.subgraph(rest))
        assert can_leave(problem, alignment, unit, state.mark, state.queue) == expected


def test_a_search_cut_short_counts_as_no():
    ring = [(q, r) for q, r in parallelogram(9, 9) if q in (0, 8) or r in (0, 8)]
    instance = hexagon_instance(ring, np.ones(len(ring)))
    problem, _ = one_component_problem(instance, 1)
    alignment = np.zeros(len(ring), np.int32)
    state = make_state(problem, alignment)
    middle = ring.index((4, 0))

    assert can_leave(problem, alignment, middle, state.mark, state.queue)
    short = problem._replace(bfs_limit=5)
    assert not can_leave(short, alignment, middle, state.mark, state.queue)


def test_splitting_a_path_cuts_near_the_wanted_part():
    instance = hexagon_instance(parallelogram(10, 1), np.ones(10))
    problem, _ = one_component_problem(instance, 2)
    alignment = np.zeros(10, np.int32)

    split_off(problem, alignment, 0, 1, 0.3)

    assert np.bincount(alignment).tolist() == [7, 3]
    assert label_pieces(problem, alignment).max() == 1
