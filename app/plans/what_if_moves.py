"""What moves in a what-if, ground of territories that disappear among it, and why."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.plans.rebalance_moves import WORDS, Named, describe_moves
from app.plans.rebalance_search import RebalanceSearch
from app.plans.request import MEASURES
from app.plans.what_if_sides import PlanSide, amounts
from balancing import explain_moves, moved_blocks

Ordinals = NDArray[np.int32]


class WhatIfMoves:
    """Describes every move from the plan as it is to that with the changes."""

    def __init__(
        self, search: RebalanceSearch, after: PlanSide, origins: Ordinals, old_codes: list[str]
    ) -> None:
        """`origins` (n_units,) are ordinals before the changes, which `old_codes` name."""
        assert after.result is not None
        self._search, self._after, self._result = search, after, after.result
        self._origins, self._old_codes = origins, old_codes
        self._scale = Named(after.named).scale(search.task, self._result.targets)

    def describe(self) -> list[dict[str, Any]]:
        """Return all moves, the most work first."""
        search = self._search
        task = search.task
        blocks = explain_moves(task.instance, task.parameters, search.past, self._result)
        moves = describe_moves(
            task, blocks, search.names.codes, self._scale, search.wanted_imbalance()
        )
        found = [_as_row(move) for move in moves]
        found += [self._succeeded(units) for units in self._left_behind()]
        order = sorted(
            range(len(found)),
            key=lambda n: (
                -found[n]["work_minutes"],
                found[n]["from_code"],
                found[n]["to_code"],
                n,
            ),
        )
        return [found[number] for number in order]

    def _left_behind(self) -> list[Ordinals]:
        """Touching units of one territory that disappears that come to one other."""
        task, n_after = self._search.task, self._search.task.n_territories
        is_left = (self._origins >= 0) & (self._search.past < 0)
        units = np.flatnonzero(is_left).astype(np.int32)
        if not units.size:
            return []
        past = np.where(is_left, n_after + self._origins, -1).astype(np.int32)
        alignment = self._result.alignment
        return moved_blocks(task.instance, task.parameters, past, alignment, units)

    def _succeeded(self, units: Ordinals) -> dict[str, Any]:
        task = self._search.task
        to = int(self._result.alignment[units[0]])
        giver, taker = self._old_codes[self._origins[units[0]]], self._search.names.codes[to]
        evidence: dict[str, Any] = {}
        for column, name in enumerate(task.sources.measures):
            if name not in self._search.wanted_imbalance():
                continue
            target = self._result.targets[to, column]
            carried = float(task.instance.activity[units, column].sum())
            now = float(self._result.imbalance[to, column])
            without = now - carried / target if target > 0 else 0.0
            scale = float(self._scale[to, column])
            evidence[name] = {"to": {"stays": without * scale, "moves": now * scale}}
        measure = next(iter(evidence))
        ends = evidence[measure]["to"]
        text = (
            f"{giver} → {taker}: {giver} disappears. Without it {taker} would be at "
            f"{1 + ends['stays']:.1%} of its target of {WORDS[measure]}; with it "
            f"{1 + ends['moves']:.1%}."
        )
        return {
            "from_code": giver,
            "to_code": taker,
            "cells": len(units),
            **amounts(task.activity[units].sum(axis=0)),
            "reason": "succeeds",
            "text": text,
            "evidence": evidence,
        }


def _as_row(move: dict[str, Any]) -> dict[str, Any]:
    """Return a move of a rebalance with the number of its cells alone."""
    sums = np.array([move[name] for name in MEASURES])
    kept = ("from_code", "to_code", "reason", "text", "evidence")
    return {**{name: move[name] for name in kept}, "cells": len(move["cells"]), **amounts(sums)}
