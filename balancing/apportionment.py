"""How many territories, and which, each connected component gets."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from balancing.arrays import IntArray
from balancing.errors import ParameterError


def apportion(
    component_activity: ArrayLike,
    n_territories: int,
    component_units: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Return the number of territories of each component, (n_components,), at least one each.

    Largest remainder (Hamilton 1792; Balinski and Young, Fair Representation, 1982, ch. 2)
    by primary activity, bounded below by one and above by the units there are.

    Parameters
    ----------
    component_activity
        (n_components,) primary activity.
    n_territories
        Territories to hand out.
    component_units
        (n_components,) number of units, where the upper bound matters.

    Raises
    ------
    ParameterError
        When there are fewer territories than components, or more than units; the facts name
        the counts.
    """
    shares = np.full(max(n_territories, 0), 1 / max(n_territories, 1))
    placed = place_shares(component_activity, shares, component_units)
    return np.bincount(placed, minlength=np.size(component_activity))


def place_shares(
    component_activity: ArrayLike,
    shares: ArrayLike,
    component_units: ArrayLike | None = None,
    wanted_component: ArrayLike | None = None,
) -> IntArray:
    """Return the component of each territory, (n_territories,).

    Territories with a wanted component (-1 for none) go first, and there if it has room. Of
    the others the largest share goes first, each to the component with most activity still
    uncovered; for equal shares this is the largest-remainder rule. Once only as many
    territories are left as components without one, those components get them.
    """
    activity = np.asarray(component_activity, dtype=np.float64)
    wanted = np.asarray(shares, dtype=np.float64)
    room = (
        np.full(len(activity), len(wanted))
        if component_units is None
        else np.array(component_units, dtype=np.int64)
    )
    _check_counts(len(wanted), len(activity), int(room.sum()))
    total = activity.sum()
    uncovered = activity / total if total > 0 else np.full(len(activity), 1 / len(activity))
    is_empty = np.ones(len(activity), dtype=bool)
    placed = np.empty(len(wanted), dtype=np.int32)
    hints = np.full(len(wanted), -1) if wanted_component is None else np.asarray(wanted_component)
    for n_placed, territory in enumerate(np.lexsort((-wanted, hints < 0))):
        must_fill = len(wanted) - n_placed <= np.count_nonzero(is_empty)
        is_allowed = is_empty if must_fill else room > 0
        component = int(hints[territory])
        if component < 0 or not is_allowed[component]:
            component = int(np.argmax(np.where(is_allowed, uncovered, -np.inf)))
        placed[territory] = component
        uncovered[component] -= wanted[territory]
        room[component] -= 1
        is_empty[component] = False
    return placed


def _check_counts(n_territories: int, n_components: int, n_units: int) -> None:
    if n_territories < n_components:
        raise ParameterError(
            f"{n_territories} territories cannot cover {n_components} separate components; "
            "ask for more, or leave components out",
            field="n_territories",
            n_territories=n_territories,
            n_components=n_components,
        )
    if n_territories > n_units:
        raise ParameterError(
            f"{n_territories} territories need at least as many units, there are {n_units}",
            field="n_territories",
            n_territories=n_territories,
            n_units=n_units,
        )
