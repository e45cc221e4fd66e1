"""Which of several plans to take: the one that moves least and holds what was asked."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray
from balancing.rebalance_result import Option, PickCode
from balancing.result import Result

# A plan that stays out of tolerance is worth its moves only if it takes this part off what the
# incumbent is out by: else a tolerance that cannot be reached would move people every night.
LEAST_CURE = 0.1


def pick(
    options: tuple[Option, ...], tolerances: tuple[float, ...], most_objective: float
) -> tuple[int | None, PickCode, str]:
    """Return the index of the plan to take, and why; `options[0]` is the incumbent.

    The others come sorted by moved work. None beyond the budget is ever taken. See
    `Rebalancing` for the codes.
    """
    allowed = [number for number, option in enumerate(options) if option.is_within_budget]
    holding = [number for number in allowed if options[number].result.is_feasible]
    is_compact = [(option.objective_by_fresh or 0.0) <= most_objective for option in options]
    compact = [number for number in holding if is_compact[number]]
    if not allowed:
        why = "Even mending the incumbent moves more than may move."
        return None, "nothing_within_budget", why
    if compact and all(options[number].origin == "fresh" for number in compact):
        calm = [
            number
            for number in allowed
            if options[number].origin == "rebalanced"
            and options[number].is_within_triggers
            and is_compact[number]
        ]
        if calm:
            limits = np.array(tolerances)
            best = min(calm, key=lambda number: (_excess(options[number].result, limits), number))
            why = "Only a design from nothing holds everything; this one is within the triggers."
            return best, "back_within_triggers", why
    if compact:
        why = (
            f"Of the {len(compact)} plans that hold everything within the budget, with at most "
            f"{most_objective:g} times the objective of a fresh one, it moves the least work."
        )
        return min(compact, key=lambda n: options[n].moved_work), "least_moved", why
    if holding:
        why = (
            f"No plan that holds everything within the budget is within {most_objective:g} times "
            "the objective of a fresh one; it is the most compact."
        )
        best = min(holding, key=lambda n: options[n].result.objective_value)
        return best, "less_compact", why
    return _pick_nearest(options, allowed, np.array(tolerances))


def _pick_nearest(
    options: tuple[Option, ...], allowed: list[int], tolerances: FloatArray
) -> tuple[int, PickCode, str]:
    """Where nothing allowed holds everything: what is nearest to the tolerances."""
    excess = {number: _excess(options[number].result, tolerances) for number in allowed}
    best = min(allowed, key=lambda number: (excess[number], number))
    cause = (
        "a plan that holds everything moves more than may move"
        if any(option.result.is_feasible for option in options)
        else "no plan was found that holds everything"
    )
    if 0 in excess and excess[best] > (1 - LEAST_CURE) * excess[0]:
        why = f"Nothing is moved: {cause}, and none within the budget is much nearer to it."
        return 0, "nothing_gained", why
    why = f"It is the nearest to the tolerances within the budget: {cause}."
    return best, "tolerance_not_reached", why


def _excess(result: Result, tolerances: FloatArray) -> float:
    """How far a plan is out of its tolerances, over all territories and measures."""
    return float(np.maximum(np.abs(result.imbalance) - tolerances, 0.0).sum())
