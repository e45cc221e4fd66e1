"""The plan before and after the changes of a what-if, territory by territory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.plans.drawing import count_pieces
from app.plans.request import MEASURES
from app.plans.task import Task
from balancing import BalancingError, Result, assess
from geo.cells import points_from_cells
from geo.distance import great_circle_m
from geo.membership import units_of

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]
Ordinals = NDArray[np.int32]

DECIMALS = 2
WORK, CUSTOMERS = MEASURES.index("work_minutes"), MEASURES.index("customers")


@dataclass(frozen=True, slots=True)
class People:
    """Where customers are: cells of resolution 12 (n,), what they carry (n, 4).

    `named_*` are the same of named accounts, with the ordinal (m,) of the territory of each.
    """

    cells12: Cells
    activity: Floats
    named_cells12: Cells
    named_activity: Floats
    named_ordinals: Ordinals


class PlanSide:
    """A plan as it is divided.

    Attributes
    ----------
    sums : (k, 4)
        What each territory carries, named accounts included.
    targets : (k, m)
        Of the measures the solver knows, named accounts included.
    result
        What the solver says of the plan; None where a territory is not in one piece.
    """

    def __init__(
        self, facts: dict[str, Any], task: Task, alignment: Ordinals, people: People, seed: int
    ) -> None:
        """`facts` are those of `app.plans.what_if_inputs.Side`."""
        self.facts, self._task, self._alignment = facts, task, alignment
        self._size = n_territories = task.n_territories
        self.named = np.array(facts["named"], dtype=np.float64).reshape(-1, len(MEASURES))
        self.sums = self.named + np.column_stack(
            [np.bincount(alignment, column, n_territories) for column in task.activity.T]
        )
        self.result = _assessed(task, alignment, seed)
        columns = [MEASURES.index(name) for name in task.sources.measures]
        self.targets = _targets(task, self.result) + self.named[:, columns]
        self._columns = columns
        self._km, self._n_with_home = self._travel(people)

    @property
    def travel_km(self) -> tuple[float | None, float]:
        """Mean km from a rep's home, where it is known, to a customer, and how many these are."""
        number = float(self._n_with_home.sum())
        return (float(self._km.sum()) / number if number > 0 else None), number

    def level(self, ordinal: int) -> float | None:
        """Work of a territory in parts of its target."""
        target = self.targets[ordinal, 0]
        return float(self.sums[ordinal, WORK] / target) if target > 0 else None

    def utilisation(self, ordinal: int) -> float | None:
        """Work of all territories of a territory's rep, in parts of the rep's capacity."""
        rep = self.facts["reps"][ordinal]
        if rep is None or not rep["capacity_minutes"]:
            return None
        own = [
            n
            for n, other in enumerate(self.facts["reps"])
            if n == ordinal or (other and rep["id"] is not None and other["id"] == rep["id"])
        ]
        return float(self.sums[own, WORK].sum() / rep["capacity_minutes"])

    def loads(self) -> list[dict[str, Any]]:
        """What each territory carries."""
        n_cells = np.bincount(self._alignment, minlength=self._size).tolist()
        graph, links = self._task.instance.graph, self._task.links
        graph = graph.edited(links.bridges, links.forbidden)
        pieces = count_pieces(graph, self._alignment, self._size).tolist()
        counts = zip(n_cells, pieces, strict=True)
        return [self._load(ordinal, *pair) for ordinal, pair in enumerate(counts)]

    def _load(self, ordinal: int, n_cells: int, n_pieces: int) -> dict[str, Any]:
        number = self._n_with_home[ordinal]
        imbalance = {}
        for place, (column, name) in enumerate(
            zip(self._columns, self._task.sources.measures, strict=True)
        ):
            target = self.targets[ordinal, place]
            if name in self._task.request.balanced and target > 0:
                imbalance[name] = float(self.sums[ordinal, column] / target - 1)
        return {
            "cells": n_cells,
            "components": n_pieces,
            **amounts(self.sums[ordinal]),
            "target_work_minutes": round(float(self.targets[ordinal, 0]), DECIMALS),
            "level": self.level(ordinal),
            "imbalance": imbalance,
            "utilisation": self.utilisation(ordinal),
            "travel_km": float(self._km[ordinal] / number) if number > 0 else None,
        }

    def _travel(self, people: People) -> tuple[Floats, Floats]:
        """(k,) kilometres from the reps' homes to all of their customers, and (k,) these."""
        unit = units_of(people.cells12, self._task.cells)
        owner = np.where(unit >= 0, self._alignment[unit], -1)
        owner = np.concatenate([owner, people.named_ordinals])
        cells = np.concatenate([people.cells12, people.named_cells12])
        customers = np.concatenate([people.activity, people.named_activity])[:, CUSTOMERS]
        homes = [rep and rep["home"] for rep in self.facts["reps"]]
        has_home = np.array([bool(home) for home in homes] + [False])
        lon, lat = np.array([home or (0.0, 0.0) for home in homes]).T
        is_known = has_home[owner]
        owner, customers = owner[is_known], customers[is_known]
        away_m = great_circle_m(lon[owner], lat[owner], *points_from_cells(cells[is_known]))
        kilometres = np.bincount(owner, customers * away_m / 1000, self._size)
        number = np.bincount(owner, customers, self._size)
        return kilometres.astype(np.float64), number.astype(np.float64)


def rep_of(facts: dict[str, Any], ordinal: int) -> dict[str, Any] | None:
    """Return the rep of a territory as the answer has it."""
    rep = facts["reps"][ordinal]
    return None if rep is None else {"id": rep["id"], "name": rep["name"]}


def amounts(sums: Floats) -> dict[str, float]:
    """Return sums (4,) by measure."""
    return dict(zip(MEASURES, np.round(sums, DECIMALS).tolist(), strict=True))


def _assessed(task: Task, alignment: Ordinals, seed: int) -> Result | None:
    try:
        return assess(task.instance, task.parameters, alignment, seed)
    except BalancingError:
        return None


def _targets(task: Task, result: Result | None) -> Floats:
    if result is not None:
        return result.targets
    n_territories = task.n_territories
    shares = np.array(task.parameters.shares or [1 / n_territories] * n_territories)
    return np.outer(shares, task.instance.activity.sum(axis=0))
