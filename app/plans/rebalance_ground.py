"""The ground of a rebalance: the cells of the plan, and beside them those of new customers."""

import numpy as np
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from geo.cell_sets import ABSENT, distinct_resolutions, owners_of
from geo.cells import ancestors, resolutions
from geo.membership import units_of

Cells = NDArray[np.uint64]

# Beyond it a plan is better designed anew.
MOST_UNITS = 1_000_000


def with_new_ground(plan_cells: Cells, cells12: Cells) -> Cells:
    """Return the cells of a plan and those of customers beside it, sorted.

    New cells are of the coarsest resolution of the plan at which they hold none of its cells.

    Parameters
    ----------
    plan_cells : (n,)
        Sorted, disjoint.
    cells12 : (m,)
        Cells of resolution 12 with customers.

    Raises
    ------
    InvalidInput
        When there would be too many.
    """
    outside = cells12[units_of(cells12, plan_cells) < 0]
    found = [plan_cells]
    for level in distinct_resolutions(plan_cells):
        above = ancestors(outside, level)
        is_free = owners_of(plan_cells, above) == ABSENT
        found.append(np.unique(above[is_free]))
        outside = outside[~is_free]
    n_units = sum(len(cells) for cells in found)
    if n_units > MOST_UNITS:
        detail = f"with the ground of new customers it would have {n_units} cells"
        raise InvalidInput(
            "Too much ground is new: design the plan anew.", [Fault("too-many-cells", detail)]
        )
    return np.sort(np.concatenate(found))


def units_with(units: Cells, ground: Cells) -> NDArray[np.bool_]:
    """Which units (n,), sorted and disjoint, hold, are, or lie in any of some cells (m,)."""
    is_with = np.zeros(len(units), dtype=np.bool_)
    inside = owners_of(units, ground)
    is_with[inside[inside >= 0]] = True
    holding = np.unique(ground)
    is_with |= owners_of(_disjoint(holding), units) >= 0
    return is_with


def _disjoint(cells: Cells) -> Cells:
    """Leave out cells that lie in another of them."""
    kept = np.empty(0, dtype=np.uint64)
    for level in distinct_resolutions(cells):
        here = cells[resolutions(cells) == level]
        fresh = here[owners_of(kept, here) < 0] if len(kept) else here
        kept = np.sort(np.concatenate([kept, fresh]))
    return kept
