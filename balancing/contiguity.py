"""Whether a unit can leave its territory without tearing it."""

from __future__ import annotations

import numpy as np

from balancing.arrays import IntArray
from balancing.compiled import compiled
from balancing.problem import Problem


@compiled
def can_leave(
    problem: Problem, alignment: IntArray, unit: int, mark: IntArray, queue: IntArray
) -> bool:
    """Return whether the unit's territory stays connected, and not empty, without it.

    First the ring test, O(degree): if the neighbours inside the territory form one run of
    consecutive adjacent units, they reach each other without the unit. Several runs may
    still meet further out, which a breadth-first search decides within `bfs_limit` units;
    undecided counts as no. A locked unit never leaves.

    Parameters
    ----------
    mark
        (n + 1,) scratch, stamped with the number of searches so far, kept in the last entry.
    queue
        (n,) scratch.
    """
    if problem.lock[unit] >= 0:
        return False
    home = alignment[unit]
    first, last = problem.indptr[unit], problem.indptr[unit + 1]
    n_inside = 0
    n_links = 0
    for entry in range(first, last):
        if alignment[problem.indices[entry]] == home:
            n_inside += 1
            following = entry + 1 if entry + 1 < last else first
            if problem.is_linked[entry] and alignment[problem.indices[following]] == home:
                n_links += 1
    if n_inside == 0:
        return False
    if n_inside - n_links <= 1:
        return True
    return neighbours_meet(problem, alignment, unit, n_inside, mark, queue)


@compiled
def neighbours_meet(
    problem: Problem,
    alignment: IntArray,
    unit: int,
    n_inside: int,
    mark: IntArray,
    queue: IntArray,
) -> bool:
    """Search from one neighbour inside the territory until all `n_inside` have been met."""
    home = alignment[unit]
    mark[-1] += 1
    stamp = mark[-1]
    mark[unit] = stamp
    for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
        if alignment[problem.indices[entry]] == home:
            queue[0] = problem.indices[entry]
            mark[queue[0]] = stamp
            break
    head, tail, n_missing = 0, 1, n_inside - 1
    while head < tail and head < problem.bfs_limit:
        here = queue[head]
        head += 1
        for entry in range(problem.indptr[here], problem.indptr[here + 1]):
            neighbour = problem.indices[entry]
            if mark[neighbour] != stamp and alignment[neighbour] == home:
                mark[neighbour] = stamp
                queue[tail] = neighbour
                tail += 1
                if is_adjacent(problem, neighbour, unit):
                    n_missing -= 1
                    if n_missing == 0:
                        return True
    return False


@compiled
def is_adjacent(problem: Problem, one: int, other: int) -> bool:
    """Return whether two units touch."""
    for entry in range(problem.indptr[one], problem.indptr[one + 1]):
        if problem.indices[entry] == other:
            return True
    return False


@compiled
def label_pieces(problem: Problem, alignment: IntArray) -> IntArray:
    """Return (n,) connected pieces of equal alignment, numbered by their lowest unit."""
    n_units = len(alignment)
    piece = np.full(n_units, -1, np.int32)
    queue = np.empty(n_units, np.int32)
    n_pieces = 0
    for root in range(n_units):
        if piece[root] >= 0:
            continue
        piece[root] = n_pieces
        queue[0] = root
        head, tail = 0, 1
        while head < tail:
            unit = queue[head]
            head += 1
            for entry in range(problem.indptr[unit], problem.indptr[unit + 1]):
                neighbour = problem.indices[entry]
                if piece[neighbour] < 0 and alignment[neighbour] == alignment[root]:
                    piece[neighbour] = n_pieces
                    queue[tail] = neighbour
                    tail += 1
        n_pieces += 1
    return piece
