"""Which of several plans is taken."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from balancing.picking import pick


def option(origin: str, moved: float, worst: float, **more: Any) -> Any:
    facts = {
        "origin": origin, "moved_work": moved, "objective_by_fresh": 1.0,
        "is_within_budget": True, "is_within_triggers": worst <= 0.05,
        "result": SimpleNamespace(
            is_feasible=worst <= 0.02, imbalance=np.array([[worst], [-worst]]),
            objective_value=more.pop("value", 1.0),
        ),
    }  # fmt: skip
    return SimpleNamespace(**{**facts, **more})


OUT = option("incumbent", 0.0, 0.08)
FRESH = option("fresh", 0.3, 0.01)


@pytest.mark.parametrize(
    ("others", "picked", "code"),
    [
        ([option("rebalanced", 0.02, 0.02), option("rebalanced", 0.05, 0.01), FRESH], 1,
         "least_moved"),
        # Out of what was to be returned to, yet within the triggers: no reason to move a third.
        ([option("rebalanced", 0.02, 0.03), option("rebalanced", 0.05, 0.025), FRESH], 2,
         "back_within_triggers"),
        ([option("rebalanced", 0.02, 0.07), FRESH], 2, "least_moved"),
        ([option("rebalanced", 0.02, 0.03, is_within_budget=False), FRESH], 2, "least_moved"),
        ([option("rebalanced", 0.02, 0.02, objective_by_fresh=1.3), FRESH], 2, "least_moved"),
        ([option("rebalanced", 0.02, 0.02, objective_by_fresh=1.3)], 1, "less_compact"),
        ([option("rebalanced", 0.02, 0.03)], 1, "tolerance_not_reached"),
        ([option("rebalanced", 0.02, 0.079)], 0, "nothing_gained"),
    ],
)  # fmt: skip
def test_it_is_the_one_that_moves_least_and_is_good_enough(
    others: list[Any], picked: int, code: str
) -> None:
    found = pick((OUT, *others), (0.02,), 1.1)

    assert found[:2] == (picked, code)


def test_nothing_beyond_the_budget_is_taken() -> None:
    torn = option("incumbent", 0.01, 0.08, is_within_budget=False)

    assert pick((torn,), (0.02,), 1.1)[:2] == (None, "nothing_within_budget")
