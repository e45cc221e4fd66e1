from itertools import pairwise

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from balancing.contiguity import can_leave, label_pieces
from balancing.repair import make_valid, shortest_way, split_off
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


@settings(deadline=None, max_examples=40)
@given(solid(instances(most_components=1)), st.integers(0, 2**32 - 1))
def test_the_way_to_a_territory_is_a_shortest_one_free_of_what_is_taken(instance, seed):
    problem, _ = one_component_problem(instance, 2)
    generator = np.random.default_rng(seed)
    is_taken = generator.random(instance.n_units) < 0.2
    start = int(generator.integers(instance.n_units))
    alignment = (generator.random(instance.n_units) < 0.3).astype(np.int32)
    alignment[start] = 0

    way = shortest_way(problem, alignment, start, 1, is_taken)

    oracle = as_networkx(instance.graph)
    oracle.remove_nodes_from(set(np.flatnonzero(is_taken)) - {start})
    steps = nx.single_source_shortest_path_length(oracle, start)
    goals = [steps[unit] for unit in np.flatnonzero(alignment == 1) if unit in steps]
    assert way[-1] == start
    assert len(way) - 1 == (min(goals) if goals else 0)
    assert all(oracle.has_edge(*pair) for pair in pairwise(way))
    assert not goals or alignment[way[0]] == 1


def test_a_locked_unit_away_from_its_territory_is_joined_with_it():
    instance = hexagon_instance(parallelogram(9, 3), np.ones(27))
    lock = np.full(27, -1, np.int32)
    lock[17] = 0
    problem, _ = one_component_problem(instance, 2, lock=lock)
    wish = (np.arange(27) % 9 > 2).astype(np.int32)

    alignment = make_valid(problem, wish, np.array([[-1.0, 0.0], [1.0, 0.0]]), np.zeros(2))

    assert alignment[17] == 0
    assert label_pieces(problem, alignment).max() == 1
