"""The heavy part of a design, run in a child process: customers per cell in, a plan out.

Reads from its folder `cells12.npy`, `activity.npy` (n, 4: work, customers, potential, revenue),
`request.json` and, where the units are those of another plan, `given_cells.npy`; writes
`cells.npy`, `alignment.npy`, `outlines.npz`, `plan.json` and `certificate.json.gz`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.errors import Fault, InvalidInput
from app.jobs.child_main import report
from app.plans.certificate import write_certificate
from app.plans.digest import GIVEN_CELLS_FILE, input_digest
from app.plans.drawing import are_apart, draw, reading_order
from app.plans.scores import score_plan, score_territories
from app.plans.task import Task, build_task, pointing
from app.plans.violations import codes_of, find_violations
from balancing import BalancingError, Progress, Result, design
from geo.cells import resolutions
from geo.errors import GeoError


def main(folder: Path) -> None:
    """Design the plan that `request.json` asks for."""
    request = orjson.loads((folder / "request.json").read_bytes())
    cells12 = np.load(folder / "cells12.npy")
    activity = np.load(folder / "activity.npy")
    try:
        report("choosing cells", 0.0)
        given = folder / GIVEN_CELLS_FILE
        task = build_task(request, cells12, activity, np.load(given) if given.exists() else None)
        result = solve(task)
        report("drawing outlines", 0.9)
        write_plan(folder, task, result, input_digest(cells12, activity))
    except GeoError as error:
        fault = Fault(error.code.replace("_", "-"), error.message)
        raise InvalidInput(error.message, [fault]) from error
    except BalancingError as error:
        raise InvalidInput(str(error), [Fault(type(error).__name__, str(error))]) from error


def solve(task: Task) -> Result:
    """Return the solver's plan for a task.

    Raises
    ------
    InvalidInput
        When the wishes cannot be put to the solver; the fault points to the field.
    """
    return pointing(
        task.sources,
        lambda: design(task.instance, task.parameters, task.request.seed, _Reporter()),
    )


@dataclass(frozen=True, slots=True)
class Names:
    """What the territories of a plan are called and how they are coloured, by ordinal."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    colours: tuple[int, ...]


def write_plan(
    folder: Path, task: Task, result: Result, digest: str, known: Names | None = None
) -> None:
    """Write what `app.plans.store` stores; `digest` is that of the input.

    Territories that are `known` keep their numbers and names, and their colours as long as no two
    neighbours have the same.
    """
    order = np.arange(result.n_territories, dtype=np.int32) if known else order_of(task, result)
    ordinals = order[result.alignment]
    np.save(folder / "cells.npy", task.cells)
    np.save(folder / "alignment.npy", ordinals)
    graph = task.instance.graph.edited(task.links.bridges, task.links.forbidden)
    territories = draw(folder, task.cells, ordinals, task.adjacency, graph, result.n_territories)
    codes = codes_of(order) if known is None else known.codes
    if known is not None:
        _call(territories, known, are_apart(task.adjacency, ordinals, known.colours))
    violations = find_violations(task, result, codes)
    document: dict[str, Any] = {
        "territories": score_territories(territories, order, task, result),
        "scores": {**score_plan(task, result), "is_feasible": not violations},
        "violations": violations,
        "components": task.pieces.document(result),
        "resolutions": np.unique(resolutions(task.cells)),
    }
    options = orjson.OPT_SERIALIZE_NUMPY
    (folder / "plan.json").write_bytes(orjson.dumps(document, option=options))
    write_certificate(folder, task, result, codes, order, violations, digest)


def _call(territories: list[dict[str, Any]], known: Names, has_colours: bool) -> None:
    for ordinal, territory in enumerate(territories):
        territory |= {"code": known.codes[ordinal], "name": known.names[ordinal]}
        if has_colours:
            territory["colour"] = known.colours[ordinal]


def order_of(task: Task, result: Result) -> "np.ndarray[Any, np.dtype[np.int32]]":
    """Place of each of the solver's territories: its own number where the request has names."""
    if task.request.names_territories:
        return np.arange(result.n_territories, dtype=np.int32)
    return reading_order(task.cells, result.alignment, result.n_territories)


class _Reporter:
    """Passes the solver's progress on to the worker."""

    def __call__(self, progress: Progress) -> bool:
        report(progress.phase, 0.1 + 0.8 * progress.fraction)
        return False
