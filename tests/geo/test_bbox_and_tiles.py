import h3.api.numpy_int as h3
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.bbox import BoundingBox
from geo.errors import CoordinateError, TileError
from geo.tiles import MAX_LATITUDE, check_tile, resolution_for_zoom, tile_at, tile_bounds
from tests.geo.instances import column, law, read_rows


def test_a_bbox_is_read_west_south_east_north():
    box = BoundingBox.parse("120.8, 30.9,122e0,+31.7")
    assert box.as_tuple() == (120.8, 30.9, 122.0, 31.7)
    assert box.parts() == (box,)
    assert box.polygon().bounds == box.as_tuple()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bbox_not_four_numbers"),
        ("1,2,3", "bbox_not_four_numbers"),
        ("1,2,3,4,5", "bbox_not_four_numbers"),
        ("1,2,3,4,5,6", "bbox_not_four_numbers"),
        ("1,2,3,nan", "bbox_not_four_numbers"),
        ("1,2,3,inf", "bbox_not_four_numbers"),
        ("1_0,2,3,4", "bbox_not_four_numbers"),
        ("1,2,3,٤", "bbox_not_four_numbers"),
        ("1,2,3,1e999", "bbox_not_finite"),
        ("1,2,181,4", "bbox_out_of_range"),
        ("1,-91,3,4", "bbox_out_of_range"),
        ("1,5,3,4", "bbox_upside_down"),
    ],
)
def test_a_bbox_that_is_none_is_refused(text, code):
    with pytest.raises(CoordinateError) as caught:
        BoundingBox.parse(text)
    assert caught.value.code == code


def test_a_bbox_in_the_wrong_order_is_refused_with_a_hint():
    with pytest.raises(
        CoordinateError, match="swapping longitude and latitude would fix it"
    ) as caught:
        BoundingBox.parse("30.9,120.8,31.7,122")
    assert caught.value.facts["would_swap"] is True


def test_a_bbox_across_the_antimeridian_has_two_parts():
    box = BoundingBox.parse("177,-20,-178,-15")
    assert box.crosses_antimeridian
    assert [part.as_tuple() for part in box.parts()] == [
        (177.0, -20.0, 180.0, -15.0),
        (-180.0, -20.0, -178.0, -15.0),
    ]
    assert box.contains([178.0, -179.0, 0.0, 179.0], [-17.0, -17.0, -17.0, 0.0]).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_a_bbox_holds_the_airports_its_parts_hold(shared_data):
    rows = read_rows(shared_data / "world_airports" / "airports.csv.gz")
    lon, lat = column(rows, "lon"), column(rows, "lat")
    for text in ("170,-50,-120,70", "-10,35,30,60", "-180,-90,180,90", "179,-90,179,90"):
        box = BoundingBox.parse(text)
        by_parts = np.any([part.contains(lon, lat) for part in box.parts()], axis=0)
        assert np.array_equal(by_parts, box.contains(lon, lat))
        # One of the airports is at the pole, which a polygon holds at its own longitudes only.
        in_polygon = shapely.intersects_xy(box.polygon(), lon, lat)
        assert np.array_equal(by_parts & (lat > -90), in_polygon & (lat > -90))


def test_a_bbox_holds_its_edge_however_that_is_written():
    meridian = [180.0, -180.0, 180.0, 0.0]
    assert BoundingBox.parse("170,-20,180,20").contains(meridian, [0, 0, 21, 0]).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert BoundingBox.parse("-180,-20,-170,20").contains(meridian, 0).tolist() == [
        True,
        True,
        True,
        False,
    ]
    assert BoundingBox.parse("0,0,1,90").contains([7.0], [89, 90]).tolist() == [False, True]
    poles = BoundingBox.parse("0,0,1,90").contains([0.5, -77.0, 0.5, -77.0], [90, 90, -90, 89])
    assert poles.tolist() == [True, True, False, False]


@law
@given(st.integers(0, 22), st.data())
def test_tile_bounds_equal_those_of_web_mercator(z, data):
    x, y = data.draw(st.integers(0, 2**z - 1)), data.draw(st.integers(0, 2**z - 1))
    bounds = tile_bounds(z, x, y)
    mercator = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    half = 20037508.342789244
    size = 2 * half / 2**z
    west, north = mercator.transform(bounds.west, bounds.north)
    east, south = mercator.transform(bounds.east, bounds.south)
    expected = [x * size - half, half - y * size, (x + 1) * size - half, half - (y + 1) * size]
    assert np.allclose([west, north, east, south], expected, rtol=0, atol=1e-5)


@law
@given(st.integers(0, 22), st.floats(-180, 180), st.floats(-85.05, 85.05))
def test_a_point_lies_in_the_tile_it_is_said_to(z, lon, lat):
    bounds = tile_bounds(*tile_at(lon, lat, z))
    slack = 1e-9
    assert bounds.west - slack <= lon <= bounds.east + slack
    assert bounds.south - slack <= lat <= bounds.north + slack


def test_points_beyond_the_map_belong_to_its_rim():
    assert tile_at(180.0, 90.0, 3) == (3, 7, 0)
    assert tile_at(-180.0, -90.0, 3) == (3, 0, 7)
    assert tile_bounds(0, 0, 0).north == pytest.approx(MAX_LATITUDE)


@pytest.mark.parametrize(
    "address", [(-1, 0, 0), (23, 0, 0), (3, 8, 0), (3, 0, 8), (3, -1, 0), (0, 0, 1)]
)
def test_addresses_outside_the_pyramid_are_refused(address):
    with pytest.raises(TileError) as caught:
        check_tile(*address)
    assert caught.value.code == "no_such_tile"


def test_cells_get_finer_with_the_zoom_and_stay_few_to_a_tile():
    resolutions = [resolution_for_zoom(zoom) for zoom in range(23)]
    assert resolutions == sorted(resolutions)
    assert [resolutions[zoom] for zoom in (2, 5, 8, 11, 22)] == [2, 4, 6, 8, 12]
    for zoom in range(2, 17):
        assert 50 < h3.get_num_cells(resolutions[zoom]) / 4**zoom < 700
