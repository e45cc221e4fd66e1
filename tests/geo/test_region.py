import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.adjacency import build_adjacency, components
from geo.cells import ancestors, cells_from_points, distinct, points_from_cells
from geo.distance import great_circle_m
from geo.errors import RegionError, TooManyCellsError
from geo.land import is_land, land
from geo.membership import activity_per_cell, units_of
from geo.region import RegionLimits, automatic_region, region_from_geometry
from geo.resolution import choose_resolution, largest_share, reachable_tolerance
from geo.splitting import split_heavy_cells
from tests.geo.instances import column, disk, law, read_rows


def customers_near(lon, lat, n, spread_deg, seed=0):
    rng = np.random.default_rng(seed)
    return cells_from_points(
        (lon + rng.normal(0, spread_deg, n) + 180) % 360 - 180,
        np.clip(lat + rng.normal(0, spread_deg, n), -89, 89),
        12,
    )


def by_brute_force(cells12, work, n_territories, resolution, distance_m):
    """Region cells and small share for one distance, from all cells of a wide surrounding."""
    occupied = np.unique(ancestors(cells12, resolution))
    wide = distinct(np.concatenate([disk(*place, resolution, 40) for place in
                                    zip(*points_from_cells(occupied), strict=True)]))  # fmt: skip
    lon, lat = points_from_cells(wide)
    there = points_from_cells(occupied)
    nearest = np.min(great_circle_m(lon[:, None], lat[:, None], *there), axis=1)
    cells = wide[((nearest <= distance_m) & is_land(lon, lat)) | np.isin(wide, occupied)]
    labels = components(build_adjacency(cells))
    per_cell = activity_per_cell(cells12, work, cells)
    per_piece = np.bincount(labels, per_cell)
    small = per_piece[per_piece < per_piece.sum() / n_territories / 2].sum() / per_piece.sum()
    inhabited = np.isin(labels, labels[np.isin(cells, occupied)])
    return cells[inhabited], small


@pytest.mark.parametrize(
    ("lon", "lat", "spread_deg"),
    [(9.0, 50.0, 0.7), (178.5, -17.8, 0.8), (12.5, 55.6, 0.8), (25.0, 37.5, 1.0)],
)
def test_the_automatic_region_is_the_land_within_twice_the_least_sufficient_distance(
    lon, lat, spread_deg
):
    cells12 = customers_near(lon, lat, 60, spread_deg)
    work = np.random.default_rng(1).lognormal(0, 1, 60)
    region = automatic_region(cells12, work, 4, 5)
    cells, share = by_brute_force(cells12, work, 4, 5, region.distance_m)
    assert np.array_equal(region.cells, cells)
    assert region.small_piece_share == pytest.approx(share)
    if region.stopped_by is None:
        assert share <= 0.01
        _, shorter = by_brute_force(cells12, work, 4, 5, region.distance_m / 2 * 0.89)
        assert shorter > 0.01 or region.distance_m <= 38_000
    else:
        assert share > 0.01


@law
@given(st.floats(-180, 180), st.floats(-80, 80), st.integers(1, 30), st.integers(1, 6))
def test_every_customer_is_in_the_region_and_every_piece_has_customers(lon, lat, n, k):
    cells12 = customers_near(lon, lat, n, 0.5)
    region = automatic_region(cells12, np.ones(n), k, 5)
    assert np.all(np.diff(region.cells) > 0)
    assert np.all(units_of(cells12, region.cells) >= 0)
    labels = components(build_adjacency(region.cells))
    assert set(labels[units_of(cells12, region.cells)]) == set(labels)
    assert region.n_pieces == labels.max() + 1


def test_customers_at_sea_are_pieces_of_their_own_and_said_to_be_cut_off():
    mainland = customers_near(9.0, 50.0, 50, 0.3)
    at_sea = cells_from_points([-30.0], [45.0], 12)
    region = automatic_region(np.append(mainland, at_sea), np.ones(51), 2, 5)
    assert ancestors(at_sea, 5)[0] in region.cells
    assert region.n_pieces == 2
    assert region.small_piece_share == pytest.approx(1 / 51)
    assert region.stopped_by == "max_distance"
    assert region.distance_m < 60_000


def test_one_percent_of_the_work_may_stay_cut_off():
    mainland = customers_near(9.0, 50.0, 199, 0.3)
    at_sea = cells_from_points([-30.0], [45.0], 12)
    region = automatic_region(np.append(mainland, at_sea), np.ones(200), 2, 5)
    assert region.stopped_by is None
    assert region.small_piece_share == pytest.approx(1 / 200)


def test_the_distance_grows_until_towns_are_joined():
    towns = np.concatenate([customers_near(x, 48.0, 20, 0.05) for x in (5.0, 7.0, 9.0)])
    near = automatic_region(towns, np.ones(60), 6, 6)
    assert near.n_pieces == 3
    joined = automatic_region(towns, np.ones(60), 1, 6)
    assert joined.n_pieces == 1
    assert 120_000 <= joined.distance_m <= 160_000


