import h3.api.numpy_int as h3
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.adjacency import build_adjacency, components
from geo.cells import neighbour_rings, points_from_cells
from geo.errors import CellError
from geo.sphere import unit_vectors
from tests.geo.instances import (
    cells_anywhere,
    disk,
    finest_owners,
    law,
    mixed_neighbourhoods,
    neighbourhoods,
    split,
)


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


@law
@given(mixed_neighbourhoods())
def test_units_of_mixed_resolutions_touch_where_their_finest_descendants_do(cells):
    adjacency = build_adjacency(cells)
    owners, _ = finest_owners(cells)
    expected = {
        (unit, owners[other])
        for fine, unit in owners.items()
        for other in h3.grid_disk(fine, 1).tolist()
        if owners.get(other, unit) != unit
    }
    pairs = list(zip(adjacency.sources().tolist(), adjacency.indices.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected == {(b, a) for a, b in expected}


@law
@given(mixed_neighbourhoods(deepest=2))
def test_mixed_neighbours_stand_as_met_on_a_walk_along_the_finest_cells(cells):
    adjacency = build_adjacency(cells)
    owners, finest = finest_owners(cells)
    for unit in range(len(cells)):
        links = adjacency.indices[adjacency.indptr[unit] : adjacency.indptr[unit + 1]].tolist()
        met = [other for other in finest_walk(cells, owners, unit, finest) if other is not None]
        assert sorted(links) == sorted(met), "no neighbour is met twice"
        start = met.index(links[0]) if links else 0
        assert links == met[start:] + met[:start]


def finest_walk(cells, owners, unit, finest):
    """Units across the border of one, counter-clockwise, runs collapsed; None for no unit."""
    inside = set(h3.cell_to_children(int(cells[unit]), finest).tolist())
    fine = np.array(sorted(inside), dtype=np.uint64)
    rings = dict(zip(fine.tolist(), neighbour_rings(fine).tolist(), strict=True))
    first = next((x, y) for x in rings for y in rings[x] if y and y not in inside)
    walk, (inner, outer) = [], first
    while not walk or (inner, outer) != first:
        walk.append(owners.get(outer))
        ring = [cell for cell in rings[inner] if cell]
        following = ring[(ring.index(outer) + 1) % len(ring)]
        inner, outer = (following, outer) if following in inside else (inner, following)
    collapsed = [other for i, other in enumerate(walk) if other != walk[i - 1]]
    return collapsed or walk[:1]


@law
@given(neighbourhoods(), st.integers(0, 99))
def test_units_away_from_split_cells_keep_their_neighbours_in_order(cells, seed):
    chosen = np.random.default_rng(seed).random(len(cells)) < 0.1
    mixed = split(cells, chosen)
    before, after = build_adjacency(cells), build_adjacency(mixed)
    for unit in np.flatnonzero(~chosen):
        old = cells[before.indices[before.indptr[unit] : before.indptr[unit + 1]]]
        now = int(np.searchsorted(mixed, cells[unit]))
        new = mixed[after.indices[after.indptr[now] : after.indptr[now + 1]]]
        if not chosen[np.searchsorted(cells, old)].any():
            assert np.array_equal(old, new)


def test_a_cell_inside_another_is_refused():
    cells = disk(2.0, 48.0, 8, 2)
    child = h3.cell_to_center_child(int(cells[3]), 10)
    with pytest.raises(CellError) as caught:
        build_adjacency([*cells.tolist(), child])
    assert caught.value.code == "cells_overlap"
    assert caught.value.facts["indices"] == [3, len(cells)]
