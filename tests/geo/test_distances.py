import csv

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.distance import great_circle_m
from geo.errors import CoordinateError
from geo.neighbours import mean_neighbour_distance_m
from geo.projection import local_equal_area
from geo.sphere import EARTH_RADIUS_M, polygon_area_km2, spherical_centroid
from tests.geo.instances import NOTABLE_PLACES, law

points = st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=2, max_size=12).map(
    lambda pairs: np.array(pairs).T
)


def test_great_circles_are_within_their_known_error_of_the_ellipsoid(shared_data):
    path = shared_data / "geodesic" / "geodtest.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ours = great_circle_m(
        *(np.array([float(row[name]) for row in rows]) for name in ("lon1", "lat1", "lon2", "lat2"))
    )
    truth = np.array([float(row["s12_m"]) for row in rows])
    assert np.all(np.abs(ours / truth - 1) < 0.0057)


def test_great_circles_keep_their_digits_for_points_a_metre_apart():
    step = np.degrees(1.0 / EARTH_RADIUS_M)
    assert great_circle_m(8.0, 50.0, 8.0, 50.0 + step) == pytest.approx(1.0, rel=1e-6)


@law
@given(points, st.integers(1, 5))
def test_mean_neighbour_distance_equals_brute_force(lonlat, k):
    lon, lat = lonlat
    apart = great_circle_m(lon[:, None], lat[:, None], lon[None, :], lat[None, :])
    np.fill_diagonal(apart, np.inf)
    nearest = np.sort(apart, axis=1)[:, : min(k, len(lon) - 1)]
    expected = nearest.mean(axis=1)
    assert np.allclose(mean_neighbour_distance_m(lon, lat, k), expected, rtol=1e-6, atol=0.01)


def test_frequent_neighbours_weigh_more():
    lon, lat = np.array([0.0, 0.01, -0.02]), np.zeros(3)
    near, far = great_circle_m(0, 0, 0.01, 0), great_circle_m(0, 0, 0.02, 0)
    weighted = mean_neighbour_distance_m(lon, lat, 2, weights=[9, 3, 1])
    assert weighted[0] == pytest.approx((3 * near + far) / 4)
    unvisited = mean_neighbour_distance_m(lon, lat, 2, weights=[9, 0, 0])
    assert unvisited[0] == pytest.approx((near + far) / 2)


def test_a_point_alone_and_points_at_one_address_have_no_way_to_go():
    assert mean_neighbour_distance_m([5.0], [5.0]).tolist() == [0.0]
    assert mean_neighbour_distance_m([], []).tolist() == []
    same = mean_neighbour_distance_m(np.full(20, 5.0), np.full(20, 5.0), k=3)
    assert same.tolist() == [0.0] * 20


def test_neighbours_across_the_antimeridian_are_near():
    found = mean_neighbour_distance_m([179.99, -179.99], [-17.0, -17.0])
    assert np.all(found < 2_200)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, np.nan]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(CoordinateError, match="weights"):
        mean_neighbour_distance_m([1.0, 2.0], [1.0, 2.0], weights=weights)


def test_no_neighbours_asked_for_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        mean_neighbour_distance_m([1.0, 2.0], [1.0, 2.0], k=0)


@law
@given(points, st.floats(-180, 180), st.floats(-89, 89))
def test_the_projection_equals_that_of_proj(lonlat, centre_lon, centre_lat):
    lon, lat = lonlat
    x, y = local_equal_area(lon, lat, centre=(centre_lon, centre_lat))
    proj = pyproj.Proj(
        proj="laea", lon_0=centre_lon, lat_0=centre_lat, R=EARTH_RADIUS_M, ellps=None
    )
    expected_x, expected_y = proj(lon, lat)
    sound = np.isfinite(expected_x) & (np.hypot(x, y) < 1.9 * EARTH_RADIUS_M)
    assert np.allclose(x[sound], expected_x[sound], rtol=0, atol=0.01)
    assert np.allclose(y[sound], expected_y[sound], rtol=0, atol=0.01)


@pytest.mark.parametrize(("lon", "lat"), NOTABLE_PLACES)
def test_the_plane_keeps_the_area_and_distances_of_a_small_square(lon, lat):
    size = 0.01
    top = min(lat + size, 90.0)
    ring_lon = (np.array([lon, lon + size, lon + size, lon, lon]) + 180.0) % 360.0 - 180.0
    ring_lat = np.array([lat, lat, top, top, lat])
    x, y = local_equal_area(ring_lon, ring_lat)
    area_m2 = 0.5 * np.abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))
    height_m = great_circle_m(lon, lat, lon, top)
    sine = np.sin(np.radians(top)) - np.sin(np.radians(lat))
    assert area_m2 == pytest.approx(np.radians(size) * sine * EARTH_RADIUS_M**2, rel=1e-4)
    assert np.hypot(x[2] - x[1], y[2] - y[1]) == pytest.approx(height_m, rel=1e-4)


def test_the_centroid_of_points_round_the_antimeridian_is_on_it():
    lon, lat = spherical_centroid(np.array([179.0, -179.0]), np.array([-17.0, -17.0]))
    assert abs(lon) == pytest.approx(180.0)
    assert lat == pytest.approx(-17.0, abs=0.01)


def test_antipodes_and_no_points_are_projected_without_fuss():
    x, y = local_equal_area([0.0, 180.0], [0.0, 0.0])
    assert np.all(np.isfinite(x) & np.isfinite(y))
    assert local_equal_area([], [])[0].shape == (0,)


def test_the_area_of_boxes_is_exact():
    half = polygon_area_km2(shapely.box(-180, 0, 180, 90))
    assert half == pytest.approx(2 * np.pi * (EARTH_RADIUS_M / 1000) ** 2)
    holed = shapely.box(0, 0, 2, 2) - shapely.box(0.5, 0.5, 1, 1)
    whole = polygon_area_km2(shapely.box(0, 0, 2, 2))
    assert polygon_area_km2(holed) == pytest.approx(
        whole - polygon_area_km2(shapely.box(0.5, 0.5, 1, 1))
    )
