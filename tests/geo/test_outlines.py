import h3.api.numpy_int as h3
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.antimeridian import cut_rings
from geo.cells import (
    area_km2,
    base_cells,
    cell_from_point,
    descendants,
    neighbour_rings,
    points_from_cells,
    resolutions,
)
from geo.errors import CellError
from geo.fill import fill
from geo.outlines import cell_outlines, simplified_outlines, territory_outlines
from geo.sphere import EARTH_RADIUS_M, polygon_area_km2
from tests.geo.instances import (
    NOTABLE_PLACES,
    PENTAGONS_4,
    disk,
    disk_around,
    finest_owners,
    law,
    mixed_neighbourhoods,
    nearest_seed,
    neighbourhoods,
    split,
)


def vertices_of(outline):
    return set(map(tuple, shapely.get_coordinates(outline).tolist()))


def assert_drawn_right(cells, alignment, outlines, area_error=1e-3):
    """Everything an outline promises, for cells of one resolution."""
    assert np.all(shapely.is_valid(outlines))
    assert shapely.coverage_is_valid(outlines)
    lon, lat = points_from_cells(cells)
    for territory, outline in enumerate(outlines):
        assert np.array_equal(shapely.contains_xy(outline, lon, lat), alignment == territory)
        assert polygon_area_km2(outline) == pytest.approx(
            area_km2(cells[alignment == territory]).sum(), rel=area_error
        )
        for part in shapely.get_parts(outline) if not outline.is_empty else []:
            west, _, east, _ = part.bounds
            assert -180.0 <= west <= east <= 180.0
            assert shapely.is_ccw(part.exterior)
            assert not any(shapely.is_ccw(hole) for hole in part.interiors)


@law
@given(neighbourhoods(), st.integers(1, 4), st.integers(0, 99))
def test_outlines_are_right_for_any_alignment_anywhere(cells, k, seed):
    alignment = np.random.default_rng(seed).integers(0, k, len(cells))
    outlines = territory_outlines(cells, alignment, k)
    near_pole = np.abs(points_from_cells(cells)[1]).max() > 85.0
    # An edge straight in longitude and latitude cuts a corner off where meridians meet: of a
    # single cell next to a pole up to 24 %, tried over resolutions 3 to 6.
    assert_drawn_right(cells, alignment, outlines, area_error=0.25 if near_pole else 2e-3)


@pytest.mark.parametrize("place", NOTABLE_PLACES)
def test_outlines_of_compact_territories_are_right(place):
    cells = disk(*place, 6, 25)
    alignment = nearest_seed(cells, 7, seed=1)
    outlines = territory_outlines(cells, alignment)
    assert_drawn_right(cells, alignment, outlines, area_error=0.02)


@pytest.mark.parametrize("resolution", range(1, 10))
def test_outlines_round_every_pentagon_are_right(resolution):
    for pentagon in h3.get_pentagons(resolution):
        cells = disk_around(int(pentagon), 3)
        alignment = np.random.default_rng(resolution).integers(0, 3, len(cells))
        error = 0.05 if resolution < 3 else 1e-3
        assert_drawn_right(cells, alignment, territory_outlines(cells, alignment), error)


def test_the_outline_of_a_pentagon_alone_is_its_boundary():
    (outline,) = territory_outlines([PENTAGONS_4[0]], [0])
    expected = np.array(h3.cell_to_boundary(PENTAGONS_4[0]))[:, ::-1]
    ours = shapely.get_coordinates(outline)[:-1]
    assert len(ours) == len(expected) == 5
    start = np.argmin(np.abs(ours - expected[0]).sum(axis=1))
    assert np.allclose(np.roll(ours, -start, axis=0), expected, rtol=0, atol=1e-9)


