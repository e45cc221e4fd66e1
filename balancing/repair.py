"""From any assignment to a plan: every territory connected and not empty."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled
from balancing.contiguity import label_pieces
from balancing.measures import weighted_counts
from balancing.problem import Problem


def make_valid(
    problem: Problem, alignment: IntArray, centres: FloatArray, prices: FloatArray
) -> IntArray:
    """Return (n,) connected, non-empty territories close to `alignment`.

    Of each territory the heaviest piece stays; the other pieces are handed, unit by unit
    from their rim, to the neighbouring territory with the least power cost; a territory that
    ends empty is split off the one that is heaviest for its target.
    """
    n_territories = len(prices)
    kept = keep_heaviest_pieces(problem, alignment, n_territories)
    reattach(problem, kept, centres, prices)
    targets = problem.targets[:, 0]
    for empty in np.flatnonzero(np.bincount(kept, minlength=n_territories) == 0):
        n_units = np.bincount(kept, minlength=n_territories)
        loads = weighted_counts(kept, problem.mass, n_territories)
        donor = int(np.argmax(np.where(n_units > 1, loads / targets, -np.inf)))
        part = targets[empty] / (targets[donor] + targets[empty])
        split_off(problem, kept, donor, int(empty), part)
    return kept


def keep_heaviest_pieces(problem: Problem, alignment: IntArray, n_territories: int) -> IntArray:
    """Return a copy in which units outside their territory's heaviest piece are -1."""
    piece = label_pieces(problem, alignment)
    first_unit = np.unique(piece, return_index=True)[1]
    owner = alignment[first_unit]
    mass = weighted_counts(piece, problem.mass, len(owner))
    heaviest_last = np.lexsort((-np.arange(len(mass)), mass))
    kept_piece = np.full(n_territories, -1, np.int64)
    kept_piece[owner[heaviest_last]] = heaviest_last
    return np.where(kept_piece[alignment] == piece, alignment, np.int32(-1))


@compiled
def reattach(
    problem: Problem, alignment: IntArray, centres: FloatArray, prices: FloatArray
) -> None:
    """Give every unit marked -1 to a neighbouring territory, in waves, in place.

    Within a wave only what was owned before it counts, so the outcome does not depend on
    the order of units in the wave.
    """
    strays = np.flatnonzero(alignment < 0).astype(np.int32)
    chosen = np.empty(len(strays), np.int32)
    while len(strays) > 0:
        for place in range(len(strays)):
            unit = strays[place]
            least = np.inf
            chosen[place] = -1
            for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
                territory = alignment[problem.indices[entry]]
                if territory < 0:
                    continue
                dx = problem.x[unit] - centres[territory, 0]
                dy = problem.y[unit] - centres[territory, 1]
                cost = dx * dx + dy * dy - prices[territory]
                if cost < least:
                    least = cost
                    chosen[place] = territory
        n_left = 0
        for place in range(len(strays)):
            if chosen[place] >= 0:
                alignment[strays[place]] = chosen[place]
            else:
                strays[n_left] = strays[place]
                n_left += 1
        strays = strays[:n_left]


@compiled
def split_off(problem: Problem, alignment: IntArray, donor: int, to: int, part: float) -> None:
    """Cut a connected part near `part` of the donor's mass off for territory `to`, in place.

    Cuts one edge of a breadth-first tree of the donor, so that both sides stay connected.
    """
    members = np.flatnonzero(alignment == donor).astype(np.int32)
    parent = np.full(len(alignment), -2, np.int32)
    order = np.empty(len(members), np.int32)
    order[0] = members[0]
    parent[members[0]] = -1
    head, tail = 0, 1
    while head < tail:
        unit = order[head]
        head += 1
        for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
            neighbour = problem.indices[entry]
            if parent[neighbour] == -2 and alignment[neighbour] == donor:
                parent[neighbour] = unit
                order[tail] = neighbour
                tail += 1
    below = problem.mass.copy()
    for place in range(tail - 1, 0, -1):
        below[parent[order[place]]] += below[order[place]]
    wanted = part * below[order[0]]
    top = order[1]
    for place in range(2, tail):
        if abs(below[order[place]] - wanted) < abs(below[top] - wanted):
            top = order[place]
    alignment[top] = to
    for place in range(1, tail):
        unit = order[place]
        if unit != top and alignment[parent[unit]] == to:
            alignment[unit] = to
