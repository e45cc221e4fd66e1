"""Sets of cells as sorted arrays, and the unit a cell belongs to where resolutions are mixed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo.cell_ids import (
    CellArray,
    IntArray,
    ancestors,
    descendant_range,
    descendants,
    resolutions,
)
from geo.errors import CellError

ABSENT = -1
"""Owner of ground in no unit."""

FINER = -2
"""Owner of a cell that holds units finer than itself."""


def positions_in(ids: CellArray, wanted: CellArray) -> npt.NDArray[np.int64]:
    """Where each wanted id stands in the sorted ids, -1 where it does not; shape of ``wanted``."""
    if len(ids) == 0:
        return np.full(wanted.shape, -1, dtype=np.int64)
    places = np.searchsorted(ids, wanted)
    places[places == len(ids)] = 0
    return np.where(ids[places] == wanted, places, -1)


def owners_of(ids: CellArray, wanted: CellArray) -> IntArray:
    """The unit each wanted cell is or lies in, else `ABSENT` or `FINER`; shape of ``wanted``.

    ``ids`` are sorted and do not overlap. A wanted 0 is no cell, and absent.
    """
    owners = positions_in(ids, wanted)
    levels = distinct_resolutions(ids)
    missing = (owners == ABSENT) & (wanted != 0)
    cells = wanted[missing]
    own = resolutions(cells)
    found = np.full(len(cells), ABSENT, dtype=np.int64)
    for level in levels:
        is_finer, coarser = own > level, np.flatnonzero(own < level)
        above = positions_in(ids, ancestors(cells[is_finer], level))
        found[is_finer] = np.maximum(found[is_finer], above)
        low, high = descendant_range(cells[coarser], level)
        holds_units = np.searchsorted(ids, high, side="right") > np.searchsorted(ids, low)
        found[coarser[holds_units]] = FINER
    owners[missing] = found
    return owners


def distinct_resolutions(ids: CellArray) -> list[int]:
    """The resolutions of sorted cells, rising."""
    if len(ids) == 0:
        return []
    # Ids of a finer resolution are higher, whatever their digits.
    coarsest, finest = resolutions(ids[[0, -1]]).tolist()
    if coarsest == finest:
        return [coarsest]
    return [int(level) for level in np.unique(resolutions(ids))]


def refuse_unsorted(ids: CellArray) -> None:
    """Refuse a cell set whose ids do not rise strictly (``cells_not_sorted``)."""
    falls = np.flatnonzero(ids[1:] <= ids[:-1])
    if len(falls):
        raise CellError(
            "cells_not_sorted",
            f"cells must rise strictly; they do not after index {int(falls[0])}",
            index=int(falls[0]),
        )


def refuse_overlapping(ids: CellArray) -> None:
    """Refuse sorted cells of which one is an ancestor of another (``cells_overlap``)."""
    own = resolutions(ids)
    for level in distinct_resolutions(ids)[:-1]:
        finer = np.flatnonzero(own > level)
        above = positions_in(ids, ancestors(ids[finer], level))
        inside = np.flatnonzero(above >= 0)
        if len(inside):
            inner, outer = int(finer[inside[0]]), int(above[inside[0]])
            raise CellError(
                "cells_overlap",
                f"cell {int(ids[inner]):x} lies inside cell {int(ids[outer]):x}, also in the set",
                indices=[outer, inner],
            )


def without_inner(ids: CellArray) -> CellArray:
    """Sorted cells without those that lie inside another of them: what they hold is the same."""
    own = resolutions(ids)
    is_inner = np.zeros(len(ids), dtype=np.bool_)
    for level in distinct_resolutions(ids)[:-1]:
        finer = np.flatnonzero(own > level)
        is_inner[finer] |= positions_in(ids, ancestors(ids[finer], level)) >= 0
    return ids[~is_inner]


def joined_siblings(ids: CellArray, resolution: int) -> CellArray:
    """Fewer sorted cells with the same descendants: seven siblings are their parent.

    None of ``ids``, which do not overlap, is joined to a cell coarser than ``resolution``. The six
    of a pentagon are left as they are.
    """
    joined = ids
    finest = int(resolutions(ids).max(initial=0))
    for level in range(finest, resolution, -1):
        is_here = resolutions(joined) == level
        here = joined[is_here]
        parents, parent, n_children = np.unique(
            ancestors(here, level - 1), return_inverse=True, return_counts=True
        )
        is_whole = n_children == 7
        left = here[~is_whole[parent]]
        joined = np.concatenate([joined[~is_here], left, parents[is_whole]])
    return np.sort(joined)


def refined(ids: CellArray, by: CellArray) -> CellArray:
    """Fewest sorted cells with the same descendants of which none holds one of ``by`` inside it.

    Both are sorted and do not overlap. With the cells of two plans this is the ground of the first,
    cut so that each cell lies in one cell of the second or in none.
    """
    kept, left = [], ids
    while len(left):
        is_cut = owners_of(by, left) == FINER
        kept.append(left[~is_cut])
        cut = left[is_cut]
        own = resolutions(cut)
        levels = np.unique(own).tolist()
        parts = [descendants(cut[own == level], level + 1) for level in levels]
        left = np.concatenate(parts) if parts else cut
    return np.sort(np.concatenate(kept)) if kept else ids