def test_a_region_stops_growing_at_the_cells_allowed():
    towns = np.concatenate([customers_near(x, 48.0, 20, 0.05) for x in (5.0, 7.0, 9.0)])
    region = automatic_region(towns, np.ones(60), 1, 6, RegionLimits(max_cells=300))
    assert len(region.cells) <= 300
    assert region.stopped_by == "max_cells"
    assert np.all(units_of(towns, region.cells) >= 0)
    with pytest.raises(TooManyCellsError):
        automatic_region(towns, np.ones(60), 1, 9, RegionLimits(max_cells=5))


@pytest.mark.parametrize(
    ("cells12", "work", "k", "code"),
    [
        ([], [], 1, "no_customers"),
        (customers_near(9, 50, 2, 0.1), [1.0], 1, "bad_work"),
        (customers_near(9, 50, 2, 0.1), [1.0, -1.0], 1, "bad_work"),
        (customers_near(9, 50, 2, 0.1), [1.0, np.nan], 1, "bad_work"),
        (customers_near(9, 50, 2, 0.1), [1.0, 1.0], 0, "bad_number_of_territories"),
    ],
)
def test_customers_no_region_can_be_made_from_are_refused(cells12, work, k, code):
    for function in (lambda: automatic_region(cells12, work, k, 5),
                     lambda: choose_resolution(cells12, work, k)):  # fmt: skip
        with pytest.raises(RegionError) as caught:
            function()
        assert caught.value.code == code


def test_customers_without_work_still_have_a_region():
    region = automatic_region(customers_near(9, 50, 20, 0.1), np.zeros(20), 2, 6)
    assert region.small_piece_share == 0.0


def test_a_given_region_holds_the_cells_of_the_customers_in_it():
    box = shapely.box(8.9, 49.9, 9.1, 50.1)
    cells12 = customers_near(9.0, 50.0, 400, 0.1)
    inside = shapely.contains_xy(box, *points_from_cells(cells12))
    bare, full = region_from_geometry(box, 6), region_from_geometry(box, 6, cells12)
    assert set(bare.cells) <= set(full.cells)
    assert np.any(units_of(cells12[inside], bare.cells) < 0)
    assert np.all(units_of(cells12[inside], full.cells) >= 0)
    assert full.distance_m is None


def test_a_given_region_too_small_or_too_large_is_refused():
    with pytest.raises(RegionError, match="centre"):
        region_from_geometry(shapely.box(9, 50, 9.0001, 50.0001), 5)
    with pytest.raises(TooManyCellsError):
        region_from_geometry(shapely.box(0, 0, 40, 40), 9)


def test_the_coarsest_resolution_with_a_light_enough_heaviest_cell_is_chosen():
    cells12 = customers_near(9.0, 50.0, 3000, 1.0)
    choice = choose_resolution(cells12, np.ones(3000), 10)
    assert choice.is_within_bounds
    assert choice.heaviest_share_of_target <= 0.25
    assert choice.n_cells == len(choice.region.cells)
    assert choice.region.resolution == choice.resolution
    heaviest = np.unique(ancestors(cells12, choice.resolution), return_counts=True)[1].max()
    assert choice.heaviest_share_of_target == pytest.approx(heaviest / 300)
    coarser = np.unique(ancestors(cells12, choice.resolution - 1), return_counts=True)[1].max()
    assert coarser / 300 > 0.25


def test_one_heavy_address_is_said_before_solving():
    cells12 = customers_near(9.0, 50.0, 1000, 1.0)
    work = np.ones(1000)
    work[0] = 1000.0
    choice = choose_resolution(cells12, work, 4)
    assert not choice.is_within_bounds
    assert choice.heaviest_share_of_target >= 2.0
    assert choice.reachable_tolerance >= 1.0


def test_the_resolution_stays_as_coarse_as_the_cells_allowed_ask():
    cells12 = customers_near(9.0, 50.0, 3000, 1.0)
    few = choose_resolution(cells12, np.ones(3000), 100, limits=RegionLimits(max_cells=2000))
    many = choose_resolution(cells12, np.ones(3000), 100)
    assert few.resolution < many.resolution
    assert few.n_cells <= 2000
    assert not few.is_within_bounds
    assert few.reachable_tolerance > many.reachable_tolerance


@pytest.mark.parametrize("max_cells", [60, 150, 400, 1000, 2500, 6000])
def test_a_region_is_as_fine_as_the_cells_allowed_let_it_be(max_cells):
    cells12 = customers_near(9.0, 50.0, 3000, 1.0)
    limits = RegionLimits(max_cells=max_cells)
    choice = choose_resolution(cells12, np.ones(3000), 300, limits=limits)
    assert choice.n_cells <= max_cells
    finer = np.unique(ancestors(cells12, choice.resolution + 1))
    assert choice.is_within_bounds or len(finer) > max_cells / 3.5


