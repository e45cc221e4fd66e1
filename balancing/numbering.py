"""Numbers of territories that keep most units where they were."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from balancing.arrays import FloatArray, IntArray
from balancing.instance import Instance
from balancing.parameters import Parameters


def matched_numbers(
    instance: Instance, parameters: Parameters, alignment: IntArray, past: IntArray
) -> IntArray:
    """Return (k,) `order`: number j is best borne by what is territory `order[j]` now.

    Least-cost matching on kept work. Territories that locks, centres, closing or a share of
    their own tell apart keep their number.
    """
    n_territories = parameters.n_territories
    work: FloatArray = instance.activity[:, 0]
    # Units without work count a little: empty country should keep its number too.
    work = work + 1e-6 * work.mean()
    known = past >= 0
    cell = past[known].astype(np.int64) * n_territories + alignment[known]
    kept = np.bincount(cell, work[known], n_territories**2).reshape(n_territories, -1)
    share = np.ones(n_territories) if parameters.shares is None else np.array(parameters.shares)
    wishes = parameters.requirements
    named = np.zeros(n_territories, np.bool_)
    named[[centre.territory for centre in wishes.centres]] = True
    named[list(wishes.closed)] = True
    if wishes.locks is not None:
        named[wishes.locks[wishes.locks >= 0]] = True
    is_alike = (share[:, None] == share) & ~named[:, None] & ~named
    np.fill_diagonal(is_alike, True)
    # More than all work together, so that no forbidden pair is ever worth it.
    forbidden = 2.0 * float(work.sum())
    _, order = linear_sum_assignment(np.where(is_alike, -kept, forbidden))
    numbers: IntArray = order.astype(np.int32)
    return numbers
