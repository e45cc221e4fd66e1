"""The heavy part of a rebalance, run in a child process: a plan and today's customers in.

Reads from its folder what `app.plans.solve` reads, the plan in `plan.npz`, chosen ground in
`chosen.npz` and `rebalance.json`; writes `outcome.json`, and where something moves what
`app.plans.solve` writes and `moves.json`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from app.jobs.child_main import report
from app.plans.rebalance_ground import units_with, with_new_ground
from app.plans.rebalance_moves import Named, describe_moves
from app.plans.rebalance_request import RebalanceRequest
from app.plans.request import MEASURES
from app.plans.solve import Names, write_plan
from app.plans.task import Task, build_task, pointing
from balancing import (
    BalancingError,
    MoveLimit,
    MovePolicy,
    Option,
    Parameters,
    Progress,
    Rebalancing,
    assess,
    explain_moves,
    rebalance,
)
from geo.cell_sets import positions_in
from geo.errors import GeoError
from geo.membership import activity_per_cell, units_of

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# What a cell costs all of whose work is to be kept, and ground that moved lately where it must.
KEEP_FACTOR, RECENT_FACTOR = 5.0, 30.0
# A measure that only has limits triggers nothing.
NEVER = 1e9


def main(folder: Path) -> None:
    """Rebalance the plan that `rebalance.json` names."""
    document = orjson.loads((folder / "request.json").read_bytes())
    wanted = orjson.loads((folder / "rebalance.json").read_bytes())
    cells12, activity = np.load(folder / "cells12.npy"), np.load(folder / "activity.npy")
    try:
        report("reading the plan", 0.0)
        with np.load(folder / "plan.npz") as plan, np.load(folder / "chosen.npz") as chosen:
            run = _Run(document, wanted, cells12, activity, dict(plan), dict(chosen))
        run.search()
        run.write(folder)
    except GeoError as error:
        fault = Fault(error.code.replace("_", "-"), error.message)
        raise InvalidInput(error.message, [fault]) from error
    except BalancingError as error:
        raise InvalidInput(str(error), [Fault(type(error).__name__, str(error))]) from error


@dataclass(frozen=True, slots=True)
class _Choice:
    """Units (n,) by what may be done with them, and the part of each that is to be kept."""

    protected: Flags
    recent: Flags
    to_keep: Floats


class _Run:
    """One rebalance."""

    def __init__(
        self,
        document: dict[str, Any],
        wanted: dict[str, Any],
        cells12: Cells,
        activity: Floats,
        plan: dict[str, Any],
        chosen: dict[str, Any],
    ) -> None:
        self._wanted = wanted
        self._request = RebalanceRequest.model_validate(wanted["request"])
        self._cells12, self._activity = cells12, activity
        units = with_new_ground(plan["cells"], cells12)
        self._task = task = build_task(document, cells12, activity, units, plan["cells"])
        at = positions_in(plan["cells"], task.cells)
        self._past = np.where(at >= 0, plan["ordinals"][at], -1).astype(np.int32)
        self._names = Names(
            tuple(wanted["codes"]), tuple(wanted["names"]), tuple(wanted["colours"])
        )
        self._choice = self._chosen(chosen)
        self._parameters = _settled(task, self._request.return_to)
        self._found: Rebalancing | None = None
        self._has_freed_recent = False

    def _chosen(self, chosen: dict[str, Any]) -> _Choice:
        task = self._task
        is_protected = units_with(task.cells, chosen["protected"])
        codes = self._request.protect.territories
        ordinals = [self._names.codes.index(code) for code in codes]
        is_protected |= np.isin(self._past, ordinals)
        kept = activity_per_cell(chosen["kept_cells12"], chosen["kept_work"][:, None], task.cells)
        work = task.activity[:, 0]
        to_keep = np.divide(kept[:, 0], work, out=np.zeros_like(work), where=work > 0)
        soft = self._request.prefer_to_keep
        to_keep[units_with(task.cells, chosen["kept_ground"])] = 1.0
        to_keep[np.isin(self._past, [self._names.codes.index(c) for c in soft.territories])] = 1.0
        recent = units_with(task.cells, chosen["recent"])
        return _Choice(is_protected, recent & ~is_protected, np.clip(to_keep, 0.0, 1.0))

    def search(self) -> None:
        """Find the plans near this one."""
        choice = self._choice
        found = self._rebalanced(choice.protected | choice.recent, 0.1, 0.6)
        if not _is_calm(found) and choice.recent.any():
            again = self._rebalanced(choice.protected, 0.6, 0.85)
            # What moved lately moves once more only where it must.
            if _is_calm(again) or again.code == "tolerance_not_reached":
                found, self._has_freed_recent = again, True
        self._found = found

    def _rebalanced(self, is_protected: Flags, first: float, last: float) -> Rebalancing:
        task, request, choice = self._task, self._request, self._choice
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

        seed = self._wanted["seed"]
        return pointing(
            task.sources,
            lambda: rebalance(task.instance, self._parameters, self._past, policy, seed, tell),
        )

    def _triggers(self) -> tuple[float, ...]:
        asked, tolerances = self._request.triggers, self._task.request.tolerances
        triggers = []
        for name, settled in zip(
            self._task.sources.measures, self._parameters.tolerances, strict=True
        ):
            own = getattr(tolerances, name)
            trigger = NEVER if own is None else getattr(asked, name) or own
            triggers.append(max(trigger, settled))
        return tuple(triggers)

    def write(self, folder: Path) -> None:
        """Write what was found, and the plan where one is to follow."""
        assert self._found is not None
        found, task = self._found, self._task
        picked = found.plan
        is_new = self._past < 0
        new_customers = float(task.activity[is_new, 1].sum())
        has_plan = picked is not None and bool(picked.n_moved or new_customers)
        outcome = {
            "code": found.code,
            "reason": found.reason,
            "has_plan": has_plan,
            "picked": found.picked,
            "options": [self._option(option) for option in found.options],
            "least_moved_work": found.least_moved_work,
            "has_freed_recent": self._has_freed_recent,
            "n_protected_cells": int(self._choice.protected.sum()),
            "n_recent_cells": int(self._choice.recent.sum()),
            "n_new_cells": int(is_new.sum()),
            "new_customers": new_customers,
            "customers_outside": self._customers_outside(),
            "wanted": self._wanted_imbalance(),
        }
        options = orjson.OPT_SERIALIZE_NUMPY
        (folder / "outcome.json").write_bytes(orjson.dumps(outcome, option=options))
        if not has_plan or picked is None:
            return
        report("drawing outlines", 0.85)
        result = assess(
            task.instance, task.parameters, picked.result.alignment, self._wanted["seed"]
        )
        named = Named(np.array(self._wanted["named"], dtype=np.float64))
        write_plan(folder, task, result, self._wanted["digest"], self._names)
        if named.sums.any():
            _count_named(folder, task, named)
        blocks = explain_moves(task.instance, task.parameters, self._past, result)
        scale = named.scale(task, result.targets)
        moves = describe_moves(task, blocks, self._names.codes, scale, self._wanted_imbalance())
        (folder / "moves.json").write_bytes(orjson.dumps(moves, option=options))

    def _wanted_imbalance(self) -> dict[str, float]:
        named = zip(self._task.sources.measures, self._parameters.tolerances, strict=True)
        return {name: value for name, value in named if name in self._task.request.balanced}

    def _customers_outside(self) -> int:
        """Customers beside all ground that the plan can take in."""
        is_outside = units_of(self._cells12, self._task.cells) < 0
        return int(self._activity[is_outside, MEASURES.index("customers")].sum())

    def _option(self, option: Option) -> dict[str, Any]:
        named = zip(
            self._task.sources.measures, option.result.worst_imbalance.tolist(), strict=True
        )
        balanced = self._task.request.balanced
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


def _is_calm(found: Rebalancing) -> bool:
    return found.plan is not None and found.plan.is_within_triggers


def _settled(task: Task, part: float) -> Parameters:
    """Return the parameters with the tolerances that are returned to."""
    tolerances = tuple(
        tolerance if getattr(task.request.tolerances, name) is None else tolerance * part
        for name, tolerance in zip(task.sources.measures, task.parameters.tolerances, strict=True)
    )
    return replace(task.parameters, tolerances=tolerances)


def _count_named(folder: Path, task: Task, named: Named) -> None:
    """Add named accounts to the balance table: they count for the territory they name."""
    path = folder / "plan.json"
    document = orjson.loads(path.read_bytes())
    worst: dict[str, float] = {}
    for row, sums in zip(document["territories"], named.sums.tolist(), strict=True):
        own = dict(zip(MEASURES, sums, strict=True))
        for name in MEASURES:
            row["activity"][name] += own[name]
        for name, target in row["target"].items():
            whole = target + own[name]
            row["imbalance"][name] *= target / whole if whole > 0 else 1.0
            row["target"][name] = whole
            worst[name] = max(worst.get(name, 0.0), abs(row["imbalance"][name]))
    document["scores"]["max_imbalance"] = worst
    path.write_bytes(orjson.dumps(document))
