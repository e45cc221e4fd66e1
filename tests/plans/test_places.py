"""Units by what a request names: cells of any resolution, points, polygons."""

import numpy as np
from shapely.geometry import box

from app.plans.places import Places
from app.plans.units import without
from geo.cells import ancestors, cell_from_point, cells_to_text, descendants, points_from_cells

HERE = (113.0, 30.5)
COARSE = np.array([cell_from_point(*HERE, 4)], dtype=np.uint64)
EVEN = descendants(COARSE, 6)
MIXED = np.sort(np.concatenate([EVEN[1:], descendants(EVEN[:1], 7)]))


def test_a_cell_of_the_plan_stands_for_itself() -> None:
    units, missing = Places(EVEN).of_cells(cells_to_text(EVEN[[3, 1]]))

    assert units.tolist() == [1, 3]
    assert missing == []


def test_a_finer_cell_stands_for_the_unit_that_holds_it() -> None:
    inside = descendants(EVEN[5:6], 9)[:1]

    for cells in (EVEN, MIXED):
        units, missing = Places(cells).of_cells(cells_to_text(inside))
        assert cells[units].tolist() == [EVEN[5]]
        assert missing == []


def test_a_coarser_cell_stands_for_all_units_inside() -> None:
    for cells in (EVEN, MIXED):
        units, missing = Places(cells).of_cells(cells_to_text(COARSE))
        assert units.tolist() == list(range(len(cells)))
        assert missing == []


def test_cells_outside_are_named_by_their_index() -> None:
    elsewhere = [cell_from_point(10, 10, r) for r in (3, 6, 9)]

    units, missing = Places(MIXED).of_cells(cells_to_text([elsewhere[0], EVEN[2], *elsewhere[1:]]))

    assert MIXED[units].tolist() == [EVEN[2]]
    assert missing == [0, 2, 3]


def test_a_point_belongs_to_the_unit_of_its_logical_ancestor() -> None:
    cell12 = np.array([cell_from_point(*HERE, 12)], dtype=np.uint64)

    unit = Places(EVEN).of_point(*HERE)

    assert unit is not None
    assert EVEN[unit] == ancestors(cell12, 6)[0]


def test_a_harbour_beside_the_plan_is_at_the_nearest_unit_and_a_far_one_nowhere() -> None:
    lon, lat = points_from_cells(EVEN)
    rim = int(np.argmax(lon))

    assert Places(EVEN).near_point(float(lon[rim]) + 0.06, float(lat[rim])) == rim
    assert Places(EVEN).near_point(float(lon[rim]) + 1.0, float(lat[rim])) is None


def test_an_area_holds_the_units_with_their_centre_in_it() -> None:
    lon, lat = points_from_cells(EVEN)

    units, others = Places(EVEN).in_areas([box(112.9, 30.4, 113.1, 30.6), box(0, 0, 1, 1)])

    inside = (abs(lon - 113) < 0.1) & (abs(lat - 30.5) < 0.1)
    assert units.tolist() == np.flatnonzero(inside).tolist()
    assert others.tolist() == []


def test_ground_is_taken_out_of_finer_and_coarser_cells() -> None:
    finer, coarser = descendants(EVEN[:1], 7)[:2], EVEN[7:9]
    taken = np.sort(np.concatenate([finer, coarser]))

    left = without(np.concatenate([EVEN[:7], descendants(EVEN[7:], 7)]), taken)

    ground = np.sort(np.concatenate([left, taken]))
    assert np.array_equal(np.sort(descendants(ground, 8)), descendants(EVEN, 8))
