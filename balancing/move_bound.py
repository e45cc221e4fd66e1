"""What any rebalance must move at least."""

from __future__ import annotations

import numpy as np

from balancing.arrays import IntArray
from balancing.instance import Instance
from balancing.layout import Layout
from balancing.measures import weighted_counts
from balancing.parameters import Parameters


def least_moved_work(
    instance: Instance, parameters: Parameters, layout: Layout, past: IntArray
) -> float:
    """Return the part of the primary activity that every plan within its tolerance moves.

    Of plans that leave each territory in the component where it lies: with islands a fresh design
    may give one of them a territory more, and move less for it.

    What a territory has beyond its upper limit must leave it, what it lacks to its lower limit
    must join it, and whatever is not new has left another one. So in each component, which no
    work can leave, at least the sum of excesses moves, and at least the sum of shortages less
    all that is new. Units whose territory lies in another component now, and those that a
    closed territory takes in or gives up, move as well.

    The flow over borders between neighbours that evens the territories out is often several
    times this, but no bound: it counts what passes through a territory once for every border,
    while a territory can reach round another (research/solver.md, "Rebalance mode").

    Parameters
    ----------
    past
        (n_units,) int32 territory of each unit so far, -1 for new ones.
    """
    work = instance.activity[:, 0]
    n_territories, tolerance = parameters.n_territories, parameters.tolerances[0]
    targets = layout.targets[:, 0]
    label = layout.unit_label
    is_known = past >= 0
    is_here = is_known & (label >= 0)
    is_here[is_here] = layout.placed[past[is_here]] == label[is_here]
    is_closed_here = layout.closed >= 0
    is_forced = is_known & ~is_here & ~(is_closed_here & (layout.closed == past))
    sums = weighted_counts(past[is_here], work[is_here], n_territories)
    excess = np.maximum(sums - (1 + tolerance) * targets, 0.0)
    shortage = np.maximum((1 - tolerance) * targets - sums, 0.0)
    total = float(work[is_forced & (label < 0)].sum())
    for component in range(layout.n_components):
        is_placed, is_inside = layout.placed == component, label == component
        new = float(work[is_inside & ~is_known].sum())
        forced = float(work[is_inside & is_forced].sum())
        total += max(
            float(excess[is_placed].sum()) + forced, float(shortage[is_placed].sum()) - new
        )
    return total / float(work.sum())
