"""The cells that touch a view, kept for the next who asks."""

import numpy as np

from app.db.heat import TouchingCells
from geo.bbox import BoundingBox
from geo.cells import descendants
from geo.cover import are_touching, cover

CITY = BoundingBox(121.2, 31.0, 121.8, 31.45)
NEXT = BoundingBox(121.8, 31.0, 122.4, 31.45)


def test_what_is_kept_is_of_these_cells_and_this_view() -> None:
    kept = TouchingCells(most=2)
    around = np.sort(descendants(cover(CITY, 6), 6))
    assert 0 < are_touching(around, 6, CITY).sum() < len(around)
    for view in (CITY, NEXT, CITY, BoundingBox(121.2, 30.0, 121.8, 31.45), CITY):
        # Some cells lose their customers, as many others get some.
        for cells in (around, around[1:], around[:-1], around):
            expected = are_touching(cells, 6, view)
            assert np.array_equal(kept.of(cells, 6, view), expected)
            assert np.array_equal(kept.of(cells.copy(), 6, view), expected)
