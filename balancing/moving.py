"""Units that have a home: what leaving it costs, and how much may leave.

A design from nothing has no homes, and then everything here is free and allowed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.compiled import compiled

# Caps are shares typed by people; sums in another order must not end a hair beyond them.
CAP_SLACK = 1e-12


class Moving(NamedTuple):
    """Homes, prices and caps of the units of a component.

    Attributes
    ----------
    home
        (n,) territory each unit comes from, -1 for none; (0,) when none has any.
    price
        (n,) cost of being away from home, in the units of the objective.
    weight
        (n, b) what of each capped weight moves with a unit.
    caps
        (b,) most that may be away from home; infinite for no cap.
    n_units
        (n,) what a unit counts for the next.
    most_per_territory
        Most that may leave or join any one territory, both together.
    """

    home: IntArray
    price: FloatArray
    weight: FloatArray
    caps: FloatArray
    n_units: FloatArray
    most_per_territory: float


class Moved(NamedTuple):
    """What is away from home: (b,) of each weight, (k,) counted per territory."""

    weight: FloatArray
    n_units: FloatArray


def no_homes() -> Moving:
    """Return what a design from nothing has."""
    nothing = np.empty(0)
    return Moving(np.empty(0, np.int32), nothing, np.empty((0, 0)), nothing, nothing, np.inf)


@compiled
def count_moved(moving: Moving, alignment: IntArray, n_territories: int) -> Moved:
    """Sum up from scratch what is away from home."""
    n_caps = len(moving.caps)
    moved = Moved(np.zeros(n_caps), np.zeros(n_territories))
    for unit in range(len(moving.home)):
        home, to = moving.home[unit], alignment[unit]
        if home < 0 or home == to:
            continue
        for cap in range(n_caps):
            moved.weight[cap] += moving.weight[unit, cap]
        moved.n_units[home] += moving.n_units[unit]
        moved.n_units[to] += moving.n_units[unit]
    return moved


@compiled
def moved_price(moving: Moving, alignment: IntArray) -> float:
    """Return the price of all that is away from home."""
    total = 0.0
    for unit in range(len(moving.home)):
        if moving.home[unit] >= 0 and moving.home[unit] != alignment[unit]:
            total += moving.price[unit]
    return total


@compiled
def moved_price_change(moving: Moving, unit: int, home: int, to: int) -> float:
    """Return the change of `moved_price` when the unit goes from territory `home` to `to`."""
    if len(moving.home) == 0 or moving.home[unit] < 0:
        return 0.0
    if moving.home[unit] == home:
        return float(moving.price[unit])
    if moving.home[unit] == to:
        return -float(moving.price[unit])
    return 0.0


@compiled
def is_affordable(moving: Moving, moved: Moved, unit: int, home: int, to: int) -> bool:
    """Return whether the unit may go from territory `home` to `to` under the caps.

    Going back to where it came from always may, also where caps are exceeded already.
    """
    if len(moving.home) == 0 or moving.home[unit] < 0 or moving.home[unit] == to:
        return True
    if moved.n_units[to] + moving.n_units[unit] > moving.most_per_territory:
        return False
    if moving.home[unit] != home:
        return True
    if moved.n_units[home] + moving.n_units[unit] > moving.most_per_territory:
        return False
    for cap in range(len(moving.caps)):
        if moved.weight[cap] + moving.weight[unit, cap] > moving.caps[cap] + CAP_SLACK:
            return False
    return True


@compiled
def note_move(moving: Moving, moved: Moved, unit: int, home: int, to: int) -> None:
    """Shift what is moved for the unit's going from territory `home` to `to`, in place."""
    if len(moving.home) == 0 or moving.home[unit] < 0:
        return
    origin, count = moving.home[unit], moving.n_units[unit]
    if origin == home:
        moved.n_units[origin] += count
        moved.n_units[to] += count
        for cap in range(len(moving.caps)):
            moved.weight[cap] += moving.weight[unit, cap]
    elif origin == to:
        moved.n_units[origin] -= count
        moved.n_units[home] -= count
        for cap in range(len(moving.caps)):
            moved.weight[cap] -= moving.weight[unit, cap]
    else:
        moved.n_units[home] -= count
        moved.n_units[to] += count
