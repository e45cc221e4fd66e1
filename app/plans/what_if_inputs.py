"""From how things are and a what-if to what the solver is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.errors import InvalidInput
from app.plans.rebalance_reading import Sharing, design_document
from app.plans.request import MEASURES, territory_code, territory_number
from app.plans.what_if_effect import Addition, Effect, areas_of, effect_of, no_customers
from app.plans.what_if_reading import Named, RepFacts, Standing
from app.plans.what_if_request import CustomersChange, WhatIfRequest
from app.plans.wishes import HOME_PULL
from geo.cells import CUSTOMER_RESOLUTION, cell_from_point, cells_to_text
from geo.membership import units_of
from geo.region import are_inside

Floats = NDArray[np.float64]
Cells = NDArray[np.uint64]

WORK = MEASURES.index("work_minutes")
GONE = -1


@dataclass(frozen=True, slots=True)
class Side:
    """A plan before or after the changes, by ordinal, and the request it is of."""

    codes: list[str]
    names: list[str]
    colours: list[int]
    reps: list[RepFacts | None]
    document: dict[str, Any]
    named: Floats

    def facts(self) -> dict[str, Any]:
        """Return what the child must know."""
        return {
            "codes": self.codes,
            "names": self.names,
            "colours": self.colours,
            "reps": [None if rep is None else rep.document() for rep in self.reps],
            "document": self.document,
            "named": self.named.tolist(),
        }


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the child is given.

    `successors` (k before,) is the ordinal after of each territory before, `GONE` of those that
    disappear; `activity` (n, 4) and `named_activity` are as the changes leave them.
    """

    standing: Standing
    request: WhatIfRequest
    effect: Effect
    before: Side
    after: Side
    successors: list[int]
    activity: Floats
    named_activity: Floats

    def write(self, folder: Path) -> None:
        """Write what the child reads."""
        standing, named = self.standing, self.standing.named
        known = standing.known
        np.save(folder / "cells12.npy", standing.movable.cells12)
        np.save(folder / "activity.npy", standing.movable.activity)
        np.save(folder / "changed.npy", self.activity)
        np.savez(folder / "plan.npz", cells=known.cells, ordinals=known.ordinals)
        np.savez(
            folder / "named.npz", cells12=named.cells12, ordinals=named.ordinals,
            before=named.activity, after=self.named_activity,
        )  # fmt: skip
        arrays: dict[str, Any] = standing.chosen.arrays()
        np.savez_compressed(folder / "chosen.npz", **arrays)
        document = {
            "request": self.request.rebalance.model_dump(mode="json"),
            "before": self.before.facts(),
            "after": self.after.facts(),
            "successors": self.successors,
            "removals": [
                {
                    "ordinal": removal.ordinal,
                    "change": removal.change,
                    "pointer": removal.pointer,
                    "period": removal.period and removal.period.document(),
                }
                for removal in self.effect.removals
            ],
            "additions": [
                {
                    "ordinal": len(self.after.codes) - len(self.effect.additions) + number,
                    "change": addition.change,
                    "pointer": addition.pointer,
                    "place": addition.place,
                    "replaces": addition.rep is not None,
                }
                for number, addition in enumerate(self.effect.additions)
            ],
            "seed": standing.seed,
        }
        (folder / "what_if.json").write_bytes(orjson.dumps(document))


def make_inputs(standing: Standing, request: WhatIfRequest) -> Inputs:
    """Return what the child is given.

    Raises
    ------
    InvalidInput
        For changes that cannot be, an area without customers, or when no work would be left.
    """
    known, staff = standing.known, standing.staff
    effect = effect_of(request, known.codes, len(known.cells), staff)
    activity, named_activity = _changed(standing, request, effect)
    kept = [n for n in range(len(known.codes)) if n not in effect.removed]
    codes = [known.codes[n] for n in kept] + _new_codes(known.codes, len(effect.additions))
    successors = [kept.index(n) if n in kept else GONE for n in range(len(known.codes))]
    reps = _reps_after(standing, effect, kept)
    named = standing.named
    moved_named = np.array([*successors, GONE], dtype=np.int32)[named.ordinals]
    sums_after = Named(named.cells12, moved_named, named_activity).by_territory(len(codes))
    before = Side(
        codes=known.codes,
        names=known.names,
        colours=known.colours,
        reps=list(staff.owners),
        document=_document(
            standing, known.codes, standing.sharing.shares, list(staff.planned),
            named.by_territory(len(known.codes)), standing.movable.activity,
        ),
        named=named.by_territory(len(known.codes)),
    )  # fmt: skip
    after = Side(
        codes=codes,
        names=[known.names[n] for n in kept]
        + [
            addition.rep.name if addition.rep else f"Territory {code[1:]}"
            for addition, code in zip(effect.additions, codes[len(kept) :], strict=True)
        ],
        colours=[known.colours[n] for n in kept] + [0] * len(effect.additions),
        reps=reps,
        document=_document(
            standing, codes, _shares_after(standing, effect, kept),
            _planned_after(standing, effect, kept), sums_after, activity,
        ),
        named=sums_after,
    )  # fmt: skip
    return Inputs(
        standing, request, effect, before, after, successors, activity, named_activity
    )  # fmt: skip


