"""Moves, merges and splits, as functions from one state of a draft to the next."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from app.db.alignment import Ordinals
from app.errors import Conflict, Fault, InvalidInput
from app.plans.edit_ground import Ground
from app.plans.edit_locks import require_cells
from app.plans.edit_state import EditState, Member, next_codes, renumbered, without_members
from app.plans.places import Places
from app.plans.request import MEASURES, territory_number
from balancing import Instance, Parameters, Requirements, design
from geo.cells import points_from_cells
from geo.projection import local_equal_area

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
    ground: Ground,
    activity: Any,
    parameters: dict[str, Any],
    code: str,
    parts: int,
    label_point: tuple[float, float],
    taken: set[str],
) -> EditState:
    """Divide a territory evenly; the part with its label point keeps the code.

    Parameters
    ----------
    activity
        (n_units, 4) of the plan's cells, in the order of `MEASURES`.
    parameters
        The plan's, for tolerances, weights, objective and seed.
    taken
        Codes that are not to be given to new ground.

    Raises
    ------
    InvalidInput
        For a territory that is not there, and more parts than cells.
    """
    place = state.place(code, "/territory")
    units = state.units(place)
    if parts > len(units):
        detail = f"{parts} parts of {len(units)} cells"
        fault = Fault("more-parts-than-cells", detail, "/parts")
        raise InvalidInput(f"{code} cannot be split into so many parts.", [fault])
    codes = next_codes({*taken, *state.codes}, parts - 1, "/parts")
    bound = _bound_units(state, place, units)
    labels = _divided(state, ground, activity, parameters, units, parts, bound)
    keeping = 0 if bound.any() else _keeping(state, units, labels, label_point)
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


def _bound_units(state: EditState, place: int, units: Ordinals) -> Any:
    """(n,) which units of a territory are locked to it."""
    bound = [
        Places(state.cells).of_cells(lock["cells"])[0]
        for lock in state.wishes.get("locks") or []
        if territory_number(lock["territory"]) == territory_number(state.codes[place])
    ]
    return np.isin(units, np.concatenate([np.empty(0, dtype=np.int32), *bound]))


def _divided(
    state: EditState,
    ground: Ground,
    activity: Any,
    parameters: dict[str, Any],
    units: Ordinals,
    parts: int,
    bound: Any,
) -> Ordinals:
    """Return the part of each unit, (n,); locked ones are in the first."""
    tolerances = {n: t for n, t in parameters["tolerances"].items() if t is not None}
    weights = parameters.get("weights") or {}
    own = activity[units]
    if not own[:, 0].any():
        # Nobody works there: the parts are even in ground.
        own = np.ones_like(own)
    names = [name for name in MEASURES if name in tolerances]
    x_m, y_m = local_equal_area(*points_from_cells(state.cells[units]))
    instance = Instance(
        ground.graph.restricted_to(units), x_m, y_m,
        np.ascontiguousarray(own[:, [MEASURES.index(name) for name in names]]), tuple(names),
    )  # fmt: skip
    locks = np.where(bound, 0, FREE).astype(np.int32)
    wanted = Parameters(
        n_territories=parts,
        tolerances=tuple(tolerances[name] for name in names),
        weights=tuple(weights.get(name, 1.0) for name in names),
        objective=parameters.get("objective", "moment_of_inertia"),
        requirements=Requirements(locks=locks if bound.any() else None),
    )
    return design(instance, wanted, int(parameters.get("seed", 1))).alignment


def _keeping(
    state: EditState, units: Ordinals, labels: Ordinals, label_point: tuple[float, float]
) -> int:
    """Return the part that holds a point; beyond the rim of the cells it is the largest."""
    unit = Places(state.cells).of_point(*label_point)
    found = np.flatnonzero(units == (FREE if unit is None else unit))
    return int(labels[found[0]]) if found.size else int(np.argmax(np.bincount(labels)))
