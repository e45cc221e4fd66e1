import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from balancing import Graph, InstanceError, connected_components
from balancing.graph import ring_links
from tests.balancing.patches import hexagon_graph, hexagon_sets, parallelogram


def as_networkx(graph: Graph) -> nx.Graph:
    tails = np.repeat(np.arange(graph.n_units), np.diff(graph.indptr))
    oracle = nx.Graph()
    oracle.add_nodes_from(range(graph.n_units))
    oracle.add_edges_from(zip(tails.tolist(), graph.indices.tolist(), strict=True))
    return oracle


@pytest.mark.parametrize(
    ("indptr", "indices", "field", "index"),
    [
        pytest.param([0], [], "indptr", None, id="no units"),
        pytest.param([1, 2], [0, 0], "indptr", 0, id="does not start at 0"),
        pytest.param([0, 2, 1], [1], "indptr", 2, id="falls"),
        pytest.param([0, 1, 2], [1, 0, 0], "indptr", 2, id="ends before the indices"),
        pytest.param([0, 1, 2], [1, 2], "indices", 1, id="names no unit"),
        pytest.param([0, 1, 2], [-1, 0], "indices", 0, id="negative"),
        pytest.param([0, 1, 2], [0, 0], "indices", 0, id="self loop"),
        pytest.param([0, 2, 4], [1, 1, 0, 0], "indices", 0, id="neighbour twice"),
        pytest.param([0, 1, 1], [1], "indices", 0, id="asymmetric"),
        pytest.param([0.0, 1.0, 2.0], [1, 0], "indptr", None, id="not whole numbers"),
        pytest.param([[0, 1]], [1], "indptr", None, id="not flat"),
        pytest.param([0, 2**40], [], "indptr", 1, id="beyond int32"),
    ],
)
def test_a_malformed_graph_is_refused_with_the_place(indptr, indices, field, index):
    with pytest.raises(InstanceError) as caught:
        Graph(np.array(indptr), np.array(indices))

    assert caught.value.field == field
    assert caught.value.facts.get("index") == index


def test_a_single_unit_without_neighbours_is_a_graph():
    graph = Graph(np.array([0, 0]), np.array([]))

    assert (graph.n_units, graph.n_edges) == (1, 0)


@settings(deadline=None, max_examples=40)
@given(hexagon_sets())
def test_components_are_those_of_networkx_numbered_by_lowest_unit(hexagons):
    graph = hexagon_graph(hexagons)

    labels = connected_components(graph)

    expected = sorted(nx.connected_components(as_networkx(graph)), key=min)
    assert [set(np.flatnonzero(labels == c)) for c in range(labels.max() + 1)] == expected


@settings(deadline=None, max_examples=40)
@given(hexagon_sets())
def test_consecutive_neighbours_are_linked_only_when_they_touch(hexagons):
    graph = hexagon_graph(hexagons)
    oracle = as_networkx(graph)

    is_linked = ring_links(graph.indptr, graph.indices)

    for unit in range(graph.n_units):
        first, last = graph.indptr[unit], graph.indptr[unit + 1]
        row = graph.indices[first:last].tolist()
        following = row[1:] + row[:1]
        expected = [oracle.has_edge(a, b) for a, b in zip(row, following, strict=True)]
        assert is_linked[first:last].tolist() == expected


def test_a_restricted_graph_keeps_the_circular_order_of_what_is_left():
    whole = parallelogram(5, 5)
    kept = [hexagon for hexagon in whole if hexagon not in {(2, 2), (0, 0)}]
    units = np.array([whole.index(hexagon) for hexagon in kept], dtype=np.int32)

    restricted = hexagon_graph(whole).restricted_to(units)

    expected = hexagon_graph(kept)
    assert np.array_equal(restricted.indptr, expected.indptr)
    assert np.array_equal(restricted.indices, expected.indices)
    assert restricted.is_ring_ordered