@pytest.mark.parametrize("max_cells", [20, 200, 2000])
def test_a_given_polygon_is_divided_as_finely_as_the_cells_allowed_let_it(max_cells):
    cells12, box = customers_near(9.0, 50.0, 3000, 0.5), shapely.box(7, 48, 11, 52)
    limits = RegionLimits(max_cells=max_cells)
    choice = choose_resolution(cells12, np.ones(3000), 300, box, limits=limits)
    wanted = choose_resolution(cells12, np.ones(3000), 300, box)
    assert choice.n_cells <= max_cells
    assert choice.resolution < wanted.resolution
    assert not choice.is_within_bounds
    finer = region_from_geometry(box, choice.resolution + 1)
    assert len(finer.cells) > 0.9 * max_cells


def test_a_polygon_with_too_many_cells_at_every_resolution_is_refused():
    cells12, world = customers_near(9.0, 50.0, 100, 0.5), shapely.box(-180, -90, 180, 90)
    with pytest.raises(RegionError) as caught:
        choose_resolution(cells12, np.ones(100), 3, world, limits=RegionLimits(max_cells=100))
    assert caught.value.code == "no_region"


def test_customers_outside_a_given_polygon_do_not_count():
    inside, outside = customers_near(9.0, 50.0, 500, 0.2), customers_near(30.0, 50.0, 500, 0.01)
    work = np.append(np.ones(500), np.full(500, 100.0))
    box = shapely.box(8, 49, 10, 51)
    choice = choose_resolution(np.append(inside, outside), work, 5, box)
    alone = choose_resolution(inside, np.ones(500), 5, box)
    assert choice.heaviest_share_of_target == alone.heaviest_share_of_target
    assert np.array_equal(choice.region.cells, alone.region.cells)
    with pytest.raises(RegionError, match="none"):
        choose_resolution(outside, np.ones(500), 5, box)


def test_the_expected_tolerance_follows_the_measured_ones_and_rises():
    shares = np.array([0.1, 0.15, 0.2, 0.25, 0.5, 1.0, 2.0])
    expected = [reachable_tolerance(share) for share in shares]
    assert expected == sorted(expected)
    assert expected[0] == pytest.approx(0.005)
    assert 0.018 <= expected[2] <= 0.037
    assert expected[-1] >= 1.0


def test_activity_is_conserved_and_membership_is_logical():
    cells12 = customers_near(9.0, 50.0, 2000, 0.5)
    activity = np.random.default_rng(0).random((2000, 2))
    cells = np.unique(ancestors(cells12, 7))
    sums = activity_per_cell(cells12, activity, cells)
    assert sums.shape == (len(cells), 2)
    assert np.allclose(sums.sum(axis=0), activity.sum(axis=0))
    unit = units_of(cells12, cells)
    assert np.array_equal(cells[unit], ancestors(cells12, 7))
    assert np.allclose(activity_per_cell(cells12, activity[:, 0], cells), sums[:, 0])


def test_membership_works_for_cells_of_several_resolutions_and_customers_outside():
    cells12 = customers_near(9.0, 50.0, 500, 0.2)
    coarse = np.unique(ancestors(cells12, 6))
    fine = np.unique(ancestors(cells12[ancestors(cells12, 6) == coarse[0]], 8))
    mixed = np.sort(np.concatenate([coarse[1:-1], fine]))
    unit = units_of(cells12, mixed)
    parents = ancestors(cells12, 6)
    assert np.all(unit[parents == coarse[-1]] == -1)
    for index in np.flatnonzero(unit >= 0):
        assert mixed[unit[index]] in (parents[index], ancestors(cells12[index], 8)[0])
    assert np.all(unit[parents == coarse[0]] >= 0)
    with pytest.raises(RegionError):
        activity_per_cell(cells12, [1.0], mixed)


def test_the_land_is_where_airports_are(shared_data):
    rows = read_rows(shared_data / "world_airports" / "airports.csv.gz")
    on_land = is_land(column(rows, "lon"), column(rows, "lat"))
    assert on_land.mean() > 0.95
    assert not is_land(np.array([-30.0, 170.0]), np.array([30.0, -10.0])).any()
    assert land() is land()
    assert land().is_valid


@pytest.mark.parametrize("tolerance", [0.05, 0.01, 0.0025])
def test_a_choice_followed_by_splitting_reaches_the_tolerance(tolerance):
    cells12 = customers_near(9.0, 50.0, 3000, 0.2)
    limits = RegionLimits(max_cells=2000)
    choice = choose_resolution(cells12, np.ones(3000), 30, limits=limits)
    target = 3000 / 30
    bound = largest_share(tolerance) * target
    found = split_heavy_cells(choice.region.cells, cells12, np.ones(3000), bound)
    assert found.n_too_heavy == 0
    assert found.work.sum() == 3000
    assert reachable_tolerance(found.heaviest_work / target) <= tolerance / 2 + 1e-12
    assert components(build_adjacency(found.cells)).max() + 1 == choice.region.n_pieces


def test_only_tolerances_above_zero_can_be_split_for():
    for tolerance in (0.0, -0.1, np.nan):
        with pytest.raises(RegionError) as caught:
            largest_share(tolerance)
        assert caught.value.code == "bad_tolerance"
