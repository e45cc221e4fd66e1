"""The heavy part of a what-if, run in a child process: a plan, customers and changes in.

Reads from its folder what `app.plans.what_if_inputs.Inputs` writes; writes `outcome.json`, the
result but for the customers by name, and `moved.npz` with the ground that changes hands.
"""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from app.jobs.child_main import report
from app.plans.rebalance_request import RebalanceRequest
from app.plans.rebalance_search import RebalanceSearch
from app.plans.request import MEASURES
from app.plans.solve import Names
from app.plans.task import build_task
from app.plans.what_if_answer import Answer, Ground
from app.plans.what_if_sides import People, PlanSide
from app.plans.what_if_start import Beginning
from balancing import BalancingError
from geo.cell_sets import positions_in
from geo.errors import GeoError
from geo.membership import units_of

Cells = NDArray[np.uint64]
Ordinals = NDArray[np.int32]

CUSTOMERS = MEASURES.index("customers")
NOWHERE = -1


def main(folder: Path) -> None:
    """Find what would be with the changes of `what_if.json`."""
    try:
        report("reading the plan", 0.0)
        run = _WhatIf(folder)
        run.search()
        report("summing up", 0.9)
        run.write(folder)
    except GeoError as error:
        fault = Fault(error.code.replace("_", "-"), error.message)
        raise InvalidInput(error.message, [fault]) from error
    except BalancingError as error:
        raise InvalidInput(str(error), [Fault(type(error).__name__, str(error))]) from error


class _WhatIf:
    """One what-if."""

    def __init__(self, folder: Path) -> None:
        self._wanted = wanted = orjson.loads((folder / "what_if.json").read_bytes())
        self._plan = plan = _arrays(folder / "plan.npz")
        self._successors = np.array(wanted["successors"], dtype=np.int32)
        self._seed = int(wanted["seed"])
        cells12 = np.load(folder / "cells12.npy")
        activity, changed = np.load(folder / "activity.npy"), np.load(folder / "changed.npy")
        named = _arrays(folder / "named.npz")
        # Who is lost is nowhere: no ground is taken in for them.
        is_left = changed[:, CUSTOMERS] > 0
        self._before = People(
            cells12, activity, named["cells12"], named["before"], named["ordinals"]
        )
        self._after = People(
            cells12[is_left], changed[is_left], named["cells12"], named["after"],
            np.append(self._successors, np.int32(NOWHERE))[named["ordinals"]],
        )  # fmt: skip
        self._lost12 = cells12[~is_left]
        self._present = activity[is_left]
        after = wanted["after"]
        self._search = RebalanceSearch(
            after["document"],
            RebalanceRequest.model_validate(wanted["request"]),
            self._after.cells12,
            self._after.activity,
            {"cells": plan["cells"], "ordinals": self._successors[plan["ordinals"]]},
            _arrays(folder / "chosen.npz"),
            Names(tuple(after["codes"]), tuple(after["names"]), tuple(after["colours"])),
            self._seed,
        )
        self._origins = self._search.on_units(plan["cells"], plan["ordinals"])
        self._beginning = Beginning(self._search, self._origins, self._successors)

    def search(self) -> None:
        """Begin with ground for what is added, and find the plans near by."""
        for addition in self._wanted["additions"]:
            self._beginning.add(addition, self._seed)
        removals, codes = self._wanted["removals"], self._wanted["before"]["codes"]
        self._beginning.refuse_cut_off(removals, codes)
        if self._beginning.places:
            self._search.hold(self._beginning.places)
        self._search.run(self._beginning.start)

    def write(self, folder: Path) -> None:
        """Write what would be."""
        picked = self._search.found.plan
        alignment = None if picked is None else picked.result.alignment
        ground = Ground(self._search.task.cells, self._origins, alignment, self._successors)
        answer = Answer(
            self._wanted, self._search, ground, self._side_before(), self._side_after(alignment),
            self._beginning.donors,
        )  # fmt: skip
        document = {
            **answer.document(),
            "affected_customers": self._affected(ground),
        }
        options = orjson.OPT_SERIALIZE_NUMPY
        (folder / "outcome.json").write_bytes(orjson.dumps(document, option=options))
        cells, unit = self._moved_ground(ground)
        np.savez(
            folder / "moved.npz", cells=cells, before=self._origins[unit],
            after=np.full(len(unit), NOWHERE) if alignment is None else alignment[unit],
        )  # fmt: skip

    def _side_before(self) -> PlanSide:
        facts, cells = self._wanted["before"], self._plan["cells"]
        people = self._before
        task = build_task(facts["document"], people.cells12, people.activity, cells, cells)
        alignment = self._plan["ordinals"][positions_in(cells, task.cells)]
        return PlanSide(facts, task, alignment.astype(np.int32), people, self._seed)

    def _side_after(self, alignment: Ordinals | None) -> PlanSide | None:
        if alignment is None:
            return None
        facts = self._wanted["after"]
        return PlanSide(facts, self._search.task, alignment, self._after, self._seed)

    def _affected(self, ground: Ground) -> int:
        """How many customers of today are on ground that changes hands, without those lost."""
        unit = units_of(self._after.cells12, ground.cells)
        is_moved = (unit >= 0) & ground.is_moved[unit]
        return round(float(self._present[is_moved, CUSTOMERS].sum()))

    def _moved_ground(self, ground: Ground) -> tuple[Cells, NDArray[np.int64]]:
        """Cells that change hands with the unit of each; of units with lost customers the others.

        These are cells of resolution 12, so that no range of cells holds who is lost.
        """
        has_lost = np.zeros(len(ground.cells), dtype=np.bool_)
        lost = units_of(self._lost12, ground.cells)
        has_lost[lost[lost >= 0]] = True
        whole = np.flatnonzero(ground.is_moved & ~has_lost)
        unit12 = units_of(self._after.cells12, ground.cells)
        is_apart = (unit12 >= 0) & (ground.is_moved & has_lost)[unit12]
        cells = np.concatenate([ground.cells[whole], self._after.cells12[is_apart]])
        return cells, np.concatenate([whole, unit12[is_apart]])


def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as stored:
        return dict(stored)
