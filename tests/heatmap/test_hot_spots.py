"""The statistic Gi* against its formula written out, and its laws."""

import h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.heatmap.hot_spots import gi_star, with_margin
from geo.bbox import BoundingBox
from geo.cells import cell_from_point, cells_from_text
from geo.outlines import cell_outlines

CENTRE = h3.latlng_to_cell(31.23, 121.47, 7)
AROUND = sorted(int(cell, 16) for cell in h3.grid_disk(CENTRE, 4))


def by_hand(cells: list[int], values: list[float], rings: int) -> list[float]:
    """Ord and Getis (1995), equation 14.b, term by term."""
    n = len(cells)
    mean = sum(values) / n
    s = (sum(x * x for x in values) / n - mean**2) ** 0.5
    scores = []
    for cell in cells:
        near = {int(other, 16) for other in h3.grid_disk(f"{cell:x}", rings)}
        w = [1.0 if other in near else 0.0 for other in cells]
        total, squares = sum(w), sum(x * x for x in w)
        top = sum(a * b for a, b in zip(w, values, strict=True)) - mean * total
        scores.append(top / (s * ((n * squares - total**2) / (n - 1)) ** 0.5))
    return scores


@given(
    chosen=st.lists(st.sampled_from(AROUND), min_size=20, max_size=60, unique=True),
    rings=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=40)
def test_scores_equal_the_formula(chosen: list[int], rings: int, seed: int) -> None:
    cells = sorted(chosen)
    values = np.random.default_rng(seed).uniform(0, 100, len(cells))
    found = gi_star(np.array(cells, np.uint64), values, rings)
    assert found == pytest.approx(by_hand(cells, values.tolist(), rings), rel=1e-9, abs=1e-9)
    # Neither the unit of the values nor a constant added to all of them matters.
    assert gi_star(np.array(cells, np.uint64), 7 * values + 1000, rings) == pytest.approx(found)
    assert gi_star(np.array(cells, np.uint64), -values, rings) == pytest.approx(-found)


def test_a_cluster_stands_out_and_equal_values_do_not() -> None:
    cells = np.array(AROUND, np.uint64)
    hot = {int(cell, 16) for cell in h3.grid_disk(CENTRE, 1)}
    values = np.array([100.0 if cell in hot else 1.0 for cell in AROUND])
    scores = gi_star(cells, values, 1)
    assert AROUND[int(scores.argmax())] == int(CENTRE, 16)
    assert scores.max() > 5
    assert not gi_star(cells, np.full(len(cells), 0.1), 1).any()
    assert not gi_star(cells, values, 9).any(), "every neighbourhood is everything"
    assert gi_star(cells[:1], values[:1], 1).tolist() == [0]
    assert gi_star(cells[:0], values[:0], 1).tolist() == []


@given(lon=st.floats(-179.9, 179.9), lat=st.floats(-80, 80), rings=st.integers(1, 3),
       resolution=st.integers(2, 9))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_the_margin_holds_the_neighbourhoods_of_the_cells_in_view(
    lon: float, lat: float, rings: int, resolution: int
) -> None:
    view = BoundingBox(lon, lat, lon, lat)
    area = with_margin(view, resolution, rings).polygon()
    cell = f"{cell_from_point(lon, lat, resolution):x}"
    near = cells_from_text(sorted(h3.grid_disk(cell, rings)))
    assert all(outline.intersects(area) for outline in cell_outlines(near))
