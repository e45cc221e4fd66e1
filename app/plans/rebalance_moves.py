"""What moved in a rebalance, and what would be the case had it stayed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.plans.request import MEASURES
from app.plans.task import Task
from balancing import MovedBlock

Floats = NDArray[np.float64]
WORDS = {
    "work_minutes": "work", "customers": "customers", "potential": "potential",
    "revenue": "revenue",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """Sums (k, 4) of named accounts by territory: they stay where their account puts them."""

    sums: Floats

    def scale(self, task: Task, targets: Floats) -> Floats:
        """(k, m) the part of each target that the solver was to fill."""
        own = self.sums[:, [MEASURES.index(name) for name in task.sources.measures]]
        return np.divide(targets, targets + own, out=np.ones_like(targets), where=targets > 0)


def describe_moves(
    task: Task,
    blocks: tuple[MovedBlock, ...],
    codes: tuple[str, ...],
    scale: Floats,
    wanted: dict[str, float],
) -> list[dict[str, Any]]:
    """Return each block with what it carries, why it moved, and both territories either way.

    Parameters
    ----------
    blocks
        As `balancing.explain_moves` returns them.
    codes
        Of the territories, by number.
    scale
        (k, m) as `Named.scale` returns it: with named accounts a target is larger, and what is off
        it a smaller part.
    wanted
        The imbalance that was returned to, by measure.
    """
    return [_described(task, block, codes, scale, wanted) for block in blocks]


def _described(
    task: Task,
    block: MovedBlock,
    codes: tuple[str, ...],
    scale: Floats,
    wanted: dict[str, float],
) -> dict[str, Any]:
    ends = (
        (block.origin, block.origin_if_stayed, block.origin_now),
        (block.destination, block.destination_if_stayed, block.destination_now),
    )
    evidence: dict[str, Any] = {}
    for column, name in enumerate(task.sources.measures):
        if name not in wanted:
            continue
        leaving, joining = (
            {"stays": float(stays[column] * scale[end, column]),
             "moves": float(moves[column] * scale[end, column])}
            for end, stays, moves in ends
        )  # fmt: skip
        evidence[name] = {"from": leaving, "to": joining}
    reason, measure = _reason(evidence, wanted)
    giver, taker = codes[block.origin], codes[block.destination]
    sums = task.activity[block.units].sum(axis=0)
    return {
        "from_code": giver,
        "to_code": taker,
        "cells": task.cells[block.units].tolist(),
        **{name: float(value) for name, value in zip(MEASURES, sums, strict=True)},
        "reason": reason,
        "measure": measure,
        "text": _text(reason, giver, taker, measure, evidence[measure], wanted[measure]),
        "evidence": evidence,
    }


def _reason(evidence: dict[str, Any], wanted: dict[str, float]) -> tuple[str, str]:
    """Return the reason, and the measure in which it is plainest."""
    worst, found = 0.0, ("makes_room", next(iter(evidence)))
    for name, ends in evidence.items():
        over = ends["from"]["stays"] / wanted[name]
        under = -ends["to"]["stays"] / wanted[name]
        if max(over, under, 1.0) > max(worst, 1.0):
            worst = max(over, under)
            found = ("relieves" if over >= under else "fills", name)
    return found


def _text(
    reason: str,
    giver: str,
    taker: str,
    measure: str,
    ends: dict[str, dict[str, float]],
    wanted: float,
) -> str:
    level = f"{1 + wanted:.1%}" if reason == "relieves" else f"{1 - wanted:.1%}"
    cause = {
        "relieves": f"{giver} would be above {level} of its target of {WORDS[measure]}",
        "fills": f"{taker} would be below {level} of its target of {WORDS[measure]}",
        "makes_room": "neither would be out for it alone: it makes room for what else moves, or "
        "keeps both compact",
    }[reason]
    stays, moves = (
        f"{giver} at {1 + ends['from'][way]:.1%} and {taker} at {1 + ends['to'][way]:.1%}"
        for way in ("stays", "moves")
    )
    return f"{giver} → {taker}: {cause}. Stays: {stays}; moves: {moves}."
