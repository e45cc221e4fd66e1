"""Which links barriers cut, borders make dear and bridges add."""

from typing import Any

import numpy as np
import pytest

from app.errors import InvalidInput
from app.plans.links import find_links
from app.plans.request import PlanRequest
from geo.adjacency import build_adjacency
from geo.cells import cell_from_point, descendants, points_from_cells
from tests.constraints.ground import line, rectangle

EVEN = descendants(np.array([cell_from_point(113.0, 30.5, 4)], dtype=np.uint64), 6)
ADJACENCY = build_adjacency(EVEN)
LON, LAT = points_from_cells(EVEN)
WEST_HALF, EAST_HALF = rectangle(112, 29, 113, 32), rectangle(113, 29, 114, 32)


def links_of(**wishes: Any) -> Any:
    return find_links(PlanRequest(layer_id=1, n_territories=2, **wishes), EVEN, ADJACENCY)


def crossing(lon: float) -> list[list[int]]:
    """Pairs of units on two sides of a meridian, one by one."""
    tails, heads = ADJACENCY.sources().tolist(), ADJACENCY.indices.tolist()
    pairs = zip(tails, heads, strict=True)
    return sorted(
        [a, b] for a, b in pairs if a < b and (LON[a] - lon) * (LON[b] - lon) <= 0
    )  # fmt: skip


def test_a_line_cuts_every_link_across_it() -> None:
    assert links_of(barriers=[{"geometry": line((113, 29), (113, 32))}]).forbidden.tolist() == (
        crossing(113)
    )


def test_areas_that_touch_keep_the_border_between_them() -> None:
    halves = [{"geometry": WEST_HALF, "strength": 1}, {"geometry": EAST_HALF, "strength": 3}]

    links = links_of(discouraged=halves)

    assert links.discouraged.tolist() == crossing(113)
    assert set(links.strengths) == {3.0}


def test_areas_of_one_strength_keep_the_border_between_them_too() -> None:
    halves = [{"geometry": WEST_HALF}, {"geometry": EAST_HALF}]

    assert links_of(discouraged=halves).discouraged.tolist() == crossing(113)


def test_a_bridge_inside_one_unit_is_none() -> None:
    here = [float(LON[7]), float(LAT[7])]

    links = links_of(bridges=[{"name": "b", "from": here, "to": here}])

    assert len(links.bridges) == 0


def test_links_among_some_units_are_numbered_by_their_place_among_them() -> None:
    ends = [[float(LON[unit]), float(LAT[unit])] for unit in (3, 40)]
    links = links_of(bridges=[{"name": "b", "from": ends[0], "to": ends[1]}])

    among = links.among(np.array([1, 3, 40], dtype=np.int32), len(EVEN))

    assert among.bridges.tolist() == [[1, 2]]
    assert among.bridge_numbers == (0,)
    assert links.among(np.array([1, 3], dtype=np.int32), len(EVEN)).bridge_numbers == ()


def test_a_bridge_that_ends_far_away_is_refused_with_its_end() -> None:
    with pytest.raises(InvalidInput) as refusal:
        links_of(bridges=[{"name": "b", "from": [113, 30.5], "to": [0, 0]}])

    assert refusal.value.faults[0].pointer == "/bridges/0/to"
