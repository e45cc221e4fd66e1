"""Where a what-if begins, on a mainland of two territories and an island of one."""

from typing import Any

import numpy as np
import pytest

from app.errors import InvalidInput
from app.plans.rebalance_request import RebalanceRequest, Selection
from app.plans.rebalance_search import RebalanceSearch
from app.plans.request import PlanRequest
from app.plans.solve import Names
from app.plans.what_if_start import Beginning
from balancing import connected_components
from geo.cells import CellArray, descendants, points_from_cells
from tests.tiles.ground import patch

MAINLAND, ISLAND = (113.0, 30.5), (118.0, 30.5)
CODES = ("T01", "T02", "T03", "T04")


def search_on(ordinals: list[int], n_after: int, protect: Selection) -> RebalanceSearch:
    """The search for `n_after` territories, where the three there are have become these."""
    mainland, island = patch(*MAINLAND, 0.6, 6), patch(*ISLAND, 0.3, 6)
    cells = np.sort(np.concatenate([mainland, island]))
    lon, _ = points_from_cells(cells)
    were = np.where(lon > 116, 2, (lon > MAINLAND[0]).astype(int))
    cells12 = _one_in_each(cells)
    activity = np.tile([100.0, 1.0, 0.0, 0.0], (len(cells), 1))
    request = PlanRequest(layer_id=1, shares=[1 / n_after] * n_after)
    document = {
        **request.model_dump(mode="json", by_alias=True),
        "resolved": {"reps": [], "locked": {"cells": [], "territories": []}},
    }
    nothing: Any = np.empty(0, dtype=np.uint64)
    chosen = dict.fromkeys(("protected", "recent", "kept_ground", "kept_cells12"), nothing)
    return RebalanceSearch(
        document, RebalanceRequest(protect=protect), cells12, activity,
        {"cells": cells, "ordinals": np.array(ordinals, dtype=np.int32)[were]},
        {**chosen, "kept_work": np.empty(0)},
        Names(CODES[:n_after], CODES[:n_after], (0,) * n_after), 1,
    )  # fmt: skip


def _one_in_each(cells: CellArray) -> CellArray:
    """A cell of resolution 12 inside each."""
    return np.array([descendants(cells[n : n + 1], 12)[0] for n in range(len(cells))])


def beginning_on(
    successors: list[int], n_after: int, protect: Selection | None = None
) -> tuple[RebalanceSearch, Beginning]:
    search = search_on(successors, n_after, protect or Selection())
    lon, _ = points_from_cells(search.task.cells)
    origins = np.where(lon > 116, 2, (lon > MAINLAND[0]).astype(int)).astype(np.int32)
    return search, Beginning(search, origins, np.array(successors, dtype=np.int32))


def addition(ordinal: int, place: tuple[float, float] | None, **more: Any) -> dict[str, Any]:
    return {
        "ordinal": ordinal, "place": place, "pointer": "/changes/1", "replaces": False, **more,
    }  # fmt: skip


REMOVAL = {"ordinal": 2, "pointer": "/changes/0/territory"}


def test_an_island_that_nobody_touches_is_not_left_to_nobody() -> None:
    _, beginning = beginning_on([0, 1, -1], 2)

    with pytest.raises(InvalidInput) as refusal:
        beginning.refuse_cut_off([REMOVAL], CODES)

    (fault,) = refusal.value.faults
    assert (fault.code, fault.pointer) == ("cut-off", "/changes/0/territory")
    assert "T03" in fault.detail


def test_who_comes_to_the_island_takes_all_of_it() -> None:
    search, beginning = beginning_on([0, 1, -1], 3)

    beginning.add(addition(2, ISLAND), seed=1)
    beginning.refuse_cut_off([REMOVAL], CODES)

    lon, _ = points_from_cells(search.task.cells)
    assert np.all((beginning.start == 2) == (lon > 116))
    assert beginning.donors[0].is_whole
    assert beginning.donors[0].ordinal == 2


@pytest.mark.parametrize("east", [-0.5, 0.5])
def test_a_part_is_connected_half_of_its_territory_and_holds_the_place(east: float) -> None:
    search, beginning = beginning_on([0, 1, 2], 4)
    place = (MAINLAND[0] + east, MAINLAND[1] + 0.4)

    beginning.add(addition(3, place), seed=1)

    donor = int(east > 0)
    assert beginning.donors[0].ordinal == donor
    part = np.flatnonzero(beginning.start == 3).astype(np.int32)
    rest = np.flatnonzero(beginning.start == donor).astype(np.int32)
    graph = search.task.instance.graph
    for units in (part, rest):
        assert connected_components(graph.restricted_to(units)).max() == 0
    assert abs(len(part) - len(rest)) <= 0.1 * len(rest) + 1
    ((unit, territory),) = beginning.places.items()
    assert territory == beginning.start[unit] == 3


def test_what_is_protected_gives_no_ground() -> None:
    search, beginning = beginning_on([0, 1, 2], 4, Selection(territories=["T01"]))

    beginning.add(addition(3, (MAINLAND[0] - 0.5, MAINLAND[1])), seed=1)

    assert beginning.donors[0].ordinal == 1
    assert np.all(beginning.start[search.past == 0] == 0)


def test_where_all_is_protected_there_is_no_room() -> None:
    _, beginning = beginning_on([0, 1, 2], 4, Selection(territories=list(CODES[:3])))

    with pytest.raises(InvalidInput) as refusal:
        beginning.add(addition(3, None), seed=1)

    assert [fault.pointer for fault in refusal.value.faults] == ["/changes/1"]


def test_protected_cells_stay_with_the_territory_that_gives() -> None:
    first, _ = beginning_on([0, 1, 2], 4)
    kept = np.flatnonzero(first.past == 0)[::7]
    search = search_on([0, 1, 2], 4, Selection())
    search.choice.protected[kept] = True
    lon, _ = points_from_cells(search.task.cells)
    origins = np.where(lon > 116, 2, (lon > MAINLAND[0]).astype(int)).astype(np.int32)
    beginning = Beginning(search, origins, np.arange(3, dtype=np.int32))

    beginning.add(addition(3, (MAINLAND[0] - 0.5, MAINLAND[1])), seed=1)

    assert np.any(beginning.start == 3)
    assert np.all(beginning.start[kept] == 0)
