"""What a what-if answers: balance, successors, moves and cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.plans.rebalance_search import RebalanceSearch
from app.plans.request import MEASURES
from app.plans.what_if_moves import WhatIfMoves
from app.plans.what_if_schemas import MOST_MOVES, MOST_ROWS, MOST_SUCCESSORS
from app.plans.what_if_sides import CUSTOMERS, DECIMALS, WORK, PlanSide, amounts, rep_of
from app.plans.what_if_start import Donor
from geo.cells import points_from_cells
from geo.distance import great_circle_m

Cells = NDArray[np.uint64]
Ordinals = NDArray[np.int32]

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Ground:
    """The units, and in which territory each was and would be.

    Attributes
    ----------
    cells : (n,) uint64
        Sorted.
    origins : (n,) int32
        Ordinals before the changes, -1 for ground of none.
    alignment : (n,) int32
        Ordinals after them; None where no plan was picked.
    successors : (k before,) int32
        From ordinals before to those after, -1 of territories that disappear.
    """

    cells: Cells
    origins: Ordinals
    alignment: Ordinals | None
    successors: Ordinals

    @property
    def is_moved(self) -> NDArray[np.bool_]:
        """(n,) whether a unit was in a territory and comes to another."""
        if self.alignment is None:
            return np.zeros(len(self.cells), dtype=np.bool_)
        kept = np.append(self.successors, np.int32(NOWHERE))[self.origins]
        is_moved: NDArray[np.bool_] = (self.origins >= 0) & (kept != self.alignment)
        return is_moved


class Answer:
    """Sums up what was found."""

    def __init__(
        self,
        wanted: dict[str, Any],
        search: RebalanceSearch,
        ground: Ground,
        before: PlanSide,
        after: PlanSide | None,
        donors: Sequence[Donor],
    ) -> None:
        """`wanted` is what `app.plans.what_if_inputs.Inputs` writes."""
        self._wanted, self._search, self._ground = wanted, search, ground
        self._before, self._after, self._donors = before, after, donors

    def document(self) -> dict[str, Any]:
        """Return the result of the run but for the customers by name."""
        outcome, is_new = self._search.outcome(), self._ground.origins < 0
        task = self._search.task
        options = [
            {**option, "is_picked": number == outcome["picked"]}
            for number, option in enumerate(outcome["options"])
        ]
        told = {name: outcome[name] for name in outcome if name not in ("picked", "wanted")}
        rows, rows_left_out = self._balance()
        moves = self._moves()
        return {
            **told,
            "options": options,
            "n_new_cells": int(is_new.sum()),
            "new_customers": float(task.activity[is_new, CUSTOMERS].sum()),
            "balance": rows,
            "balance_left_out": rows_left_out,
            "removed": [self._removed(removal) for removal in self._wanted["removals"]],
            "added": [
                self._added(addition, donor)
                for addition, donor in zip(self._wanted["additions"], self._donors, strict=True)
            ],
            "moves": moves[:MOST_MOVES],
            "moves_left_out": max(len(moves) - MOST_MOVES, 0),
            "moved": self._moved(),
            "cost": self._cost(),
            "named_without_territory": self._named_of(
                [removal["ordinal"] for removal in self._wanted["removals"]]
            ),
        }

    def _balance(self) -> tuple[list[dict[str, Any]], int]:
        """Rows by territory, and how many are left out, those that change least."""
        before = self._before.loads()
        after = self._after.loads() if self._after else None
        sides = self._wanted["before"], self._wanted["after"]
        successors = self._ground.successors.tolist()
        pairs = [(old, new) for old, new in enumerate(successors)]
        added = range(len(sides[1]["codes"]) - len(self._donors), len(sides[1]["codes"]))
        pairs += [(NOWHERE, new) for new in added]
        rows = []
        for old, new in pairs:
            facts, own = (sides[0], old) if new == NOWHERE else (sides[1], new)
            rows.append(
                {
                    "code": facts["codes"][own],
                    "name": facts["names"][own],
                    "rep": rep_of(facts, own),
                    "before": None if old == NOWHERE else before[old],
                    "after": None if new == NOWHERE or after is None else after[new],
                }
            )
        rows = [row for row in rows if row["before"] or row["after"]]
        order = sorted(range(len(rows)), key=lambda number: (-_change(rows[number]), number))
        shown = sorted(order[:MOST_ROWS])
        return [rows[number] for number in shown], len(rows) - len(shown)

    def _removed(self, removal: dict[str, Any]) -> dict[str, Any]:
        ordinal, task = removal["ordinal"], self._search.task
        units = np.flatnonzero(self._ground.origins == ordinal)
        successors = self._successors(units)
        taken = float(task.activity[units, WORK].sum())
        part = removal["period"]["part_of_year"] if removal["period"] else 1.0
        return {
            "change": removal["change"],
            "code": self._wanted["before"]["codes"][ordinal],
            "rep": rep_of(self._wanted["before"], ordinal),
            "period": removal["period"],
            "cells": len(units),
            "protected_cells": int(self._search.choice.protected[units].sum()),
            "customers": round(float(task.activity[units, CUSTOMERS].sum()), DECIMALS),
            "work_minutes": round(taken / part, DECIMALS),
            "taken_work_minutes": round(taken, DECIMALS),
            "named_accounts": self._named_of([ordinal]),
            "successors": successors[:MOST_SUCCESSORS],
            "successors_left_out": max(len(successors) - MOST_SUCCESSORS, 0),
        }

    def _successors(self, units: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Who takes some units over, the most work first."""
        if self._after is None or self._ground.alignment is None:
            return []
        activity = self._search.task.activity[units]
        owners = self._ground.alignment[units]
        whole = max(float(activity[:, WORK].sum()), 1e-300)
        found = []
        for ordinal in np.unique(owners).tolist():
            own = owners == ordinal
            sums = activity[own].sum(axis=0)
            found.append(
                {
                    "code": self._wanted["after"]["codes"][ordinal],
                    "rep": rep_of(self._wanted["after"], ordinal),
                    "cells": int(own.sum()),
                    "customers": round(float(sums[CUSTOMERS]), DECIMALS),
                    "work_minutes": round(float(sums[WORK]), DECIMALS),
                    "share": float(sums[WORK]) / whole,
                    "level": self._after.level(ordinal),
                    "utilisation": self._after.utilisation(ordinal),
                }
            )
        return sorted(found, key=lambda row: (-row["work_minutes"], row["code"]))

    def _added(self, addition: dict[str, Any], donor: Donor) -> dict[str, Any]:
        ordinal, facts = addition["ordinal"], self._wanted["after"]
        distance_km = None
        if addition["place"] is not None and self._ground.alignment is not None:
            own = self._ground.cells[self._ground.alignment == ordinal]
            away_m = great_circle_m(*points_from_cells(own), *addition["place"])
            distance_km = round(float(away_m.min()) / 1000, 3)
        return {
            "change": addition["change"],
            "code": facts["codes"][ordinal],
            "rep": rep_of(facts, ordinal),
            "made_of": self._wanted["before"]["codes"][donor.ordinal],
            "takes_over": donor.is_whole,
            "place": addition["place"],
            "distance_km": distance_km,
        }

    def _moves(self) -> list[dict[str, Any]]:
        if self._after is None or self._after.result is None:
            return []
        moves = WhatIfMoves(
            self._search, self._after, self._ground.origins, self._wanted["before"]["codes"]
        )
        return moves.describe()

    def _moved(self) -> dict[str, Any] | None:
        if self._after is None:
            return None
        is_moved = self._ground.is_moved
        sums = amounts(self._search.task.activity[is_moved].sum(axis=0))
        whole = dict(zip(MEASURES, self._after.sums.sum(axis=0).tolist(), strict=True))
        parts = {
            name: {"amount": value, "share": value / whole[name] if whole[name] > 0 else 0.0}
            for name, value in sums.items()
        }
        return {"cells": int(is_moved.sum()), **parts}

    def _cost(self) -> dict[str, Any]:
        before, after = self._before.result, self._after and self._after.result
        travel_before, n_before = self._before.travel_km
        travel_after, n_after = self._after.travel_km if self._after else (None, 0.0)
        return {
            "objective": {
                "name": self._search.task.parameters.objective,
                "before": before and float(before.objective_value),
                "after": after and float(after.objective_value),
            },
            "cut_edges": {
                "before": before and int(before.cut_edges), "after": after and int(after.cut_edges)
            },
            "travel_km": {
                "before": travel_before, "after": travel_after,
                "customers_before": round(n_before, DECIMALS),
                "customers_after": round(n_after, DECIMALS),
            },
        }  # fmt: skip

    def _named_of(self, ordinals: list[int]) -> dict[str, float]:
        """Named accounts of territories that disappear, as they are before the changes."""
        sums = self._before.named[ordinals].sum(axis=0)
        return {
            "customers": round(float(sums[CUSTOMERS]), DECIMALS),
            "work_minutes": round(float(sums[WORK]), DECIMALS),
        }


def _change(row: dict[str, Any]) -> float:
    """How much work comes or goes."""
    sides = (row["before"] or {}).get("work_minutes", 0.0), (row["after"] or {}).get("work_minutes")
    return abs(sides[0] - sides[1]) if sides[1] is not None else float(sides[0])
