"""Locks of a draft: cells that stay in their territory, territories that stay as they are.

They stand in the plan's parameters in the form of a request, so designs and rebalances made from it
respect them: `locks`, and `locked_territories` of the plan itself.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from app.errors import Conflict, Fault, InvalidInput
from app.plans.edit_state import EditState, locked_numbers
from app.plans.places import Places
from app.plans.request import MOST_CELLS, territory_code, territory_number
from geo.cells import cells_to_text
from geo.errors import CellError

MOST_NAMED = 5


def refuse_locked(before: EditState, after: EditState) -> None:
    """Refuse an edit that changes a locked territory, or takes locked cells elsewhere.

    Raises
    ------
    Conflict
        With a fault for each territory and lock, naming cells.
    """
    old = np.array([territory_number(code) for code in before.codes])[before.ordinals]
    new = np.array([territory_number(code) for code in after.codes])[after.ordinals]
    is_moved = old != new
    faults = [
        Fault("locked", f"{code} is locked as it is", "/territories")
        for code in before.codes
        if territory_number(code) in locked_numbers(before)
        and np.any(is_moved & ((old == territory_number(code)) | (new == territory_number(code))))
    ]
    places = Places(before.cells)
    for lock in before.wishes.get("locks") or []:
        units, _ = places.of_cells(lock["cells"])
        torn = units[is_moved[units] & (old[units] == territory_number(lock["territory"]))]
        if torn.size:
            named = ", ".join(cells_to_text(before.cells[torn[:MOST_NAMED]]))
            more = f" and {torn.size - MOST_NAMED} more" if torn.size > MOST_NAMED else ""
            detail = f"locked to {lock['territory']}: {named}{more}"
            faults.append(Fault("locked", detail, "/cells"))
    if faults:
        raise Conflict("The edit would change what is locked; unlock it first.", faults)


def locked(state: EditState, plan_id: int, codes: list[str], cells: list[str] | None) -> EditState:
    """Lock territories as they are, and cells to the territory that holds them.

    Raises
    ------
    InvalidInput
        For territories and cells outside of the plan, and too many cells for one territory.
    """
    numbers = locked_numbers(state) | {
        territory_number(state.codes[state.place(code, f"/territories/{index}")])
        for index, code in enumerate(codes)
    }
    by_code = _by_code(state)
    if cells is not None:
        units = require_cells(state, cells)
        for place in np.unique(state.ordinals[units]).tolist():
            mine = units[state.ordinals[units] == place]
            names = by_code.setdefault(territory_number(state.codes[place]), [])
            names += [n for n in cells_to_text(state.cells[mine]) if n not in set(names)]
    return _with_locks(state, plan_id, numbers, by_code)


def unlocked(
    state: EditState, plan_id: int, codes: list[str], cells: list[str] | None
) -> EditState:
    """Lift locks; what is not locked stays so.

    Raises
    ------
    InvalidInput
        For territories and cells outside of the plan.
    """
    numbers = locked_numbers(state) - {
        territory_number(state.codes[state.place(code, f"/territories/{index}")])
        for index, code in enumerate(codes)
    }
    by_code = _by_code(state)
    if cells is not None:
        units = require_cells(state, cells)
        places = Places(state.cells)
        for number, names in by_code.items():
            left = np.setdiff1d(places.of_cells(names)[0], units)
            by_code[number] = cells_to_text(state.cells[left])
    return _with_locks(state, plan_id, numbers, by_code)


def require_cells(state: EditState, cells: list[str], pointer: str = "/cells") -> Any:
    """Return the places of cells in the plan, rising.

    Raises
    ------
    InvalidInput
        With a fault for each of the first cells that lie outside of the plan.
    """
    try:
        units, missing = Places(state.cells).of_cells(cells)
    except CellError as error:
        fault = Fault(error.code.replace("_", "-"), error.message, pointer)
        raise InvalidInput("What is given is no H3 cell.", [fault]) from error
    if missing:
        faults = [
            Fault("outside", f"{cells[place]} is not in the plan", f"{pointer}/{place}")
            for place in missing[:20]
        ]
        raise InvalidInput(f"{len(missing)} cells lie outside of the plan.", faults)
    return units


def _by_code(state: EditState) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for lock in state.wishes.get("locks") or []:
        found.setdefault(territory_number(lock["territory"]), []).extend(lock["cells"])
    return found


def _with_locks(
    state: EditState, plan_id: int, numbers: set[int], by_code: dict[int, list[str]]
) -> EditState:
    codes = {territory_number(code): code for code in state.codes}
    locks = []
    for number, cells in sorted(by_code.items()):
        code = codes.get(number, territory_code(number, len(codes)))
        if len(cells) > MOST_CELLS:
            detail = f"{code} would have {len(cells)} locked cells, at most {MOST_CELLS}; lock it"
            raise InvalidInput(
                "Too many cells are locked.", [Fault("too-many-cells", detail, "/cells")]
            )
        if cells:
            locks.append({"territory": code, "cells": sorted(cells)})
    own = [codes[number] for number in sorted(numbers) if number in codes]
    closed = {"plan_id": plan_id, "codes": own} if own else None
    return replace(state, wishes={**state.wishes, "locks": locks, "locked_territories": closed})
