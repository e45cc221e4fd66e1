import h3.api.numpy_int as h3
import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from geo.adjacency import build_adjacency, components
from geo.cells import points_from_cells
from geo.errors import CellError
from geo.sphere import unit_vectors
from tests.geo.instances import cells_anywhere, disk, law, neighbourhoods


@law
@given(neighbourhoods())
def test_adjacency_is_h3s_neighbourhood_within_the_set(cells):
    adjacency = build_adjacency(cells)
    ids = set(cells.tolist())
    for unit, cell in enumerate(cells.tolist()):
        links = adjacency.indices[adjacency.indptr[unit] : adjacency.indptr[unit + 1]]
        expected = (set(h3.grid_disk(cell, 1).tolist()) - {cell}) & ids
        assert len(links) == len(expected)
        assert set(cells[links].tolist()) == expected


@law
@given(neighbourhoods())
def test_adjacency_is_symmetric(cells):
    adjacency = build_adjacency(cells)
    pairs = set(zip(adjacency.sources().tolist(), adjacency.indices.tolist(), strict=True))
    assert pairs == {(b, a) for a, b in pairs}
    assert adjacency.indptr.dtype == adjacency.indices.dtype == np.int32


@law
@given(neighbourhoods())
def test_neighbours_stand_in_counter_clockwise_order(cells):
    adjacency = build_adjacency(cells)
    points = unit_vectors(*points_from_cells(cells))
    for unit in range(len(cells)):
        around = points[adjacency.indices[adjacency.indptr[unit] : adjacency.indptr[unit + 1]]]
        if len(around) >= 3:
            assert _total_turn(points[unit], around) == pytest.approx(2 * np.pi)


def _total_turn(centre, around):
    """Sum of the turns, each counted counter-clockwise; one round only if they are in order."""
    east = np.cross([0.0, 0.0, 1.0], centre)
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    bearings = np.arctan2(around @ north, around @ east)
    return np.sum((np.roll(bearings, -1) - bearings) % (2 * np.pi))


@law
@given(neighbourhoods())
def test_components_equal_those_of_networkx(cells):
    adjacency = build_adjacency(cells)
    graph = nx.Graph()
    graph.add_nodes_from(range(len(cells)))
    graph.add_edges_from(zip(adjacency.sources(), adjacency.indices, strict=True))
    labels = components(adjacency)
    for part in nx.connected_components(graph):
        assert len(set(labels[list(part)].tolist())) == 1
    assert labels.max() + 1 == nx.number_connected_components(graph)


@law
@given(cells_anywhere(coarsest=9))
def test_far_apart_cells_have_no_links(cells):
    assert components(build_adjacency(cells)).tolist() is not None
    assert len(build_adjacency(cells[:1]).indices) == 0


def test_unsorted_or_repeated_cells_are_refused():
    cells = disk(2.0, 48.0, 8, 2)
    for wrong in (cells[::-1], np.repeat(cells, 2)):
        with pytest.raises(CellError) as caught:
            build_adjacency(wrong)
        assert caught.value.code == "cells_not_sorted"


def test_no_cells_make_an_empty_graph():
    adjacency = build_adjacency([])
    assert adjacency.n_units == 0
    assert len(components(adjacency)) == 0