def test_edges_across_faces_of_the_icosahedron_keep_their_bend():
    # Resolution 3 is odd, where such edges have a third vertex.
    cells = descendants(base_cells(), 3)
    lengths = [len(h3.cell_to_boundary(int(cell))) for cell in cells]
    bent = cells[np.array(lengths) > 6][:40]
    outlines = territory_outlines(bent, np.arange(len(bent)))
    for cell, outline in zip(bent, outlines, strict=True):
        if outline.geom_type == "Polygon":
            expected = len(h3.cell_to_boundary(int(cell)))
            assert shapely.get_num_coordinates(outline) == expected + 1


def test_neighbours_have_identical_vertices_along_their_border():
    for place in NOTABLE_PLACES:
        cells = disk(*place, 7, 12)
        alignment = nearest_seed(cells, 5, seed=2)
        outlines = territory_outlines(cells, alignment)
        for a in range(5):
            for b in range(a):
                border = shapely.intersection(outlines[a], outlines[b])
                assert border.area == 0.0
                shared = vertices_of(outlines[a]) & vertices_of(outlines[b])
                assert vertices_of(border) <= shared


def test_the_cells_of_a_territory_can_be_recovered_from_its_outline():
    for place in NOTABLE_PLACES:
        cells = disk(*place, 6, 15)
        alignment = nearest_seed(cells, 4, seed=3)
        for territory, outline in enumerate(territory_outlines(cells, alignment)):
            assert np.array_equal(fill(outline, 6), cells[alignment == territory])


def test_holes_islands_in_holes_and_unassigned_cells_are_drawn():
    centre = cell_from_point(9.0, 50.0, 7)
    cells = disk_around(centre, 6)
    steps = np.array([h3.grid_distance(centre, int(cell)) for cell in cells])
    alignment = np.select([steps <= 1, steps <= 2, steps <= 4], [0, -1, 1], default=0)
    outlines = territory_outlines(cells, alignment)
    assert_drawn_right(cells, alignment, outlines)
    assert outlines[0].geom_type == "MultiPolygon"
    assert sum(len(part.interiors) for part in outlines[0].geoms) == 1
    assert len(outlines[1].interiors) == 1


def test_a_territory_across_the_antimeridian_is_cut_there():
    cells = disk(179.99, -17.0, 6, 5)
    (outline,) = territory_outlines(cells, np.zeros(len(cells), dtype=int))
    bounds = sorted(part.bounds[::2] for part in outline.geoms)
    assert len(bounds) == 2
    assert bounds[0][0] == -180.0
    assert bounds[0][1] < -179.0
    assert bounds[1][0] > 179.0
    assert bounds[1][1] == 180.0


def test_a_territory_round_a_pole_reaches_it():
    cells = disk(0.0, 90.0, 4, 6)
    (outline,) = territory_outlines(cells, np.zeros(len(cells), dtype=int))
    assert outline.bounds[0] == -180.0
    assert outline.bounds[2:] == (180.0, 90.0)
    assert outline.geom_type == "Polygon"


def test_a_band_round_the_globe_and_its_two_caps_tile_the_world():
    cells = descendants(base_cells(), 2)
    alignment = np.digitize(points_from_cells(cells)[1], [-30.0, 40.0])
    outlines = territory_outlines(cells, alignment)
    assert_drawn_right(cells, alignment, outlines, area_error=0.01)
    assert shapely.union_all(outlines).area == pytest.approx(360 * 180)


def test_a_territory_of_the_whole_world_is_the_map_and_one_with_a_hole_lacks_it():
    cells = descendants(base_cells(), 2)
    (world,) = territory_outlines(cells, np.zeros(len(cells), dtype=int))
    assert world.equals(shapely.box(-180, -90, 180, 90))
    alignment = np.zeros(len(cells), dtype=int)
    alignment[np.isin(cells, disk(20.0, 10.0, 2, 1))] = 1
    assert_drawn_right(cells, alignment, territory_outlines(cells, alignment), area_error=0.01)


