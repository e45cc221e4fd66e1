"""The connected pieces of a region: which get territories, which are left out and why."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from balancing import Result
from geo.cells import points_from_cells

Floats = NDArray[np.float64]
Cells = NDArray[np.uint64]
Labels = NDArray[np.int32]

# A piece with less than half a territory's work would make a territory at under half its target.
LEAST_SHARE_OF_TARGET = 0.5


@dataclass(frozen=True, slots=True)
class Pieces:
    """The units that are divided, and all pieces of the region they come from.

    `labels` (n,) is the piece of each unit of the region; bridges join, barriers part.
    """

    all_cells: Cells
    all_activity: Floats
    labels: Labels
    is_kept: NDArray[np.bool_]
    target: float
    is_by_barrier: NDArray[np.bool_]

    @property
    def kept(self) -> NDArray[np.int32]:
        """The units that are divided, rising."""
        return np.flatnonzero(self.is_kept[self.labels]).astype(np.int32)

    def document(self, result: Result) -> list[dict[str, Any]]:
        """Return every piece, the largest first, with the territories it got or why it has none."""
        total = max(float(self.all_activity[:, 0].sum()), 1e-300)
        n_cells = np.bincount(self.labels)
        work = np.bincount(self.labels, self.all_activity[:, 0])
        customers = np.bincount(self.labels, self.all_activity[:, 1])
        owners = self._territories(result)
        _, first_cells = np.unique(self.labels, return_index=True)
        lon, lat = points_from_cells(self.all_cells[first_cells])
        return [
            {
                "n_cells": int(n_cells[label]),
                "work_share": float(work[label] / total),
                "customers": int(customers[label]),
                "n_territories": owners[label],
                "left_out": not bool(self.is_kept[label]),
                "reason": None if self.is_kept[label] else self._reason(label, work[label]),
                # A cell of the piece says where it lies; a mean could lie outside of it.
                "place": [round(float(lon[label]), 5), round(float(lat[label]), 5)],
            }
            for label in np.lexsort((-n_cells, -work)).tolist()
        ]

    def _territories(self, result: Result) -> list[int]:
        labels = self.labels[self.kept]
        pairs = np.unique(np.stack([labels, result.alignment]), axis=1)
        return list(np.bincount(pairs[0], minlength=len(self.is_kept)).tolist())

    def _reason(self, label: int, work: float) -> str:
        is_cut = self.is_by_barrier[label]
        cut_off = "cut off by barriers or locked territories"
        why = cut_off if is_cut else "not connected to the rest"
        if not self.target:
            return why
        return f"{why}, and its work is {work / self.target:.0%} of a territory's"


def keep_large_pieces(
    cells: Cells,
    activity: Floats,
    labels: Labels,
    labels_without_barriers: Labels,
    n_territories: int,
    closed: NDArray[np.bool_],
    pointer: str,
) -> Pieces:
    """Return the pieces of a region that can carry territories of their own.

    A territory never spans two pieces, and none is joined by an invented bridge: pieces with less
    than half a territory's work are left out, which the plan reports. Territories taken over stay
    whatever their piece carries.

    Parameters
    ----------
    cells, activity
        Of every unit, (n,) and (n, 4).
    labels, labels_without_barriers
        (n,) piece of each unit, with barriers counted and without; bridges join in both.
    n_territories
        Those to be made, without those taken over.
    closed
        (n,) units of territories taken over.
    pointer
        The field that says how many territories there are.

    Raises
    ------
    InvalidInput
        When there are more territories than cells, or more pieces than territories.
    """
    work = np.bincount(labels, np.where(closed, 0.0, activity[:, 0])).astype(np.float64)
    has_closed = np.zeros(len(work), dtype=np.bool_)
    has_closed[labels[closed]] = True
    is_kept = _are_large(work, has_closed, n_territories)
    n_open = int(np.count_nonzero(is_kept[labels] & ~closed))
    if n_territories > n_open:
        raise _refusal("more-territories-than-cells", n_territories, f"{n_open} cells", pointer)
    n_pieces = int(np.count_nonzero(is_kept & ~has_closed))
    if n_territories < n_pieces:
        what = f"{n_pieces} separate pieces; ask for as many, or name the bridges that join them"
        raise _refusal("more-pieces-than-territories", n_territories, what, pointer)
    return Pieces(
        all_cells=cells,
        all_activity=activity,
        labels=labels,
        is_kept=is_kept,
        target=float(work[is_kept].sum()) / max(n_territories, 1),
        is_by_barrier=_are_by_barrier(labels, labels_without_barriers),
    )


def keep_pieces(
    cells: Cells,
    activity: Floats,
    labels: Labels,
    labels_without_barriers: Labels,
    n_territories: int,
    stays: NDArray[np.bool_],
) -> Pieces:
    """Return the pieces that hold units of a plan, whatever they carry; others are left out.

    Parameters are those of `keep_large_pieces`; `stays` (n,) are the plan's units.
    """
    is_kept = np.zeros(int(labels.max(initial=-1)) + 1, dtype=np.bool_)
    is_kept[labels[stays]] = True
    return Pieces(
        all_cells=cells,
        all_activity=activity,
        labels=labels,
        is_kept=is_kept,
        target=float(activity[is_kept[labels], 0].sum()) / max(n_territories, 1),
        is_by_barrier=_are_by_barrier(labels, labels_without_barriers),
    )


def _are_large(
    work: Floats, has_closed: NDArray[np.bool_], n_territories: int
) -> NDArray[np.bool_]:
    """Leave out the lightest piece until none is lighter than half of what a territory gets.

    One by one, since every piece that goes makes the target of the others smaller.
    """
    is_kept = np.ones(len(work), dtype=np.bool_)
    for label in np.argsort(work, kind="stable"):
        if has_closed[label]:
            continue
        target = work[is_kept].sum() / max(n_territories, 1)
        if is_kept.sum() == 1 or work[label] >= LEAST_SHARE_OF_TARGET * target:
            break
        is_kept[label] = False
    return is_kept


def _are_by_barrier(labels: Labels, without_barriers: Labels) -> NDArray[np.bool_]:
    """(n_pieces,) whether a piece would be part of a larger one but for barriers."""
    sizes = np.bincount(labels)
    _, firsts = np.unique(labels, return_index=True)
    return np.asarray(sizes < np.bincount(without_barriers)[without_barriers[firsts]])


def _refusal(code: str, n_territories: int, what: str, pointer: str) -> InvalidInput:
    detail = f"{n_territories} territories cannot be made of {what}"
    return InvalidInput(f"{detail}.", [Fault(code, detail, pointer)])
