"""Heavy cells replaced by their children, so that territories can be balanced finely."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo.cell_ids import (
    CUSTOMER_RESOLUTION,
    CellArray,
    IntArray,
    are_pentagons,
    descendant_range,
    descendants,
    resolutions,
)
from geo.cell_sets import refuse_overlapping
from geo.cells import as_cells
from geo.errors import RegionError
from geo.membership import activity_per_cell, units_of
from geo.sphere import FloatArray


@dataclass(frozen=True, slots=True)
class Splitting:
    """Cells after heavy ones were split.

    Attributes
    ----------
    cells : (n_units,) uint64
        Sorted, of several resolutions, covering the ground that was given.
    work : (n_units,)
    n_split
        Cells that gave way to their children, children split in turn included.
    n_added
        Units more than before.
    heaviest_work
        Work of the heaviest unit, 0 without units.
    heaviest_cell
        Its id, the lowest of several; None without units.
    n_too_heavy
        Units still above the bound.
    is_limited
        Whether some of those could be split, had more units been allowed. Otherwise each of them
        has all its work in one place, a cell of resolution 12, and no splitting helps.
    """

    cells: CellArray
    work: FloatArray
    n_split: int
    n_added: int
    heaviest_work: float
    heaviest_cell: int | None
    n_too_heavy: int
    is_limited: bool


def split_heavy_cells(
    cells: npt.ArrayLike,
    cells12: npt.ArrayLike,
    work: npt.ArrayLike,
    largest_work: float,
    max_added: int | None = None,
) -> Splitting:
    """The cells, every one heavier than a bound replaced by its logical children.

    Children are split in turn until none is too heavy or a cell has all its work in one place.
    Children without work stay: a plan covers its ground. Since customers belong to the ancestor
    of their resolution-12 cell, every customer belongs to one unit before and after.

    Parameters
    ----------
    cells : (n_units,) uint64
        Sorted, of one resolution or several, none inside another.
    cells12 : (n_customers,) uint64
        The customers' cells of resolution 12; those in no unit count nowhere.
    work : (n_customers,)
        At least 0.
    largest_work
        Above 0, in the unit of ``work``; usually a share of a territory's target.
    max_added
        Most units to add, six for each cell split (five for a pentagon); level by level the
        heaviest go first. By default there is no limit, and none is needed for the time it takes:
        no level has more heavy cells than bounds go into the total.

    Raises
    ------
    CellError
        ``cells_not_sorted``, ``cells_overlap``.
    RegionError
        ``bad_work``, ``bad_bound``, and ``activity_mismatch`` as `activity_per_cell`.
    """
    units, customers = as_cells(cells), as_cells(cells12)
    workload = np.atleast_1d(np.asarray(work, dtype=np.float64))
    _refuse_bad_numbers(workload, largest_work)
    given = _Weighed(units, activity_per_cell(customers, workload, units))
    refuse_overlapping(units)
    heavy = given.taken(given.work > largest_work)
    kept = [given.taken(given.work <= largest_work)]
    places = _places_in(heavy.cells, customers, workload)
    room = math.inf if max_added is None else max_added
    n_split, n_too_heavy, is_limited = 0, 0, False
    while len(heavy.cells):
        is_helped = _n_within(places.cells, heavy.cells) > 1
        is_split = _are_affordable(heavy, is_helped, room)
        children = _children(heavy.cells[is_split])
        room -= len(children) - int(is_split.sum())
        n_split += int(is_split.sum())
        n_too_heavy += int(np.sum(~is_split))
        is_limited |= bool(np.any(is_helped & ~is_split))
        below = _Weighed(children, activity_per_cell(places.cells, places.work, children))
        kept += [heavy.taken(~is_split), below.taken(below.work <= largest_work)]
        heavy = below.taken(below.work > largest_work)
    found = _together(kept)
    heaviest = int(np.argmax(found.work)) if len(found.cells) else None
    return Splitting(
        cells=found.cells,
        work=found.work,
        n_split=n_split,
        n_added=len(found.cells) - len(units),
        heaviest_work=0.0 if heaviest is None else float(found.work[heaviest]),
        heaviest_cell=None if heaviest is None else int(found.cells[heaviest]),
        n_too_heavy=n_too_heavy,
        is_limited=is_limited,
    )


@dataclass(frozen=True, slots=True)
class _Weighed:
    """Sorted cells and the work in each."""

    cells: CellArray
    work: FloatArray

    def taken(self, chosen: npt.NDArray[np.bool_]) -> _Weighed:
        return _Weighed(self.cells[chosen], self.work[chosen])


def _together(parts: list[_Weighed]) -> _Weighed:
    cells = np.concatenate([part.cells for part in parts])
    order = np.argsort(cells)
    return _Weighed(cells[order], np.concatenate([part.work for part in parts])[order])


def _places_in(cells: CellArray, customers: CellArray, work: FloatArray) -> _Weighed:
    """The distinct cells of customers with work inside some units."""
    inside = (work > 0) & (units_of(customers, cells) >= 0)
    places, rows = np.unique(customers[inside], return_inverse=True)
    return _Weighed(places, np.bincount(rows, work[inside], len(places)).astype(np.float64))


def _n_within(places: CellArray, cells: CellArray) -> IntArray:
    low, high = descendant_range(cells, CUSTOMER_RESOLUTION)
    return np.searchsorted(places, high, side="right") - np.searchsorted(places, low)


def _are_affordable(
    heavy: _Weighed, is_helped: npt.NDArray[np.bool_], room: float
) -> npt.NDArray[np.bool_]:
    """Which of the cells to split: of those it helps the heaviest, while there is room."""
    costs = np.where(are_pentagons(heavy.cells), 5, 6) * is_helped
    heaviest_first = np.lexsort((-heavy.work, ~is_helped))
    is_split = np.zeros(len(costs), dtype=np.bool_)
    is_split[heaviest_first] = np.cumsum(costs[heaviest_first]) <= room
    return is_split & is_helped


def _children(cells: CellArray) -> CellArray:
    own = resolutions(cells)
    parts = [descendants(cells[own == level], int(level) + 1) for level in np.unique(own)]
    return np.concatenate([np.empty(0, dtype=np.uint64), *parts])


def _refuse_bad_numbers(work: FloatArray, largest_work: float) -> None:
    if not np.all(np.isfinite(work) & (work >= 0)):
        raise RegionError("bad_work", "finite amounts of work of at least 0 are needed")
    if not largest_work > 0:
        raise RegionError("bad_bound", f"cells can be no lighter than {largest_work:g}")
