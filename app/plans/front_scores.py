"""How plans of different making compare: each scored at the customers, by who serves them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balancing.centres import centre_units, centroids
from balancing.measures import imbalance, territory_sums, weighted_counts

Floats = NDArray[np.float64]
Owners = NDArray[np.int32]
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Ground:
    """The customers that plans are compared on, (n,) cells of resolution 12.

    Cells are of different resolutions in different plans; customers are the same in all, and a
    cell without customers weighs nothing in any score.

    Attributes
    ----------
    x_m, y_m
        Their places, all in one projection.
    activity : (n, n_measures)
        What is balanced; the first measure is what distances are weighted by.
    measures
        Names of its columns.
    customers : (n,)
        How many customers each cell has.
    objective
        As in a plan request.
    """

    x_m: Floats
    y_m: Floats
    activity: Floats
    measures: tuple[str, ...]
    customers: Floats
    objective: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A plan on the ground.

    `objective_value` is None where it cannot be compared: cut edges of other cells.
    """

    imbalance: dict[str, float]
    objective_value: float | None


def score_owners(
    ground: Ground, owners: Owners, targets: Floats, pull: Floats, places: Floats
) -> Scored:
    """Return the scores of a plan that has these owners (n,) of customers, -1 for none.

    Parameters
    ----------
    targets : (k, n_measures)
        Only their proportions count: they are scaled to what the plan covers today.
    pull, places : (k,), (k, 2)
        Given centres, pull 0 for free ones.
    """
    k, inside = len(targets), owners != NOBODY
    own = owners[inside]
    sums = territory_sums(ground.activity[inside], own, k)
    total = targets.sum(axis=0)
    scale = np.divide(sums.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    worst = np.abs(imbalance(sums, targets * scale)).max(axis=0)
    value = None
    if ground.objective != "cut_edges":
        value = _cost(ground, inside, own, k, pull, places)
    named = zip(ground.measures, worst.tolist(), strict=True)
    return Scored(dict(named), value)


def _cost(
    ground: Ground,
    inside: NDArray[np.bool_],
    own: Owners,
    k: int,
    pull: Floats,
    places: Floats,
) -> float:
    x, y, weight = ground.x_m[inside], ground.y_m[inside], ground.activity[inside, 0]
    present = np.unique(own)
    rank = np.searchsorted(present, own).astype(np.int32)
    pull, places = pull[present], places[present]
    if ground.objective == "total_distance":
        units = centre_units(x, y, weight, rank, len(present))
        cx, cy = x[units], y[units]
        away = np.hypot(
            x - (cx + pull * (places[:, 0] - cx))[rank], y - (cy + pull * (places[:, 1] - cy))[rank]
        )
        return float(np.sum(weight * away))
    cx, cy = centroids(x, y, weight, rank, len(present))
    own_squares = (x - cx[rank]) ** 2 + (y - cy[rank]) ** 2
    mass = weighted_counts(rank, weight, len(present))
    drawn = pull * mass * ((cx - places[:, 0]) ** 2 + (cy - places[:, 1]) ** 2)
    return float(np.sum(weight * own_squares) + drawn.sum())


def match(before: Owners, after: Owners, work: Floats, n_before: int, n_after: int) -> Owners:
    """Return (n_after,) the territory of before that each is now, -1 for new ones.

    The work that stays with its territory is most (Kuhn 1955, as in SciPy).
    """
    from scipy.optimize import linear_sum_assignment

    both = (before != NOBODY) & (after != NOBODY)
    overlap = np.zeros((n_after, n_before))
    np.add.at(overlap, (after[both], before[both]), work[both])
    found = np.full(n_after, NOBODY, dtype=np.int32)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    # A pair without common ground is no match.
    is_same = overlap[rows, columns] > 0
    found[rows[is_same]] = columns[is_same]
    return found


def disruption(
    ground: Ground, before: Owners, after: Owners, n_before: int, n_after: int
) -> dict[str, Any]:
    """Return what changes hands from one plan to the other, after the best matching of labels.

    Customers that only one of the plans covers change hands as well.
    """
    work = ground.activity[:, 0]
    known_as = match(before, after, work, n_before, n_after)
    served = (before != NOBODY) | (after != NOBODY)
    # New territories have a name that nothing had before.
    named = np.where(known_as == NOBODY, n_before + np.arange(n_after), known_as)
    moved = served & (np.where(after == NOBODY, NOBODY, named[after]) != before)
    touched = set(named[after[moved & (after != NOBODY)]].tolist())
    touched |= set(before[moved & (before != NOBODY)].tolist())
    return {
        "work_minutes": _share(work, moved, served),
        "customers": _share(ground.customers, moved, served),
        "territories": len(touched),
    }


def _share(values: Floats, part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    total = float(values[whole].sum())
    return float(values[part].sum()) / total if total else 0.0


def undominated(axes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n,) which of the points (n, n_axes), less being better, no other point dominates.

    One dominates another when it is at least as good on every axis and better on one. Equal
    points do not dominate each other.
    """
    no_worse = (axes[:, None, :] <= axes[None, :, :]).all(axis=2)
    better = (axes[:, None, :] < axes[None, :, :]).any(axis=2)
    return np.asarray(~(no_worse & better).any(axis=0))