def _changed(standing: Standing, request: WhatIfRequest, effect: Effect) -> tuple[Floats, Floats]:
    """(n, 4) activity of customers and of named accounts after the changes."""
    movable, named = standing.movable, standing.named
    activity, named_activity = movable.activity.copy(), named.activity.copy()
    for number, area in areas_of(request).items():
        change = request.changes[number]
        assert isinstance(change, CustomersChange)
        is_inside, is_named_inside = (
            are_inside(area, movable.cells12),
            are_inside(area, named.cells12),
        )
        if not is_inside.any() and not is_named_inside.any():
            raise no_customers(number)
        activity[is_inside] *= change.factor
        named_activity[is_named_inside] *= change.factor
    unit = units_of(movable.cells12, standing.known.cells)
    owner = np.where(unit >= 0, standing.known.ordinals[unit], GONE)
    for removal in effect.removals:
        if removal.period is not None:
            activity[owner == removal.ordinal, WORK] *= removal.period.part_of_year
    if activity[owner != GONE, WORK].sum() <= 0:
        raise InvalidInput("No customers with work would be left to balance.")
    return activity, named_activity


def _new_codes(codes: list[str], n_new: int) -> list[str]:
    """Return codes of territories that are added: the numbers after the highest there is."""
    highest = max(map(territory_number, codes))
    width = max(len(code) for code in codes) - 1
    return [f"T{highest + number + 2:0{width}d}" for number in range(n_new)]


def _reps_after(standing: Standing, effect: Effect, kept: list[int]) -> list[RepFacts | None]:
    owners = [standing.staff.owners[n] for n in kept]
    changed = [owner and effect.reps.get(owner.id or 0, owner) for owner in owners]
    return [*changed, *(addition.rep for addition in effect.additions)]


def _shares_after(standing: Standing, effect: Effect, kept: list[int]) -> Floats:
    """(k after,) wanted parts, to be scaled: of a changed rep by the ratio of the capacities."""
    staff, shares = standing.staff, standing.sharing.shares.copy()
    for ordinal, owner in enumerate(staff.owners):
        if owner is not None and owner.id in effect.reps:
            shares[ordinal] *= _ratio(effect.reps[owner.id], owner.capacity_minutes)
    middle = float(np.median(standing.sharing.shares))

    def added(addition: Addition) -> float:
        return middle * _ratio(addition.rep, staff.median_minutes)

    return np.concatenate([shares[kept], [added(addition) for addition in effect.additions]])


def _ratio(rep: RepFacts | None, usual_minutes: float | None) -> float:
    """Return a rep's capacity in parts of a usual one, 1 where either is not known."""
    if rep is None or rep.capacity_minutes is None or not usual_minutes:
        return 1.0
    return rep.capacity_minutes / usual_minutes


def _planned_after(standing: Standing, effect: Effect, kept: list[int]) -> list[RepFacts | None]:
    """Return the reps that homes are to be drawn to."""
    planned = standing.staff.planned
    if not planned:
        return []
    own = [effect.reps.get(planned[n].id or 0, planned[n]) for n in kept]
    return [*own, *(addition.rep for addition in effect.additions)]


def _document(
    standing: Standing,
    codes: list[str],
    shares: Floats,
    planned: list[Any],
    named: Floats,
    activity: Floats,
) -> dict[str, Any]:
    """Return a request for territories of these shares, with what was found for it beside."""
    total = float(activity[:, WORK].sum() + named[:, WORK].sum())
    sharing = Sharing(shares / shares.sum(), has_reps=False)
    parameters = standing.parameters
    document = design_document(parameters, codes, sharing, named[:, WORK], total)
    place = {territory_number(code): ordinal for ordinal, code in enumerate(codes)}
    _add_homes(document, parameters, planned)
    locked = parameters.get("locked_territories")
    if locked is not None:
        numbers = [place.get(territory_number(code), GONE) for code in locked["codes"]]
        left = [territory_code(n, len(codes)) for n in numbers if n != GONE]
        document["locked_territories"] = {**locked, "codes": left} if left else None
    return {**document, "resolved": {"reps": [], "locked": _relocked(standing.locked, place)}}


def _add_homes(document: dict[str, Any], parameters: dict[str, Any], planned: list[Any]) -> None:
    """Have the homes of reps as centres and locks: the request names no reps any more."""
    homes = {n: rep.home for n, rep in enumerate(planned) if rep is not None and rep.home}
    codes = {n: territory_code(n, len(planned)) for n in homes}
    has_centre = {territory_number(wish["territory"]) for wish in document["centres"]}
    if parameters.get("homes", "ignore") != "ignore":
        pull = HOME_PULL if parameters["homes"] == "preferred" else 1.0
        document["centres"] = document["centres"] + [
            {"territory": codes[n], "lon": lon, "lat": lat, "pull": pull}
            for n, (lon, lat) in homes.items()
            if n not in has_centre
        ]
    if parameters.get("lock_homes"):
        document["locks"] = document["locks"] + [
            {"territory": codes[n], "cells": _cell_of(lon, lat)} for n, (lon, lat) in homes.items()
        ]


def _cell_of(lon: float, lat: float) -> list[str]:
    cell = cell_from_point(lon, lat, CUSTOMER_RESOLUTION)
    return cells_to_text(np.array([cell], dtype=np.uint64))


def _relocked(locked: dict[str, Any], place: dict[int, int]) -> dict[str, Any]:
    """Return the cells of locked territories that are left, by the numbers these have now."""
    pairs = [
        (cell, place[number])
        for cell, number in zip(locked["cells"], locked["territories"], strict=True)
        if number in place
    ]
    return {"cells": [cell for cell, _ in pairs], "territories": [number for _, number in pairs]}
