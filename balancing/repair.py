"""From any assignment to a plan: every territory connected and not empty."""

from __future__ import annotations

import numpy as np

from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.compiled import compiled
from balancing.contiguity import label_pieces
from balancing.measures import weighted_counts
from balancing.problem import Problem


def make_valid(
    problem: Problem, alignment: IntArray, centres: FloatArray, prices: FloatArray
) -> IntArray:
    """Return (n,) connected, non-empty territories close to `alignment`, locks kept.

    A locked unit away from its territory is joined with it by the shortest way free of other
    locks. Of each territory the piece with its locked unit stays, or the heaviest; the other
    pieces are handed, unit by unit from their rim, to the neighbouring territory with the
    least power cost; a territory that ends empty is split off the one that is heaviest for
    its target.
    """
    n_territories = len(prices)
    alignment = np.where(problem.lock >= 0, problem.lock, alignment)
    lead_home(problem, alignment, n_territories)
    kept = keep_best_pieces(problem, alignment, n_territories)
    reattach(problem, kept, centres, prices)
    targets = problem.targets[:, 0]
    for empty in np.flatnonzero(np.bincount(kept, minlength=n_territories) == 0):
        n_units = np.bincount(kept, minlength=n_territories)
        loads = weighted_counts(kept, problem.mass, n_territories)
        donor = int(np.argmax(np.where(n_units > 1, loads / targets, -np.inf)))
        part = targets[empty] / (targets[donor] + targets[empty])
        split_off(problem, kept, donor, int(empty), part)
    return kept


def lead_home(problem: Problem, alignment: IntArray, n_territories: int) -> None:
    """Join locked units with the heaviest piece of their territory, in place.

    What one way has taken no later one takes, so that every lock gets one if it can.
    """
    locked = np.flatnonzero(problem.lock >= 0).astype(np.int32)
    if not locked.size:
        return
    without_locks = problem._replace(lock=np.full_like(problem.lock, -1))
    heaviest = keep_best_pieces(without_locks, alignment, n_territories)
    is_taken = problem.lock >= 0
    for unit in locked[np.argsort(problem.lock[locked], kind="stable")]:
        territory = problem.lock[unit]
        if heaviest[unit] == territory or not np.any(heaviest == territory):
            continue
        way = shortest_way(problem, heaviest, unit, territory, is_taken)
        alignment[way] = territory
        is_taken[way] = True


def keep_best_pieces(problem: Problem, alignment: IntArray, n_territories: int) -> IntArray:
    """Return a copy in which units outside the piece their territory keeps are -1.

    That is the piece with the locked unit, or else the heaviest. Units in no territory, -1,
    stay so.
    """
    piece = label_pieces(problem, alignment)
    first_unit = np.unique(piece, return_index=True)[1]
    owner = alignment[first_unit]
    mass = weighted_counts(piece, problem.mass, len(owner))
    heaviest_last = np.lexsort((-np.arange(len(mass)), mass))
    # One more for the pieces of no territory, whose number -1 is the last place.
    kept_piece = np.full(n_territories + 1, -1, np.int64)
    kept_piece[owner[heaviest_last]] = heaviest_last
    locked = np.flatnonzero(problem.lock >= 0)
    kept_piece[problem.lock[locked]] = piece[locked]
    return np.where(kept_piece[alignment] == piece, alignment, np.int32(-1))


@compiled
def shortest_way(
    problem: Problem, alignment: IntArray, start: int, goal: int, is_taken: BoolArray
) -> IntArray:
    """Return the units of a shortest way from `start` to a unit of territory `goal`.

    None of them is taken; without a way only `start` is returned.
    """
    n_units = len(alignment)
    parent = np.full(n_units, -1, np.int32)
    queue = np.empty(n_units, np.int32)
    queue[0] = start
    parent[start] = start
    head, tail = 0, 1
    end = start
    while head < tail and end == start:
        unit = queue[head]
        head += 1
        for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
            neighbour = problem.indices[entry]
            if parent[neighbour] >= 0 or is_taken[neighbour]:
                continue
            parent[neighbour] = unit
            if alignment[neighbour] == goal:
                end = neighbour
                break
            queue[tail] = neighbour
            tail += 1
    length = 0
    while True:
        queue[length] = end
        length += 1
        if end == start:
            return queue[:length].copy()
        end = parent[end]


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
    Locked units stay; nothing is done where there is no such cut.
    """
    members = np.flatnonzero(alignment == donor).astype(np.int32)
    parent = np.full(len(alignment), -2, np.int32)
    order = np.empty(len(members), np.int32)
    order[0] = members[0]
    for unit in members:
        if problem.lock[unit] >= 0:
            order[0] = unit
    parent[order[0]] = -1
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
    is_held = problem.lock >= 0
    for place in range(tail - 1, 0, -1):
        unit = order[place]
        below[parent[unit]] += below[unit]
        is_held[parent[unit]] = is_held[parent[unit]] or is_held[unit]
    wanted = part * below[order[0]]
    top = -1
    for place in range(1, tail):
        unit = order[place]
        if not is_held[unit] and (top < 0 or abs(below[unit] - wanted) < abs(below[top] - wanted)):
            top = unit
    if top < 0:
        return
    alignment[top] = to
    for place in range(1, tail):
        unit = order[place]
        if unit != top and alignment[parent[unit]] == to:
            alignment[unit] = to
