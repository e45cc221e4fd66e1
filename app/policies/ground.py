"""What territories have of the cells of the monthly snapshots.

Snapshots are kept at one resolution. A cell that lies in one territory counts there whole. Of a
cell that several territories share, each has the share of today's customers that live on its side;
where nobody lives today, its share of the ground. So customers who came or went are taken to have
done so alike on all sides of a border within such a cell: sums over the plan are exact, those of
one territory only as far as that holds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.db.alignment import Cells, Ordinals
from geo.cell_sets import owners_of, positions_in
from geo.cells import CellArray, ancestors, resolutions

SNAPSHOT_RESOLUTION = 6
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ground:
    """Sorted cells (n,) of a plan with the territory ordinal of each, and the shares (k,).

    Territory `sharers[i]` has `shares[i]` of the snapshot cell `shared[i]`.
    """

    cells: Cells
    ordinals: Ordinals
    n_territories: int
    shared: CellArray
    sharers: NDArray[np.int64]
    shares: Floats

    def fold(self, cells: CellArray, amounts: Floats) -> Floats:
        """Return the sums (n_territories, m) of amounts (n, m) of sorted snapshot cells (n,)."""
        owners = owners_of(self.cells, cells)
        is_whole = owners >= 0
        at = positions_in(cells, self.shared)
        is_there = at >= 0
        to = np.concatenate([self.ordinals[owners[is_whole]], self.sharers[is_there]])
        parts = np.concatenate(
            [amounts[is_whole], amounts[at[is_there]] * self.shares[is_there, None]]
        )
        columns = [np.bincount(to, column, self.n_territories) for column in parts.T]
        return np.column_stack(columns)


def shared_cells(cells: Cells) -> CellArray:
    """Return the snapshot cells that hold finer cells of a plan, sorted."""
    is_finer = resolutions(cells) > SNAPSHOT_RESOLUTION
    return np.unique(ancestors(cells[is_finer], SNAPSHOT_RESOLUTION))


def ground_of(
    cells: Cells, ordinals: Ordinals, n_territories: int, customers: Floats, totals: Floats
) -> Ground:
    """Return the ground of a plan.

    Parameters
    ----------
    customers : (n,)
        Of today, in each cell.
    totals : (k,)
        Of today, in each of the `shared_cells`, those in no territory as well.
    """
    shared = shared_cells(cells)
    finer = np.flatnonzero(resolutions(cells) > SNAPSHOT_RESOLUTION)
    at = np.searchsorted(shared, ancestors(cells[finer], SNAPSHOT_RESOLUTION))
    key, pair = np.unique(at * n_territories + ordinals[finer], return_inverse=True)
    cell, sharer = np.divmod(key, n_territories)
    living = np.bincount(pair, customers[finer], len(key))
    size = 7.0 ** (SNAPSHOT_RESOLUTION - resolutions(cells[finer]))
    ground = np.minimum(np.bincount(pair, size, len(key)), 1.0)
    everyone = np.maximum(totals, np.bincount(cell, living, len(shared)))[cell]
    has_customers = everyone > 0
    shares = np.divide(living, everyone, out=ground, where=has_customers)
    return Ground(cells, ordinals, n_territories, shared[cell], sharer, shares)
