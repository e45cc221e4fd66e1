"""Cells that touch a box, against the outlines of all cells."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo.bbox import BoundingBox
from geo.cells import (
    ancestors,
    base_cells,
    descendant_range,
    descendants,
    joined_ranges,
    resolutions,
)
from geo.cover import are_touching, cover
from geo.outlines import cell_outlines

CELLS = {r: descendants(base_cells(), r) for r in range(4)}
OUTLINES = {r: np.array(cell_outlines(cells), dtype=object) for r, cells in CELLS.items()}

longitudes = st.floats(-180, 180) | st.sampled_from([-180.0, 0.0, 180.0])
latitudes = st.floats(-90, 90) | st.sampled_from([-90.0, 0.0, 90.0])
boxes = st.builds(
    lambda west, east, a, b: BoundingBox(west, min(a, b), east, max(a, b)),
    longitudes, longitudes, latitudes, latitudes,
)  # fmt: skip


@given(box=boxes, resolution=st.integers(0, 3))
@example(box=BoundingBox(-180, -85, 180, 85), resolution=2)
@example(box=BoundingBox(-180, 70, 180, 90), resolution=3)
@settings(max_examples=150, deadline=None)
def test_every_cell_that_touches_a_box_is_covered_and_known(
    box: BoundingBox, resolution: int
) -> None:
    cells, outlines = CELLS[resolution], OUTLINES[resolution]
    touching = np.any([shapely.intersects(outlines, shapely.box(*part.as_tuple()))
                       for part in box.parts()], axis=0)  # fmt: skip

    covering = cover(box, resolution)

    assert np.array_equal(are_touching(cells, resolution, box), touching)
    covered = np.isin(cells, descendants(covering, resolution))
    assert np.all(covered[touching])
    for coarse in np.unique(resolutions(covering)):
        inner = covering[resolutions(covering) > coarse]
        assert not np.any(np.isin(ancestors(inner, int(coarse)), covering)), "one inside another"


@pytest.mark.parametrize("resolution", [4, 9, 12])
def test_a_view_of_a_city_takes_few_cells_and_little_more_than_the_view(resolution: int) -> None:
    box = BoundingBox(121.2, 31.0, 121.2 + 2.0**-resolution, 31.0 + 2.0**-resolution)

    covering = cover(box, resolution)

    ground = descendants(covering, resolution)
    assert len(covering) < 1500
    n_touching = are_touching(ground, resolution, box).sum()
    assert n_touching > 0
    assert len(ground) < 1.5 * n_touching + 60


@given(box=boxes, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_joined_ranges_hold_the_descendants_and_no_other_cell(box: BoundingBox, seed: int) -> None:
    covering = cover(box, 3)
    some = covering[np.random.default_rng(seed).random(len(covering)) < 0.8]

    low, high = joined_ranges(some, 3)

    nth = np.searchsorted(low, CELLS[3], side="right") - 1
    is_held = (nth >= 0) & (CELLS[3] <= high[nth]) if len(low) else np.zeros(len(CELLS[3]), bool)
    assert np.array_equal(np.sort(CELLS[3][is_held]), np.sort(descendants(some, 3)))
    assert len(low) <= len(descendant_range(some, 3)[0])


def test_a_whole_family_is_one_range_but_for_its_pentagons() -> None:
    low, high = joined_ranges(CELLS[3], 3)
    assert len(low) < 100
    assert (low[0], high[-1]) == (CELLS[3].min(), CELLS[3].max())
