"""Why a plan does not hold what was asked, in the words and fields of the request."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from app.plans.request import territory_code
from app.plans.task import Sizing, Task
from balancing import Result, Violation
from geo.cells import CUSTOMER_RESOLUTION, cells_to_text, resolutions

# A relaxation is rounded so that asking for exactly this number is enough.
DECIMALS = 4


def find_violations(task: Task, result: Result, codes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return every reason why a plan does not hold what was asked, causes first.

    Each with `code`, `message`, `facts`, and a `relaxation` of the request: `field`, a JSON
    pointer, with the `value` that would do, or the `action` "leave out".
    """
    asked = set(task.request.balanced)
    found = [_of_note(note, task, codes) for note in task.notes]
    found += _capacities_short(task)
    for violation in result.violations:
        # A measure with a limit and no tolerance may be off by anything.
        is_balance = violation.relaxation.get("field") not in ("least", "most")
        if violation.facts.get("measure", "work_minutes") not in asked and is_balance:
            continue
        found.append(describe_violation(violation, task, codes))
    return found


def describe_violation(violation: Violation, task: Task, codes: tuple[str, ...]) -> dict[str, Any]:
    """Return a violation with the plan's codes and cells in place of the solver's numbers."""
    facts = dict(violation.facts)
    if "field" in facts:
        measure = task.sources.measures.index(str(facts["measure"]))
        facts["field"] = task.sources.pointer(str(facts["field"]), measure)
    if violation.code == "unit_too_heavy":
        facts |= _heavy_unit(int(facts["unit"]), float(facts["ratio"]), task)
    described = _named(violation.message, facts, task, codes)
    if facts.get("is_single_place"):
        described["message"] += "; it is a single place, which no splitting makes lighter"
    relaxation = relax(violation, task)
    return {"code": violation.code, **described, "relaxation": relaxation}


def relax(violation: Violation, task: Task) -> dict[str, Any]:
    """Return a violation's relaxation as a change of the request; empty where none is known."""
    given = dict(violation.relaxation)
    if "field" not in given:
        return {}
    name, index = str(given["field"]), given.get("index")
    if name == "closed":
        return {"field": task.sources.closed[int(given["value"])], "action": "leave out"}
    field = task.sources.pointer(name, int(index) if index is not None else None)
    if "action" in given:
        return {"field": field, "action": given["action"]}
    value = float(given["value"])
    if name == "n_territories":
        return _another_number(field, int(value), task.sizing)
    if name == "tolerances" and value > 1:
        # Not to be had by any tolerance; other measures than work need not be balanced.
        is_optional = not field.endswith("work_minutes")
        return {"field": field, "value": None} if is_optional else {}
    if name == "max_radius_m":
        value /= 1000
    return {"field": field, "value": _rounded(value, math.floor if name == "least" else math.ceil)}


def _another_number(field: str, number: int, sizing: Sizing) -> dict[str, Any]:
    if field == "/capacity_minutes":
        value = _rounded(sizing.work_minutes / number, math.ceil)
        return {"field": field, "value": value, "n_territories": number}
    if field == "/n_territories":
        return {"field": field, "value": number}
    return {"field": field, "n_territories": number}


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    scale = 10**DECIMALS
    return float(towards(value * scale) / scale)


def _of_note(note: dict[str, Any], task: Task, codes: tuple[str, ...]) -> dict[str, Any]:
    described = _named(note["message"], dict(note["facts"]), task, codes)
    return {"code": note["code"], **described, "relaxation": note["relaxation"]}


def _named(
    message: str, facts: dict[str, Any], task: Task, codes: tuple[str, ...]
) -> dict[str, Any]:
    """Put codes, cells and fields in place of the solver's numbers."""
    for name in ("territory", "other_territory"):
        if name in facts:
            facts[name] = codes[int(facts[name])]
    if "unit" in facts:
        facts["unit"] = _cell(task, int(facts["unit"]))
    if "group" in facts:
        facts["group"] = task.sources.groups[int(facts["group"])]
    message = re.sub(r"\b(?:closed )?territory (\d+)\b", lambda m: codes[int(m[1])], message)
    message = re.sub(r"\bunit (\d+)\b", lambda m: f"cell {_cell(task, int(m[1]))}", message)
    groups = task.sources.groups
    message = re.sub(r"\bgroup (\d+)\b", lambda m: groups[int(m[1])], message)
    return {"message": message, "facts": facts}


def _cell(task: Task, unit: int) -> str:
    return cells_to_text(task.cells[unit : unit + 1])[0]


def _heavy_unit(unit: int, ratio: float, task: Task) -> dict[str, Any]:
    """What splitting can and cannot do about a unit heavier than a territory may be."""
    cell = task.cells[unit : unit + 1]
    is_finest = int(resolutions(cell)[0]) == CUSTOMER_RESOLUTION
    # Whatever could be split was, unless there was no room for more units or nobody asked for it.
    is_spent = task.request.split_heavy_cells and not task.splitting.is_limited
    return {
        "is_single_place": is_finest or is_spent,
        "reachable_tolerance": _rounded(ratio - 1, math.ceil),
    }


def _capacities_short(task: Task) -> list[dict[str, Any]]:
    """More work than the reps of the plan can do, beyond what the tolerance allows each."""
    sizing = task.sizing
    utilisation = sizing.utilisation
    if not task.request.rep_ids or utilisation is None:
        return []
    if utilisation <= 1 + task.request.tolerances.work_minutes:
        return []
    needed = math.ceil(sizing.n_territories * utilisation)
    message = (
        f"the {sizing.n_territories} reps can do {sizing.capacity_minutes:,.0f} minutes, the work "
        f"is {sizing.work_minutes:,.0f}: about {needed} such reps are needed"
    )
    facts = {
        "work_minutes": sizing.work_minutes,
        "capacity_minutes": sizing.capacity_minutes,
        "utilisation": utilisation,
    }
    relaxation = {"field": "/rep_ids", "n_territories": needed}
    return [
        {"code": "capacities_short", "message": message, "facts": facts, "relaxation": relaxation}
    ]


def codes_of(order: "np.ndarray[Any, np.dtype[np.int32]]") -> tuple[str, ...]:
    """Return the code of each of the solver's territories; `order` is the place of each."""
    return tuple(territory_code(place, len(order)) for place in order.tolist())
