import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geo.adjacency import build_adjacency
from geo.cells import base_cells, descendants
from geo.colouring import colour_territories
from tests.geo.instances import disk, law, nearest_seed, neighbourhoods


def assert_neighbours_differ(adjacency, alignment, colours):
    one, other = alignment[adjacency.sources()], alignment[adjacency.indices]
    touching = (one != other) & (one >= 0) & (other >= 0)
    assert np.all(colours[one[touching]] != colours[other[touching]])


@law
@given(neighbourhoods(), st.integers(1, 9), st.integers(0, 99))
def test_territories_that_touch_differ_in_colour(cells, k, seed):
    alignment = np.random.default_rng(seed).integers(-1, k, len(cells))
    adjacency = build_adjacency(cells)
    colours = colour_territories(adjacency, alignment)
    assert len(colours) == alignment.max() + 1
    assert_neighbours_differ(adjacency, alignment, colours)
    assert np.array_equal(colours, colour_territories(adjacency, alignment))


def test_connected_territories_need_six_colours_at_most():
    for seed in range(5):
        cells = disk(10.0, 45.0, 7, 40)
        alignment = nearest_seed(cells, 80, seed)
        adjacency = build_adjacency(cells)
        colours = colour_territories(adjacency, alignment)
        assert_neighbours_differ(adjacency, alignment, colours)
        assert colours.max() < 6


def test_territories_all_over_the_globe_get_few_colours():
    cells = descendants(base_cells(), 3)
    colours = colour_territories(build_adjacency(cells), nearest_seed(cells, 300, 0))
    assert colours.max() < 6


def test_no_territories_need_no_colours():
    cells = disk(10.0, 45.0, 7, 1)
    assert len(colour_territories(build_adjacency(cells), np.full(7, -1))) == 0
    assert colour_territories(build_adjacency(cells), np.zeros(7, dtype=int)).tolist() == [0]
