import h3.api.numpy_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.cells import (
    area_km2,
    base_cells,
    boundary,
    cell_from_point,
    cell_to_text,
    cells_from_points,
    cells_from_text,
    cells_to_text,
    checked_cells,
    descendants,
    edge_vertices,
    mean_area_km2,
    neighbour_rings,
    points_from_cells,
    resolutions,
)
from geo.errors import CellError, CoordinateError, GeoError
from geo.sphere import EARTH_AREA_KM2, unit_vectors
from tests.geo.instances import cells_anywhere, column, law, read_rows

# Of a unit vector. Within a kilometre of the poles the two libraries differ by centimetres.
A_DECIMETRE = 0.1 / 6.4e6


@law
@given(
    st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=50),
    st.integers(0, 15),
)
def test_bulk_and_single_indexing_agree(points, resolution):
    lon, lat = np.array(points).T
    single = [cell_from_point(*point, resolution) for point in points]
    assert cells_from_points(lon, lat, resolution).tolist() == single


def test_no_points_give_no_cells():
    assert cells_from_points([], [], 9).shape == (0,)
    assert neighbour_rings([]).shape == (0, 6)
    assert boundary([])[0].shape == (0, 2)
    assert edge_vertices([], [])[0].shape == (0, 3, 2)


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        ([0.0, np.nan], [0.0, 0.0], "coordinates_not_finite"),
        ([0.0, 0.0], [0.0, np.inf], "coordinates_not_finite"),
        ([0.0, 0.0], [0.0, 95.0], "coordinates_out_of_range"),
        ([0.0, 400.0], [0.0, 0.0], "coordinates_out_of_range"),
    ],
)
def test_points_off_the_earth_are_refused_with_their_index(lon, lat, code):
    with pytest.raises(CoordinateError) as caught:
        cells_from_points(lon, lat, 9)
    assert caught.value.code == code
    assert caught.value.facts["indices"] == [1]
    with pytest.raises(GeoError):
        cell_from_point(lon[1], lat[1], 9)


def test_swapped_coordinates_are_refused_with_a_hint():
    with pytest.raises(CoordinateError, match="swapping") as caught:
        cells_from_points([39.9], [116.4], 9)
    assert caught.value.facts["would_swap"] is True


def test_lists_of_different_length_are_refused():
    with pytest.raises(CoordinateError) as caught:
        cells_from_points([1.0, 2.0], [1.0], 9)
    assert caught.value.code == "coordinates_differ_in_length"


@law
@given(cells_anywhere())
def test_centres_and_areas_equal_those_of_h3(cells):
    expected = np.array([h3.cell_to_latlng(int(cell)) for cell in cells])[:, ::-1]
    assert np.allclose(
        unit_vectors(*points_from_cells(cells)), unit_vectors(*expected.T), rtol=0, atol=A_DECIMETRE
    )
    if resolutions(cells)[0] <= 11:
        areas = [h3.cell_area(int(cell), unit="km^2") for cell in cells]
        assert np.allclose(area_km2(cells), areas, rtol=0.01)


def test_areas_of_all_cells_are_that_of_the_earth():
    cells = descendants(base_cells(), 2)
    assert area_km2(cells).sum() == pytest.approx(EARTH_AREA_KM2)
    assert area_km2(cells).mean() == pytest.approx(mean_area_km2(2))


@law
@given(cells_anywhere())
def test_text_and_ids_are_the_same_both_ways(cells):
    texts = cells_to_text(cells)
    assert texts == [h3.int_to_str(int(cell)) for cell in cells]
    assert texts[0] == cell_to_text(int(cells[0]))
    assert np.array_equal(cells_from_text(texts), cells)


@pytest.mark.parametrize(
    "text",
    ["", "8", "0x8928308280fffff", "8928308280ffff_", " 8928308280fffff", "ffffffffffffffff"],
)
def test_text_that_is_no_cell_is_refused(text):
    with pytest.raises(CellError) as caught:
        cells_from_text([text])
    assert caught.value.code == "not_a_cell"
    assert caught.value.facts["indices"] == [0]


def test_ids_that_are_no_cells_are_refused_before_h3_sees_them():
    edge = 1261855810525331455
    for wrong in (0, 1, edge):
        with pytest.raises(CellError, match="not H3 cells"):
            checked_cells([int(base_cells()[0]), wrong])
        with pytest.raises(CellError):
            neighbour_rings([wrong])


