"""Which unit a customer belongs to: the one that is an ancestor of its resolution-12 cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo.cell_sets import positions_in, refuse_unsorted
from geo.cells import IntArray, ancestors, as_cells, resolutions
from geo.errors import RegionError
from geo.sphere import FloatArray


def units_of(cells12: npt.ArrayLike, cells: npt.ArrayLike) -> IntArray:
    """Index of the unit each customer belongs to, (n_customers,); -1 for those in none.

    Parameters
    ----------
    cells12 : (n_customers,) uint64
        Cells of the customers, at least as fine as the finest unit.
    cells : (n_units,) uint64
        Sorted units, of one resolution or of several that do not overlap.
    """
    customers, units = as_cells(cells12), as_cells(cells)
    refuse_unsorted(units)
    found = np.full(len(customers), -1, dtype=np.int64)
    for resolution in np.unique(resolutions(units)).tolist():
        found = np.maximum(found, positions_in(units, ancestors(customers, resolution)))
    return found


def activity_per_cell(
    cells12: npt.ArrayLike, activity: npt.ArrayLike, cells: npt.ArrayLike
) -> FloatArray:
    """Sums of the customers' activity over units; customers in no unit count nowhere.

    Parameters
    ----------
    cells12 : (n_customers,) uint64
    activity : (n_customers,) or (n_customers, n_measures)
    cells : (n_units,) uint64
        Sorted.

    Returns
    -------
    (n_units,) or (n_units, n_measures), as ``activity`` was.

    Raises
    ------
    RegionError
        ``activity_mismatch`` when there are not as many rows as customers.
    """
    units = as_cells(cells)
    values = np.asarray(activity, dtype=np.float64)
    customers = units_of(cells12, units)
    if len(values) != len(customers):
        raise RegionError(
            "activity_mismatch", f"{len(customers)} customers, {len(values)} rows of activity"
        )
    inside = customers >= 0
    rows = values[:, None] if values.ndim == 1 else values
    columns: list[FloatArray] = [
        np.bincount(customers[inside], column[inside], len(units)).astype(np.float64)
        for column in rows.T
    ]
    return np.column_stack(columns).reshape(len(units), *values.shape[1:])
