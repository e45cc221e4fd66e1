"""What a rebalance hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from balancing.result import Result

Origin = Literal["incumbent", "rebalanced", "fresh"]
PickCode = Literal[
    "within_triggers",
    "least_moved",
    "less_compact",
    "back_within_triggers",
    "tolerance_not_reached",
    "nothing_gained",
    "nothing_within_budget",
]


@dataclass(frozen=True, eq=False)
class Option:
    """One plan that could follow the incumbent, and what it would move.

    Units without an incumbent territory count as new, never as moved.

    Parameters
    ----------
    origin
        "incumbent": the plan in force, new units attached and torn territories mended;
        "rebalanced": found from there; "fresh": a design from nothing, its territories
        numbered so that as much work as possible stays.
    price
        Price of moving it was found at; None for the others.
    result
        The verified plan, its scores, and why it is not what was asked.
    moved_work
        Part of all primary activity in another territory than before.
    moved
        The same of each limited weight, by name.
    n_moved
        Units in another territory than before.
    most_units_per_territory
        Most units that leave or join one territory.
    n_protected_moved
        Protected units among the moved.
    objective_by_fresh
        Objective in parts of the fresh plan's; None without a fresh plan.
    is_within_budget
        Whether it keeps all limits of the policy and moves nothing protected.
    is_within_triggers
        Whether no territory is so far out that something would be done about it.
    """

    origin: Origin
    price: float | None
    result: Result
    moved_work: float
    moved: Mapping[str, float]
    n_moved: int
    most_units_per_territory: int
    n_protected_moved: int
    objective_by_fresh: float | None
    is_within_budget: bool
    is_within_triggers: bool


@dataclass(frozen=True, eq=False)
class Rebalancing:
    """The plans found, from least to most moved work, and the one the policy picks.

    Parameters
    ----------
    options
        The incumbent first, then the others by moved work. Alone when it need not change.
    picked
        Index of the plan to take; None when even mending the incumbent is beyond the budget.
    code, reason
        Why that one, for programs and for people. "within_triggers": nothing need be done;
        "least_moved": of the plans that hold everything and are compact enough it moves least;
        "back_within_triggers": only the fresh design holds everything, and to be within the
        triggers, which this one is, is enough;
        "less_compact": none is compact enough, and it is the most compact that holds
        everything; "tolerance_not_reached": under the budget it is the nearest to the
        tolerances; "nothing_gained": no plan under the budget is much nearer to them than the
        incumbent; "nothing_within_budget": there is none.
    least_moved_work
        Part of all primary activity that any plan within its tolerance must move, if each
        territory stays in its component: a proven bound, far below what can be reached where
        work has to pass through territories.
    is_cancelled
        Whether the observer ended the search early.
    """

    options: tuple[Option, ...]
    picked: int | None
    code: PickCode
    reason: str
    least_moved_work: float
    is_cancelled: bool

    @property
    def plan(self) -> Option | None:
        """The picked option."""
        return None if self.picked is None else self.options[self.picked]