@law
@given(cells_anywhere())
def test_rings_hold_the_neighbours_h3_knows(cells):
    for cell, ring in zip(cells, neighbour_rings(cells), strict=True):
        expected = set(h3.grid_disk(int(cell), 1).tolist()) - {int(cell)}
        assert set(ring[ring != 0].tolist()) == expected
        assert np.all(ring[:5] != 0)


def test_rings_run_counter_clockwise_everywhere():
    cells = descendants(base_cells(), 3)
    rings = neighbour_rings(cells)
    following = np.roll(rings, -1, axis=1)
    following[rings[:, 5] == 0, 4] = rings[rings[:, 5] == 0, 0]
    present = rings != 0
    here = np.broadcast_to(cells[:, None], rings.shape)[present]
    a, b, c = (
        unit_vectors(*points_from_cells(ids)) for ids in (here, rings[present], following[present])
    )
    turns = np.einsum("ij,ij->i", a, np.cross(b - a, c - a))
    assert np.all(turns > 0)


@law
@given(cells_anywhere(finest=11))
def test_boundaries_equal_those_of_h3(cells):
    vertices, offsets = boundary(cells)
    for index, cell in enumerate(cells):
        own = vertices[offsets[index] : offsets[index + 1]]
        expected = np.array(h3.cell_to_boundary(int(cell)))[:, ::-1]
        assert own.shape == expected.shape
        assert np.allclose(
            unit_vectors(*own.T), unit_vectors(*expected.T), rtol=0, atol=A_DECIMETRE
        )


@law
@given(cells_anywhere(finest=9, max_size=5))
def test_edges_seen_from_both_sides_are_the_same_line_reversed(cells):
    rings = neighbour_rings(cells)
    unit, position = np.nonzero(rings)
    neighbours = rings[unit, position]
    back = np.argmax(neighbour_rings(neighbours) == cells[unit][:, None], axis=1)
    there, n_there = edge_vertices(cells[unit], position)
    again, n_again = edge_vertices(neighbours, back)
    assert np.array_equal(n_there, n_again)
    for line, reverse, n in zip(there, again, n_there, strict=True):
        assert np.allclose(
            unit_vectors(*line[:n].T), unit_vectors(*reverse[:n][::-1].T), rtol=0, atol=A_DECIMETRE
        )


@pytest.mark.parametrize("resolution", [5, 7, 9, 11, 13, 15])
def test_points_in_h3s_own_test_files_get_their_cells(shared_data, resolution):
    rows = read_rows(shared_data / "h3_vectors" / f"rand{resolution:02d}centers.csv.gz")
    cells = cells_from_text([row["cell"] for row in rows])
    lon = (column(rows, "lon") + 180.0) % 360.0 - 180.0
    lat = column(rows, "lat")
    assert np.array_equal(cells_from_points(lon, lat, resolution), cells)


@pytest.mark.parametrize("resolution", [0, 1])
def test_all_cells_in_h3s_own_test_files_have_their_centres(shared_data, resolution):
    rows = read_rows(shared_data / "h3_vectors" / f"res{resolution:02d}ic_all_cells.csv.gz")
    cells = cells_from_text([row["cell"] for row in rows])
    assert np.array_equal(np.sort(cells), descendants(base_cells(), resolution))
    expected = unit_vectors(column(rows, "lon"), column(rows, "lat"))
    assert np.allclose(unit_vectors(*points_from_cells(cells)), expected, rtol=0, atol=2e-8)


@pytest.mark.parametrize("resolution", [5, 9, 13])
def test_boundaries_in_h3s_own_test_files_are_ours(shared_data, resolution):
    rows = read_rows(shared_data / "h3_vectors" / f"rand{resolution:02d}boundaries.csv.gz")
    texts = list(dict.fromkeys(row["cell"] for row in rows))
    vertices, offsets = boundary(cells_from_text(texts))
    assert offsets[-1] == len(rows)
    expected = unit_vectors(column(rows, "lon"), column(rows, "lat"))
    assert np.allclose(unit_vectors(*vertices.T), expected, rtol=0, atol=2e-8)
