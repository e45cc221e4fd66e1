import h3.api.numpy_int as h3
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon

from geo.cells import base_cells, descendants, n_cells_on_earth, points_from_cells
from geo.errors import TooManyCellsError
from geo.fill import fill
from tests.geo.instances import law

WORLD = shapely.box(-180, -90, 180, 90)


def by_brute_force(geometry, resolution):
    cells = descendants(base_cells(), resolution)
    lon, lat = points_from_cells(cells)
    return cells[shapely.contains_xy(geometry, lon, lat)]


@pytest.mark.parametrize("resolution", [0, 1, 2, 3, 4])
def test_the_whole_world_is_filled_with_every_cell(resolution):
    assert len(fill(WORLD, resolution)) == n_cells_on_earth(resolution)


@law
@given(
    st.floats(-180, 180),
    st.floats(-90, 90),
    st.floats(0.1, 170),
    st.floats(0.1, 80),
    st.booleans(),
)
def test_a_filled_box_holds_exactly_the_cells_whose_centre_is_inside(w, s, width, height, hole):
    box = shapely.box(w, s, min(w + width, 180), min(s + height, 90))
    if hole:
        box = box.difference(shapely.box(w + width / 3, s + height / 3, w + width / 2, 89))
    if box.area > 0:
        assert np.array_equal(fill(box, 3), by_brute_force(box, 3))


def test_a_detailed_polygon_is_filled_as_h3_fills_it():
    shape = Polygon(
        [(116 + r * np.cos(a), 40 + r * np.sin(a)) for a, r in zip(
            np.linspace(0, 2 * np.pi, 60, endpoint=False), [1.0, 0.4] * 30, strict=True)]
    )  # fmt: skip
    expected = np.sort(h3.h3shape_to_cells(h3.geo_to_h3shape(shape.__geo_interface__), 7))
    assert np.array_equal(fill(shape, 7), expected)


@pytest.mark.parametrize("stretch", [(2.0, 0.5), (0.5, 2.0)])
def test_a_polygon_of_very_many_vertices_is_filled_piece_by_piece_as_in_one(stretch):
    angles = np.linspace(0, 2 * np.pi, 1200, endpoint=False)
    away = np.where(np.arange(1200) % 2, 8.0, 3.0)
    shape = Polygon(
        np.column_stack([20 + stretch[0] * away * np.cos(angles),
                         10 + stretch[1] * away * np.sin(angles)])
    )  # fmt: skip
    assert np.array_equal(fill(shape, 3), by_brute_force(shape, 3))


def test_a_polygon_cut_at_the_antimeridian_and_one_beyond_it_are_filled_alike():
    cut = MultiPolygon([shapely.box(177, -19, 180, -15), shapely.box(-180, -19, -178, -15)])
    beyond = shapely.box(177, -19, 182, -15)
    west = shapely.box(-183, -19, -178, -15)
    cells = fill(cut, 5)
    assert np.array_equal(cells, by_brute_force_at(cut, 5))
    assert np.array_equal(fill(beyond, 5), cells)
    assert np.array_equal(fill(west, 5), cells)


def by_brute_force_at(geometry, resolution):
    cells = descendants(fill(geometry.buffer(9, cap_style="square"), 2), resolution)
    lon, lat = points_from_cells(cells)
    return cells[shapely.contains_xy(geometry, lon, lat)]


@pytest.mark.parametrize("south", [True, False])
def test_a_polar_cap_is_filled_over_the_pole(south):
    cap = shapely.box(-180, -90, 180, -80) if south else shapely.box(-180, 80, 180, 90)
    cells = fill(cap, 4)
    assert np.array_equal(cells, by_brute_force(cap, 4))
    assert h3.latlng_to_cell(-90 if south else 90, 0, 4) in cells


def test_more_cells_than_allowed_are_refused_before_any_is_made():
    with pytest.raises(TooManyCellsError) as caught:
        fill(WORLD, 12)
    facts = caught.value.facts
    assert facts["n_estimated"] == n_cells_on_earth(12)
    assert facts["area_km2"] == pytest.approx(510_065_621, rel=1e-6)
    with pytest.raises(TooManyCellsError):
        fill(shapely.box(0, 0, 1, 1), 9, max_cells=1000)


def test_a_long_border_round_little_ground_is_refused_too():
    teeth = np.arange(0, 3000) / 25.0 - 60.0
    there = np.column_stack([teeth, np.where(np.arange(3000) % 2, 60.0, -60.0)])
    comb = Polygon(np.concatenate([there, there[::-1] + np.array([1e-7, 0.0])]))
    with pytest.raises(TooManyCellsError):
        fill(comb, 9, max_cells=20_000)


def test_an_empty_polygon_holds_no_cells_and_a_tiny_one_perhaps_none():
    assert len(fill(Polygon(), 5)) == 0
    assert len(fill(shapely.box(10, 10, 10.00001, 10.00001), 5)) == 0


def test_filling_leaves_the_callers_polygon_alone():
    box = shapely.box(1, 1, 2, 2)
    fill(box, 5)
    assert not shapely.is_prepared(box)