def test_territories_without_cells_have_empty_outlines():
    cells = disk(9.0, 50.0, 7, 1)
    outlines = territory_outlines(cells, np.full(len(cells), 1), n_territories=3)
    assert [outline.is_empty for outline in outlines] == [True, False, True]
    assert [outline.is_empty for outline in territory_outlines([], [], 2)] == [True, True]


def test_the_order_of_the_cells_does_not_matter():
    cells = disk(9.0, 50.0, 7, 6)
    alignment = nearest_seed(cells, 3, seed=4)
    order = np.random.default_rng(5).permutation(len(cells))
    shuffled = territory_outlines(cells[order], alignment[order])
    for one, other in zip(territory_outlines(cells, alignment), shuffled, strict=True):
        assert one.equals_exact(other)


def test_input_that_cannot_be_drawn_is_refused():
    cells = disk(9.0, 50.0, 7, 1)
    with pytest.raises(CellError) as inside:
        territory_outlines([*cells.tolist(), h3.cell_to_center_child(int(cells[0]))], np.zeros(8))
    assert inside.value.code == "cells_overlap"
    with pytest.raises(CellError) as twice:
        territory_outlines(np.repeat(cells, 2), np.zeros(14))
    assert twice.value.code == "cells_not_sorted"
    for alignment, k in (([0], None), (np.full(7, 3), 2)):
        with pytest.raises(CellError) as wrong:
            territory_outlines(cells, alignment, k)
        assert wrong.value.code == "alignment_mismatch"


def test_simplified_outlines_have_fewer_vertices_and_still_tile():
    cells = disk(9.0, 50.0, 7, 25)
    outlines = territory_outlines(cells, nearest_seed(cells, 6, seed=6))
    simpler = simplified_outlines(outlines, 0.02)
    assert np.all(shapely.is_valid(simpler))
    assert shapely.coverage_is_valid(simpler)
    assert shapely.get_num_coordinates(simpler).sum() < shapely.get_num_coordinates(outlines).sum()


def test_a_ring_crossing_four_times_is_cut_into_its_parts():
    # A horseshoe open to the east, its back west of the antimeridian and two arms across it.
    lower_arm, upper_arm = [(-178, 0), (-178, 1), (179, 1)], [(179, 3), (-178, 3), (-178, 4)]
    ring = np.array([(178, 0), *lower_arm, *upper_arm, (178, 4), (178, 0)])
    pieces = [shapely.Polygon(piece) for piece in cut_rings([ring.astype(float)])]
    assert all(piece.is_valid and piece.exterior.is_ccw for piece in pieces)
    assert sorted(piece.bounds[0] for piece in pieces) == [-180.0, -180.0, 178.0]
    assert sum(piece.area for piece in pieces) == pytest.approx(2 * 4 + 2 * 2 - 2, abs=0.01)


@law
@given(neighbourhoods())
def test_single_cells_are_drawn_as_territories_of_one_cell_are(cells):
    one_by_one = cell_outlines(cells)
    together = territory_outlines(cells, np.arange(len(cells)))

    assert len(one_by_one) == len(cells)
    for outline, expected in zip(one_by_one, together, strict=True):
        assert outline.is_valid
        assert outline.symmetric_difference(expected).area < 1e-9


@law
@given(mixed_neighbourhoods(), st.integers(1, 4), st.integers(0, 99))
def test_outlines_of_mixed_resolutions_tile_for_any_alignment_anywhere(cells, k, seed):
    alignment = np.random.default_rng(seed).integers(-1, k, len(cells))
    outlines = territory_outlines(cells, alignment, k)
    (whole,) = territory_outlines(cells, np.where(alignment >= 0, 0, -1), 1)

    assert np.all(shapely.is_valid(outlines))
    assert shapely.coverage_is_valid(outlines)
    union = shapely.union_all(outlines)
    assert union.symmetric_difference(whole).area == pytest.approx(0.0, abs=1e-12)
    assert sum(outline.area for outline in outlines) == pytest.approx(union.area)
    lon, lat = points_from_cells(cells)
    for territory, outline in enumerate(outlines):
        assert np.array_equal(shapely.contains_xy(outline, lon, lat), alignment == territory)


