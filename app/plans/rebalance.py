"""The heavy part of a rebalance, run in a child process: a plan and today's customers in.

Reads from its folder what `app.plans.solve` reads, the plan in `plan.npz`, chosen ground in
`chosen.npz` and `rebalance.json`; writes `outcome.json`, and where something moves what
`app.plans.solve` writes and `moves.json`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.errors import Fault, InvalidInput
from app.jobs.child_main import report
from app.plans.rebalance_moves import Named, describe_moves
from app.plans.rebalance_request import RebalanceRequest
from app.plans.rebalance_search import RebalanceSearch
from app.plans.request import MEASURES
from app.plans.solve import Names, write_plan
from app.plans.task import Task
from balancing import BalancingError, Option, assess, explain_moves
from geo.errors import GeoError


def main(folder: Path) -> None:
    """Rebalance the plan that `rebalance.json` names."""
    wanted = orjson.loads((folder / "rebalance.json").read_bytes())
    try:
        report("reading the plan", 0.0)
        search = _search(folder, wanted)
        search.run()
        _write(folder, search, wanted)
    except GeoError as error:
        fault = Fault(error.code.replace("_", "-"), error.message)
        raise InvalidInput(error.message, [fault]) from error
    except BalancingError as error:
        raise InvalidInput(str(error), [Fault(type(error).__name__, str(error))]) from error


def _search(folder: Path, wanted: dict[str, Any]) -> RebalanceSearch:
    with np.load(folder / "plan.npz") as plan, np.load(folder / "chosen.npz") as chosen:
        return RebalanceSearch(
            orjson.loads((folder / "request.json").read_bytes()),
            RebalanceRequest.model_validate(wanted["request"]),
            np.load(folder / "cells12.npy"),
            np.load(folder / "activity.npy"),
            dict(plan),
            dict(chosen),
            Names(tuple(wanted["codes"]), tuple(wanted["names"]), tuple(wanted["colours"])),
            wanted["seed"],
        )


def _write(folder: Path, search: RebalanceSearch, wanted: dict[str, Any]) -> None:
    """Write what was found, and the plan where one is to follow."""
    picked, outcome = search.found.plan, search.outcome()
    has_plan = picked is not None and bool(picked.n_moved or outcome["new_customers"])
    options = orjson.OPT_SERIALIZE_NUMPY
    written = orjson.dumps({**outcome, "has_plan": has_plan}, option=options)
    (folder / "outcome.json").write_bytes(written)
    if has_plan and picked is not None:
        _write_plan(folder, search, picked, wanted)


def _write_plan(
    folder: Path, search: RebalanceSearch, picked: Option, wanted: dict[str, Any]
) -> None:
    report("drawing outlines", 0.85)
    task = search.task
    result = assess(task.instance, task.parameters, picked.result.alignment, wanted["seed"])
    named = Named(np.array(wanted["named"], dtype=np.float64))
    write_plan(folder, task, result, wanted["digest"], search.names)
    if named.sums.any():
        _count_named(folder, task, named)
    blocks = explain_moves(task.instance, task.parameters, search.past, result)
    scale = named.scale(task, result.targets)
    moves = describe_moves(task, blocks, search.names.codes, scale, search.wanted_imbalance())
    (folder / "moves.json").write_bytes(orjson.dumps(moves, option=orjson.OPT_SERIALIZE_NUMPY))


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
