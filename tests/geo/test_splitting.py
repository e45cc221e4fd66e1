import h3.api.numpy_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.adjacency import build_adjacency, components
from geo.cells import CUSTOMER_RESOLUTION, ancestors, cell_from_point, resolutions
from geo.errors import CellError, RegionError
from geo.membership import activity_per_cell, units_of
from geo.splitting import split_heavy_cells
from tests.geo.instances import PENTAGONS_4, disk, disk_around, law, neighbourhoods


@st.composite
def customers_of(draw, cells):
    """Places in some of the cells, many of them in few, with work."""
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    chosen = generator.choice(cells, size=draw(st.integers(1, 200)))
    chosen = np.concatenate([chosen, np.full(50, cells[0])])
    places = np.array([random_descendant(int(cell), generator) for cell in chosen])
    return places.astype(np.uint64), generator.integers(0, 20, len(places)).astype(float)


def random_descendant(cell, generator):
    while h3.get_resolution(cell) < CUSTOMER_RESOLUTION:
        # The low digits often, so that several customers share places and branches.
        children = h3.cell_to_children(cell)
        cell = int(children[generator.integers(0, generator.choice([1, 2, len(children)]))])
    return cell


@law
@given(st.data(), neighbourhoods(), st.integers(1, 60))
def test_splitting_covers_the_same_ground_and_conserves_every_total(data, cells, bound):
    places, work = data.draw(customers_of(cells))
    found = split_heavy_cells(cells, places, work, bound)

    assert np.array_equal(found.work, activity_per_cell(places, work, found.cells))
    assert found.work.sum() == work.sum()
    assert found.n_added == len(found.cells) - len(cells)
    assert set(ancestors(found.cells, int(resolutions(cells)[0])).tolist()) == set(cells.tolist())
    n_places = [
        sum(h3.cell_to_children_size(cell, CUSTOMER_RESOLUTION) for cell in some.tolist())
        for some in (found.cells, cells)
    ]
    assert n_places[0] == n_places[1]
    build_adjacency(found.cells)  # refuses cells that overlap


@law
@given(st.data(), neighbourhoods(), st.integers(1, 60))
def test_only_units_with_all_their_work_in_one_place_stay_too_heavy(data, cells, bound):
    places, work = data.draw(customers_of(cells))
    found = split_heavy_cells(cells, places, work, bound)

    heavy = np.flatnonzero(found.work > bound)
    owners = units_of(places, found.cells)
    for unit in heavy:
        assert len(np.unique(places[(owners == unit) & (work > 0)])) == 1
    assert found.n_too_heavy == len(heavy)
    assert not found.is_limited
    assert found.heaviest_work == found.work.max()
    assert found.cells[np.argmax(found.work)] == found.heaviest_cell


@law
@given(st.data(), neighbourhoods(), st.integers(1, 60))
def test_every_cell_that_was_split_was_too_heavy(data, cells, bound):
    places, work = data.draw(customers_of(cells))
    found = split_heavy_cells(cells, places, work, bound)
    coarsest = int(resolutions(cells)[0])
    split = {
        h3.cell_to_parent(int(cell), level)
        for cell in found.cells
        for level in range(coarsest, h3.get_resolution(cell))
    }
    assert len(split) == found.n_split
    for cell in split:
        assert activity_per_cell(places, work, [cell])[0] > bound


def test_a_pentagon_gives_way_to_six_children():
    cells = disk_around(PENTAGONS_4[0], 1)
    center, other = (
        h3.cell_to_center_child(int(c), 12) for c in h3.cell_to_children(PENTAGONS_4[0], 5)[:2]
    )
    found = split_heavy_cells(cells, [center, other], [1.0, 1.0], 1.5)
    assert (found.n_split, found.n_added, found.heaviest_work) == (1, 5, 1.0)


def test_one_heavy_address_is_separated_from_its_neighbour_and_then_left_alone():
    cells = disk(9.0, 50.0, 6, 1)
    centre = cell_from_point(9.0, 50.0, 12)
    siblings = h3.cell_to_children(h3.cell_to_parent(centre, 11)).tolist()
    sibling = next(cell for cell in siblings if cell != centre)
    apart = split_heavy_cells(cells, [centre, sibling], [5.0, 1.0], 2.0)
    assert apart.n_added == 6 * (CUSTOMER_RESOLUTION - 6)
    assert (apart.heaviest_cell, apart.heaviest_work, apart.n_too_heavy) == (centre, 5.0, 1)
    alone = split_heavy_cells(cells, [centre], [5.0], 2.0)
    assert alone.n_added == 0
    assert not alone.is_limited
    assert components(build_adjacency(apart.cells)).max() == 0


def test_with_room_for_few_units_the_heaviest_cells_are_split():
    cells = disk(9.0, 50.0, 6, 1)
    pairs = [h3.cell_to_children(int(cell), 7)[:2] for cell in cells]
    places = [h3.cell_to_center_child(int(c), 12) for pair in pairs for c in pair]
    work = np.repeat(np.arange(1.0, 8.0), 2)
    found = split_heavy_cells(cells, places, work, 2.0, max_added=13)
    assert (found.n_split, found.n_added) == (2, 12)
    assert set(cells[-2:].tolist()).isdisjoint(found.cells.tolist())
    assert found.is_limited
    assert found.heaviest_work == 10.0


def test_light_cells_and_empty_sets_stay_as_they_are():
    cells = disk(9.0, 50.0, 6, 1)
    assert np.array_equal(split_heavy_cells(cells, [], [], 1.0).cells, cells)
    nothing = split_heavy_cells([], [], [], 1.0)
    assert (len(nothing.cells), nothing.heaviest_cell) == (0, None)


def test_bad_input_is_refused():
    cells = disk(9.0, 50.0, 6, 1)
    place = [h3.cell_to_center_child(int(cells[0]), 12)]
    for work, bound, code in (
        ([-1.0], 1.0, "bad_work"),
        ([np.nan], 1.0, "bad_work"),
        ([1.0], 0.0, "bad_bound"),
        ([1.0], np.nan, "bad_bound"),
        ([1.0, 2.0], 1.0, "activity_mismatch"),
    ):
        with pytest.raises(RegionError) as caught:
            split_heavy_cells(cells, place, work, bound)
        assert caught.value.code == code
    with pytest.raises(CellError) as unsorted:
        split_heavy_cells(cells[::-1], place, [1.0], 1.0)
    assert unsorted.value.code == "cells_not_sorted"
