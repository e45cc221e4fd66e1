"""Moves, merges and splits, as functions from one state of a draft to the next."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.db.alignment import Ordinals
from app.errors import Conflict, Fault, InvalidInput
from app.plans.edit_ground import Ground
from app.plans.edit_locks import require_cells
from app.plans.edit_state import EditState, Member, next_codes, renumbered, without_members
from app.plans.places import Places
from app.plans.request import territory_number

FREE = -1


def moved(state: EditState, moves: Sequence[tuple[list[str], str]]) -> EditState:
    """Give cells to territories; one named twice goes where it is named last.

    Raises
    ------
    InvalidInput
        For cells outside of the plan, and territories that are not there.
    """
    ordinals = state.ordinals.copy()
    for index, (cells, code) in enumerate(moves):
        place = state.place(code, f"/moves/{index}/to")
        ordinals[require_cells(state, cells, f"/moves/{index}/cells")] = place
    return replace(state, ordinals=ordinals)


def merged(state: EditState, ground: Ground, codes: list[str], into: str) -> EditState:
    """Make one territory of several that touch; the others keep their codes.

    Raises
    ------
    InvalidInput
        For territories that are not there, and fewer than two.
    Conflict
        When they do not touch.
    """
    places = {state.place(code, f"/territories/{i}") for i, code in enumerate(codes)}
    target = state.place(into, "/into")
    if target not in places:
        fault = Fault("not-among", f"{into} is not one of the territories", "/into")
        raise InvalidInput("A merged territory has the code of one of its parts.", [fault])
    if len(places) < 2:
        fault = Fault("too-few", "name two territories or more", "/territories")
        raise InvalidInput("One territory alone cannot be merged.", [fault])
    units = np.flatnonzero(np.isin(state.ordinals, list(places))).astype(np.int32)
    labels = ground.pieces(units)
    if labels.max() > 0:
        groups = [
            sorted({state.codes[place] for place in state.ordinals[units[labels == label]]})
            for label in range(labels.max() + 1)
        ]
        apart = "; ".join(", ".join(group) for group in groups)
        fault = Fault("not-touching", f"apart: {apart}", "/territories")
        raise Conflict("The territories do not touch.", [fault])
    parts = [state.members[place].share for place in places]
    share = {name: sum(part[name] for part in parts) for name in parts[0]}
    members = list(state.members)
    members[target] = replace(members[target], share=share)
    joined = without_members(replace(state, members=tuple(members)), places - {target}, target)
    return renumbered(state, joined)


def split(
    state: EditState,
    code: str,
    labels: Ordinals,
    label_point: tuple[float, float],
    taken: set[str],
) -> EditState:
    """Divide a territory; the part with its label point keeps the code.

    Parameters
    ----------
    labels
        (n_cells,) the part of each of the territory's cells; locked ones are in the first.
    taken
        Codes that are not to be given to new ground.
    """
    place = state.place(code, "/territory")
    units = state.units(place)
    parts = int(labels.max()) + 1
    codes = next_codes({*taken, *state.codes}, parts - 1, "/parts")
    is_bound = bound_units(state, place, units).any()
    keeping = 0 if is_bound else _keeping(state, units, labels, label_point)
    numbers = np.empty(parts, dtype=np.int32)
    others = [label for label in range(parts) if label != keeping]
    numbers[keeping] = place
    numbers[others] = len(state.members) + np.arange(parts - 1, dtype=np.int32)
    ordinals = state.ordinals.copy()
    ordinals[units] = numbers[labels]
    old = state.members[place]
    share = {name: part / parts for name, part in old.share.items()}
    members = list(state.members)
    members[place] = replace(old, share=share)
    members += [Member(new, f"Territory {new[1:]}", share) for new in codes]
    return renumbered(state, replace(state, ordinals=ordinals, members=tuple(members)))


def bound_units(state: EditState, place: int, units: Ordinals) -> NDArray[np.bool_]:
    """(n,) which units of a territory are locked to it."""
    bound = [
        Places(state.cells).of_cells(lock["cells"])[0]
        for lock in state.wishes.get("locks") or []
        if territory_number(lock["territory"]) == territory_number(state.codes[place])
    ]
    return np.isin(units, np.concatenate([np.empty(0, dtype=np.int32), *bound]))


def _keeping(
    state: EditState, units: Ordinals, labels: Ordinals, label_point: tuple[float, float]
) -> int:
    """Return the part that holds a point; beyond the rim of the cells it is the largest."""
    unit = Places(state.cells).of_point(*label_point)
    found = np.flatnonzero(units == (FREE if unit is None else unit))
    return int(labels[found[0]]) if found.size else int(np.argmax(np.bincount(labels)))
