"""Fewer points for the power diagram: light neighbourhoods become one point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled
from balancing.measures import weighted_counts

# A point may carry a fiftieth of a territory: dense cores stay fine, empty country gets
# coarse (research/solver.md, section 4). Above 250 territories the cap grows so that points
# stay near 12,500 at least, 25,000 or so in practice.
MASS_CAP = 0.02
MANY_TERRITORIES = 250
GRID_BITS = 16


class Points(NamedTuple):
    """Weighted points in the plane: (n_points,) each."""

    x: FloatArray
    y: FloatArray
    mass: FloatArray


def coarsen(x: FloatArray, y: FloatArray, mass: FloatArray, n_territories: int) -> Points:
    """Merge units by an adaptive quadtree: a square is one point once it is light enough.

    Points that follow one another lie near each other, which the power diagram makes use of.
    `mass` must be positive and a mean territory must weigh about 1.
    """
    cap = MASS_CAP * max(1.0, n_territories / MANY_TERRITORIES)
    codes = _morton(x, y)
    order = np.argsort(codes, kind="stable")
    group = np.empty(len(x), np.int32)
    group[order] = _group(codes[order], mass[order], cap)
    n_points = int(group.max()) + 1
    if n_points < 8 * n_territories:
        return Points(x[order], y[order], mass[order])
    merged, moment_x, moment_y = (
        weighted_counts(group, weight, n_points) for weight in (mass, mass * x, mass * y)
    )
    return Points(moment_x / merged, moment_y / merged, merged)


def in_square_order(x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
    """Return (n,) the points in an order in which those that follow one another lie near."""
    return np.argsort(_morton(x, y), kind="stable")


def _morton(x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
    """Interleave the bits of grid coordinates, so that squares are runs."""
    side = max(np.ptp(x), np.ptp(y)) or 1.0
    code = np.zeros(len(x), np.int64)
    for shift, values in ((0, x), (1, y)):
        grid = ((values - values.min()) / side * (2**GRID_BITS - 1)).astype(np.int64)
        for bit in range(GRID_BITS):
            code |= ((grid >> bit) & 1) << (2 * bit + shift)
    return code


@compiled
def _group(codes: NDArray[np.int64], mass: FloatArray, cap: float) -> IntArray:
    """Number the squares of sorted codes, from coarse to fine, that weigh at most `cap`."""
    group = np.empty(len(codes), np.int32)
    # Each level pushes at most four parts and takes one off.
    stack = np.empty((3 * GRID_BITS + 8, 3), np.int64)
    stack[0] = (0, len(codes), GRID_BITS)
    depth = 1
    n_groups = 0
    while depth > 0:
        depth -= 1
        first, last, level = stack[depth]
        if level == 0 or last - first == 1 or mass[first:last].sum() <= cap:
            group[first:last] = n_groups
            n_groups += 1
            continue
        begin = first
        for quarter in range(4):
            end = begin
            while end < last and (codes[end] >> (2 * (level - 1))) & 3 == quarter:
                end += 1
            if end > begin:
                stack[depth] = (begin, end, level - 1)
                depth += 1
            begin = end
    return group
