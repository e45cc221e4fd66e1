import h3.api.numpy_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.cells import (
    ancestors,
    are_pentagons,
    base_cells,
    cells_from_points,
    descendant_range,
    descendants,
    distinct,
    n_cells_on_earth,
    resolutions,
    single_resolution,
)
from geo.errors import CellError
from tests.geo.instances import cells_anywhere, law


@law
@given(cells_anywhere())
def test_ancestors_and_resolutions_equal_those_of_h3(cells):
    own = int(resolutions(cells)[0])
    for resolution in range(own + 1):
        expected = [h3.cell_to_parent(int(cell), resolution) for cell in cells]
        assert ancestors(cells, resolution).tolist() == [int(parent) for parent in expected]


@law
@given(cells_anywhere(), st.data())
def test_the_ancestor_of_an_ancestor_is_the_ancestor(cells, data):
    own = int(resolutions(cells)[0])
    middle = data.draw(st.integers(0, own))
    top = data.draw(st.integers(0, middle))
    assert np.array_equal(ancestors(ancestors(cells, middle), top), ancestors(cells, top))


def test_ancestors_take_cells_of_several_resolutions():
    mixed = np.concatenate([cells_from_points([2.0], [48.0], r) for r in (6, 9, 12)])
    assert np.array_equal(ancestors(mixed, 6)[1:], ancestors(mixed[1:], 6))


def test_a_cell_has_no_ancestor_finer_than_itself():
    with pytest.raises(CellError) as caught:
        ancestors(cells_from_points([2.0], [48.0], 5), 6)
    assert caught.value.code == "coarser_than_asked"


@law
@given(cells_anywhere(finest=12, max_size=4), st.integers(0, 3))
def test_descendants_equal_those_of_h3(cells, depth):
    resolution = int(resolutions(cells)[0]) + depth
    expected = np.concatenate([h3.cell_to_children(int(cell), resolution) for cell in cells])
    assert np.array_equal(descendants(cells, resolution), np.sort(expected))


@law
@given(cells_anywhere(finest=9, max_size=3), st.integers(1, 3))
def test_the_descendant_range_holds_all_descendants_and_no_other_cell(cells, depth):
    resolution = int(resolutions(cells)[0]) + depth
    low, high = descendant_range(cells, resolution)
    around = distinct(np.concatenate([h3.grid_disk(int(cell), 1) for cell in cells]))
    candidates = descendants(around[around != 0].astype(np.uint64), resolution)
    for cell, lowest, highest in zip(cells, low, high, strict=True):
        inside = candidates[(candidates >= lowest) & (candidates <= highest)]
        assert np.array_equal(inside, descendants([cell], resolution))
        assert inside[0] == lowest
        assert inside[-1] == highest


def test_descendant_ranges_of_one_resolution_do_not_overlap_and_cover_the_globe():
    low, high = descendant_range(base_cells(), 3)
    assert np.all(low[1:] > high[:-1])
    world = descendants(base_cells(), 3)
    assert np.all((np.searchsorted(low, world, "right") - np.searchsorted(high, world)) == 1)


def test_the_descendant_range_of_a_customer_cell_is_itself():
    cell = cells_from_points([2.0], [48.0], 12)
    low, high = descendant_range(cell)
    assert low == high == cell
    with pytest.raises(CellError, match="no descendants"):
        descendant_range(cell, 11)


def test_the_globe_has_the_known_number_of_cells_and_twelve_pentagons():
    for resolution in range(5):
        cells = descendants(base_cells(), resolution)
        assert len(cells) == n_cells_on_earth(resolution) == h3.get_num_cells(resolution)
        assert np.array_equal(cells[are_pentagons(cells)], np.sort(h3.get_pentagons(resolution)))


def test_an_unknown_resolution_is_refused():
    for resolution in (-1, 16):
        with pytest.raises(CellError) as caught:
            descendants(base_cells(), resolution)
        assert caught.value.code == "unknown_resolution"


def test_a_set_of_several_resolutions_has_no_single_one():
    with pytest.raises(CellError) as caught:
        single_resolution(np.concatenate([base_cells(), descendants(base_cells()[:1], 1)]))
    assert caught.value.facts == {"resolutions": [0, 1]}
    with pytest.raises(CellError, match="without cells"):
        single_resolution([])