@law
@given(mixed_neighbourhoods(), st.integers(0, 99))
def test_outlines_leave_members_outside_by_a_sixth_of_their_cells_edge_at_most(cells, seed):
    lon, lat = points_from_cells(cells)
    if np.abs(lat).max() > 85.0 or np.ptp(lon) > 180.0:
        return  # Distances are measured on a map here.
    alignment = np.random.default_rng(seed).integers(0, 3, len(cells))
    outlines = np.array(territory_outlines(cells, alignment), dtype=object)
    owners, finest = finest_owners(cells)
    fine = descendants(cells, min(finest + 1, 12))
    unit = np.array([owners[h3.cell_to_parent(cell, finest)] for cell in fine.tolist()])
    scale = np.cos(np.radians(lat.mean()))
    on_map = shapely.transform(outlines, lambda xy: xy * [scale, 1.0])
    fine_lon, fine_lat = points_from_cells(fine)
    members = shapely.points(fine_lon * scale, fine_lat)
    gaps_m = np.radians(shapely.distance(members, on_map[alignment[unit]])) * EARTH_RADIUS_M
    edges_m = 1e3 * np.sqrt(area_km2(cells) * 2.0 / 27.0**0.5)
    # 0.144 of an edge in the plane, and the grid is no plane.
    assert np.all(gaps_m <= edges_m[unit] * (0.2 if resolutions(cells)[0] < 5 else 1 / 6))


def test_a_cell_split_twice_adds_few_vertices_to_a_border():
    cells = disk(9.0, 50.0, 6, 6)
    centre = cells == cell_from_point(9.0, 50.0, 6)
    once = split(cells, centre)
    twice = split(once, resolutions(once) == 7)
    plain, fine = (
        territory_outlines(some, (points_from_cells(some)[0] < 9.0).astype(int))
        for some in (cells, twice)
    )
    assert shapely.coverage_is_valid(fine)
    added = shapely.get_num_coordinates(fine).sum() - shapely.get_num_coordinates(plain).sum()
    # Both sides of a line through 49 cells, and of the half of 54 edges round them.
    assert 0 < added < 2 * (49 + 54)


def test_splitting_cells_inside_a_territory_does_not_change_its_outline():
    cells = disk(9.0, 50.0, 6, 8)
    alignment = nearest_seed(cells, 3, seed=1)
    rings = neighbour_rings(cells)
    around = alignment[np.minimum(np.searchsorted(cells, rings), len(cells) - 1)]
    inner = np.isin(rings, cells).all(axis=1) & (around == alignment[:, None]).all(axis=1)
    mixed = split(cells, inner)
    parents = [h3.cell_to_parent(cell, 6) for cell in mixed.tolist()]
    outlines = territory_outlines(mixed, alignment[np.searchsorted(cells, parents)])
    for one, other in zip(territory_outlines(cells, alignment), outlines, strict=True):
        assert one.equals_exact(other)


def test_the_territories_of_a_world_of_mixed_cells_fill_the_map():
    cells = descendants(base_cells(), 1)
    cells = split(cells, np.random.default_rng(0).random(len(cells)) < 0.3)
    outlines = territory_outlines(cells, np.arange(len(cells)) % 7)
    assert shapely.coverage_is_valid(outlines)
    assert shapely.union_all(outlines).area == pytest.approx(360 * 180)


@law
@given(mixed_neighbourhoods())
def test_single_cells_of_mixed_resolutions_are_drawn_by_themselves(cells):
    together = np.array(cell_outlines(cells), dtype=object)
    for level in np.unique(resolutions(cells)):
        alike = resolutions(cells) == level
        assert np.all(shapely.equals(together[alike], cell_outlines(cells[alike])))
