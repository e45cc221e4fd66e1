"""The search behind a rebalance and a what-if: from a plan to the plans near it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.jobs.child_main import report
from app.plans.rebalance_ground import units_with, with_new_ground
from app.plans.rebalance_request import RebalanceRequest
from app.plans.request import MEASURES, PlanRequest
from app.plans.solve import Names
from app.plans.task import Task, are_in_region, build_task, pointing
from balancing import (
    MoveLimit,
    MovePolicy,
    Option,
    Parameters,
    Progress,
    Rebalancing,
    rebalance,
)
from geo.cell_sets import positions_in
from geo.membership import activity_per_cell, units_of

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ordinals = NDArray[np.int32]

# What a cell costs all of whose work is to be kept, and ground that moved lately where it must.
KEEP_FACTOR, RECENT_FACTOR = 5.0, 30.0
# What freeing ground that moved lately must take off the largest imbalance.
LEAST_HELP = 0.1
# A measure that only has limits triggers nothing.
NEVER = 1e9


@dataclass(frozen=True, slots=True)
class Choice:
    """Units (n,) by what may be done with them, and the part of each that is to be kept."""

    protected: Flags
    recent: Flags
    to_keep: Floats


class RebalanceSearch:
    """The plans near a plan with the customers there are.

    Attributes
    ----------
    task
        The plan's ground, and what touches it and has customers, as the solver takes it.
    past : (n_units,) int32
        The territory of each unit so far, -1 for ground of none.
    names
        Of the territories.
    choice
        What stays, and what rather stays.
    """

    def __init__(
        self,
        document: dict[str, Any],
        request: RebalanceRequest,
        cells12: Cells,
        activity: Floats,
        plan: dict[str, Any],
        chosen: dict[str, Any],
        names: Names,
        seed: int,
    ) -> None:
        """Lay out the task.

        Parameters
        ----------
        document
            As `build_task` reads it.
        cells12, activity
            (n_customers,) and (n_customers, 4).
        plan
            `cells` and `ordinals`, (n,) each; an ordinal of -1 is ground of no territory.
        chosen
            As `app.plans.rebalance_reading.Chosen.arrays` returns it.
        """
        self._request, self._seed = request, seed
        self._cells12, self._activity = cells12, activity
        here = are_in_region(_request_of(document), cells12)
        units = with_new_ground(plan["cells"], cells12[here])
        self.task = build_task(document, cells12, activity, units, plan["cells"])
        self.past = self.on_units(plan["cells"], plan["ordinals"])
        self.names = names
        self.choice = self._chosen(chosen)
        self._parameters = _settled(self.task, request.return_to)
        self._found: Rebalancing | None = None
        self._has_freed_recent = False

    @property
    def found(self) -> Rebalancing:
        """What `run` has found."""
        assert self._found is not None
        return self._found

    def on_units(self, cells: Cells, ordinals: Ordinals) -> Ordinals:
        """(n_units,) what is said of sorted cells (n,), said of the units; -1 where nothing is."""
        at = positions_in(cells, self.task.cells)
        return np.where(at >= 0, ordinals[at], -1).astype(np.int32)

    def hold(self, units: dict[int, int]) -> None:
        """Have units, by number, in territories whatever else is wished."""
        wishes = self.task.parameters.requirements
        n_units = len(self.task.cells)
        locks = np.full(n_units, -1, np.int32) if wishes.locks is None else wishes.locks.copy()
        locks[list(units)] = list(units.values())
        wishes = replace(wishes, locks=locks)
        self.task = replace(
            self.task, parameters=replace(self.task.parameters, requirements=wishes)
        )
        self._parameters = replace(self._parameters, requirements=wishes)

    def _chosen(self, chosen: dict[str, Any]) -> Choice:
        task = self.task
        is_protected = units_with(task.cells, chosen["protected"])
        codes = self._request.protect.territories
        ordinals = [self.names.codes.index(code) for code in codes]
        is_protected |= np.isin(self.past, ordinals)
        kept = activity_per_cell(chosen["kept_cells12"], chosen["kept_work"][:, None], task.cells)
        work = task.activity[:, 0]
        to_keep = np.divide(kept[:, 0], work, out=np.zeros_like(work), where=work > 0)
        soft = self._request.prefer_to_keep
        to_keep[units_with(task.cells, chosen["kept_ground"])] = 1.0
        to_keep[np.isin(self.past, [self.names.codes.index(c) for c in soft.territories])] = 1.0
        recent = units_with(task.cells, chosen["recent"])
        return Choice(is_protected, recent & ~is_protected, np.clip(to_keep, 0.0, 1.0))

    def run(self, start: Ordinals | None = None) -> None:
        """Find the plans near this one; `start` (n_units,) as `balancing.rebalance` takes it."""
        choice = self.choice
        found = self._rebalanced(start, choice.protected | choice.recent, 0.1, 0.6)
        if not _is_calm(found) and choice.recent.any():
            again = self._rebalanced(start, choice.protected, 0.6, 0.85)
            # What moved lately moves once more only where that helps.
            if _is_calm(again) or _worst(again) < (1 - LEAST_HELP) * _worst(found):
                found, self._has_freed_recent = again, True
        self._found = found

    def _rebalanced(
        self, start: Ordinals | None, is_protected: Flags, first: float, last: float
    ) -> Rebalancing:
        task, request, choice = self.task, self._request, self.choice
        factors = 1 + (KEEP_FACTOR - 1) * choice.to_keep
        factors = np.where(choice.recent, np.maximum(factors, RECENT_FACTOR), factors)
        policy = MovePolicy(
            prices=tuple(request.prices),
            limits=tuple(
                MoveLimit(name, np.ascontiguousarray(task.activity[:, column]), share)
                for column, (name, share) in enumerate(request.limits().items())
            ),
            most_units_per_territory=request.budget.cells_per_territory,
            is_protected=is_protected if is_protected.any() else None,
            price_factors=factors if np.any(factors != 1) else None,
            triggers=self._triggers(),
            most_objective=request.most_objective,
        )

        def tell(progress: Progress) -> bool:
            report(progress.phase, first + (last - first) * progress.fraction)
            return False

        given = (task.instance, self._parameters, self.past, policy, self._seed, tell, start)
        return pointing(task.sources, lambda: rebalance(*given))

    def _triggers(self) -> tuple[float, ...]:
        asked, tolerances = self._request.triggers, self.task.request.tolerances
        triggers = []
        for name, settled in zip(
            self.task.sources.measures, self._parameters.tolerances, strict=True
        ):
            own = getattr(tolerances, name)
            trigger = NEVER if own is None else getattr(asked, name) or own
            triggers.append(max(trigger, settled))
        return tuple(triggers)

    def outcome(self) -> dict[str, Any]:
        """Return what was found, and which plan was picked and why."""
        found, is_new = self.found, self.past < 0
        return {
            "code": found.code,
            "reason": found.reason,
            "picked": found.picked,
            "options": [self._option(option) for option in found.options],
            "least_moved_work": found.least_moved_work,
            "has_freed_recent": self._has_freed_recent,
            "n_protected_cells": int(self.choice.protected.sum()),
            "n_recent_cells": int(self.choice.recent.sum()),
            "n_new_cells": int(is_new.sum()),
            "new_customers": float(self.task.activity[is_new, 1].sum()),
            "customers_outside": self._customers_outside(),
            "wanted": self.wanted_imbalance(),
        }

    def wanted_imbalance(self) -> dict[str, float]:
        """Return the imbalance that is returned to, by measure."""
        named = zip(self.task.sources.measures, self._parameters.tolerances, strict=True)
        return {name: value for name, value in named if name in self.task.request.balanced}

    def _customers_outside(self) -> int:
        """Customers beside all ground that the plan can take in."""
        is_outside = units_of(self._cells12, self.task.cells) < 0
        return int(self._activity[is_outside, MEASURES.index("customers")].sum())

    def _option(self, option: Option) -> dict[str, Any]:
        named = zip(self.task.sources.measures, option.result.worst_imbalance.tolist(), strict=True)
        balanced = self.task.request.balanced
        return {
            "origin": option.origin,
            "price": option.price,
            "moved": dict(option.moved),
            "n_cells_moved": option.n_moved,
            "most_cells_per_territory": option.most_units_per_territory,
            "n_protected_moved": option.n_protected_moved,
            "max_imbalance": {name: value for name, value in named if name in balanced},
            "objective_ratio": option.objective_by_fresh,
            "cut_edges": option.result.cut_edges,
            "is_within_budget": option.is_within_budget,
            "is_within_triggers": option.is_within_triggers,
            "is_balanced": option.result.is_feasible,
        }


def _request_of(document: dict[str, Any]) -> PlanRequest:
    return PlanRequest.model_validate(
        {name: value for name, value in document.items() if name != "resolved"}
    )


def _is_calm(found: Rebalancing) -> bool:
    return found.plan is not None and found.plan.is_within_triggers


def _worst(found: Rebalancing) -> float:
    """The largest imbalance of what was picked, in parts of its tolerance, or of the incumbent."""
    option = found.plan or found.options[0]
    return float(np.max(option.result.worst_imbalance))


def _settled(task: Task, part: float) -> Parameters:
    """Return the parameters with the tolerances that are returned to."""
    tolerances = tuple(
        tolerance if getattr(task.request.tolerances, name) is None else tolerance * part
        for name, tolerance in zip(task.sources.measures, task.parameters.tolerances, strict=True)
    )
    return replace(task.parameters, tolerances=tolerances)
