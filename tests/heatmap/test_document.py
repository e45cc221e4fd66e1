"""How the heatmap's answer is put together."""

import json
from statistics import quantiles

import numpy as np
import pytest
import shapely

from app.heatmap.document import DrawnCells, breaks
from geo.cells import ancestors, descendants
from geo.outlines import cell_outlines

CELLS = descendants(ancestors([0x8C309963145C1FF], 3), 6)


@pytest.mark.parametrize("most", [0, 100, 1_000])
def test_outlines_are_the_same_however_few_are_kept(most: int) -> None:
    drawn = DrawnCells(most)
    for cells in (CELLS[:50], CELLS[40:90], CELLS[:50], CELLS[::-1], CELLS[:0]):
        texts = drawn.of(cells)
        assert len(texts) == len(cells)
        for text, outline in zip(texts, cell_outlines(cells), strict=True):
            shown = shapely.from_geojson(text)
            assert shapely.equals_exact(shown, outline, tolerance=1e-6)
            assert json.loads(text)["type"] == "Polygon"


def test_breaks_are_sevenths_above_the_lowest_value() -> None:
    assert breaks(np.arange(1.0, 71.0)).tolist() == [10, 20, 30, 40, 50, 60]
    assert breaks(np.array([5.0, 5.0, 5.0])).tolist() == []
    assert breaks(np.array([])).tolist() == []
    assert breaks(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 9.0])).tolist() == [9]
    values = np.random.default_rng(0).uniform(0, 1, 7_000)
    assert breaks(values) == pytest.approx(quantiles(values, n=7), abs=0.01)
