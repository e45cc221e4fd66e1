"""The connected pieces of a region: which get territories, which are left out and why."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from balancing import Result
from geo.adjacency import build_adjacency, components
from geo.cells import points_from_cells

Floats = NDArray[np.float64]
Cells = NDArray[np.uint64]
Labels = NDArray[np.int32]

# A piece with less than half a territory's work would make a territory at under half its target.
LEAST_SHARE_OF_TARGET = 0.5


@dataclass(frozen=True, slots=True)
class Pieces:
    """The cells that are divided, and all pieces of the region they come from."""

    cells: Cells
    activity: Floats
    all_cells: Cells
    all_activity: Floats
    labels: Labels
    is_kept: NDArray[np.bool_]
    target: float

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
                "reason": None if self.is_kept[label] else self._reason(work[label]),
                # A cell of the piece says where it lies; a mean could lie outside of it.
                "place": [round(float(lon[label]), 5), round(float(lat[label]), 5)],
            }
            for label in np.lexsort((-n_cells, -work)).tolist()
        ]

    def _territories(self, result: Result) -> list[int]:
        labels = self.labels[self.is_kept[self.labels]]
        pairs = np.unique(np.stack([labels, result.alignment]), axis=1)
        return list(np.bincount(pairs[0], minlength=len(self.is_kept)).tolist())

    def _reason(self, work: float) -> str:
        return (
            f"not connected to the rest, and its work is {work / self.target:.0%} of a territory's"
            if self.target
            else "not connected to the rest"
        )


def keep_large_pieces(cells: Cells, activity: Floats, n_territories: int) -> Pieces:
    """Return the pieces of a region that can carry territories of their own.

    A territory never spans two pieces, and none is joined by an invented bridge: pieces with less
    than half a territory's work are left out, which the plan reports.

    Raises
    ------
    InvalidInput
        When there are more territories than cells, or more pieces than territories.
    """
    labels = components(build_adjacency(cells))
    work = np.bincount(labels, activity[:, 0]).astype(np.float64)
    is_kept = _are_large(work, n_territories)
    kept = is_kept[labels]
    if n_territories > kept.sum():
        raise _refusal("more-territories-than-cells", n_territories, f"{kept.sum()} cells")
    if n_territories < is_kept.sum():
        raise _refusal("more-pieces-than-territories", n_territories, f"{is_kept.sum()} pieces")
    return Pieces(
        cells=cells[kept],
        activity=activity[kept],
        all_cells=cells,
        all_activity=activity,
        labels=labels,
        is_kept=is_kept,
        target=float(work[is_kept].sum()) / n_territories,
    )


def _are_large(work: Floats, n_territories: int) -> NDArray[np.bool_]:
    """Leave out the lightest piece until none is lighter than half of what a territory gets.

    One by one, since every piece that goes makes the target of the others smaller.
    """
    is_kept = np.ones(len(work), dtype=np.bool_)
    for label in np.argsort(work, kind="stable"):
        target = work[is_kept].sum() / n_territories
        if is_kept.sum() == 1 or work[label] >= LEAST_SHARE_OF_TARGET * target:
            break
        is_kept[label] = False
    return is_kept


def _refusal(code: str, n_territories: int, what: str) -> InvalidInput:
    detail = f"{n_territories} territories cannot be made of {what}"
    return InvalidInput(f"{detail}.", [Fault(code, detail, "/n_territories")])
