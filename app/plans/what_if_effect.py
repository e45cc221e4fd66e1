"""What changes come to on a plan: which territories go, which come, which reps differ."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from app.errors import Fault, InvalidInput
from app.plans.checks import geometry_faults
from app.plans.request import MOST_TERRITORIES, territory_number
from app.plans.what_if_reading import RepFacts, Staff
from app.plans.what_if_request import (
    CustomersChange,
    RepChanges,
    RepJoins,
    RepLeaves,
    RepOnLeave,
    TerritoryAdded,
    TerritoryRemoved,
    WhatIfRequest,
)
from geo.antimeridian import Polygonal
from geo.geojson import polygon_from_geojson

DAYS_OF_YEAR = 365


@dataclass(frozen=True, slots=True)
class Period:
    """Days that a rep is away, both counted."""

    from_: date
    to: date

    @property
    def days(self) -> int:
        """How many they are."""
        return (self.to - self.from_).days + 1

    @property
    def part_of_year(self) -> float:
        """The part of a year's work that is left to others."""
        return min(self.days / DAYS_OF_YEAR, 1.0)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "from": self.from_.isoformat(), "to": self.to.isoformat(), "days": self.days,
            "part_of_year": self.part_of_year,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Removal:
    """A territory, by its ordinal in the plan, that disappears by the change of a number."""

    ordinal: int
    change: int
    pointer: str
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """A territory more, where it is wanted, and the rep it is for."""

    change: int
    pointer: str
    place: tuple[float, float] | None
    rep: RepFacts | None


@dataclass(slots=True)
class Effect:
    """All of it; `reps` are those that are changed, by id, as they would be."""

    removals: list[Removal] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)
    reps: dict[int, RepFacts] = field(default_factory=dict)

    @property
    def removed(self) -> set[int]:
        """The ordinals of the territories that disappear."""
        return {removal.ordinal for removal in self.removals}


def effect_of(request: WhatIfRequest, codes: list[str], n_cells: int, staff: Staff) -> Effect:
    """Return what the changes of a request come to on a plan of these territories.

    Raises
    ------
    InvalidInput
        For reps or territories that are not there, and changes that contradict each other; a fault
        for each points to the field.
    """
    reader = _Reader(codes, staff)
    faults = [fault for i, change in enumerate(request.changes) for fault in reader.read(i, change)]
    effect = reader.effect
    if not faults:
        faults = [
            *_wrong_numbers(effect, len(codes), n_cells),
            *_moved_away(request, effect, codes),
        ]
    if faults:
        count = f"{len(faults)} wrong value" + ("s" if len(faults) != 1 else "")
        raise InvalidInput(f"The changes have {count}.", faults)
    return effect


def areas_of(request: WhatIfRequest) -> dict[int, Polygonal]:
    """Return the areas in which customers change, by the number of the change.

    Raises
    ------
    InvalidInput
        When one is no polygon; the fault points into it.
    """
    given = {
        number: change.area
        for number, change in enumerate(request.changes)
        if isinstance(change, CustomersChange)
    }
    faults = [
        fault
        for number, area in given.items()
        for fault in geometry_faults(polygon_from_geojson, area, f"/changes/{number}/area")
    ]
    if faults:
        raise InvalidInput("An area cannot be used.", faults)
    return {number: polygon_from_geojson(area) for number, area in given.items()}


def no_customers(number: int) -> InvalidInput:
    """Return the refusal of an area in which nothing can change."""
    fault = Fault("empty-area", "no customer of the layer lies in it", f"/changes/{number}/area")
    return InvalidInput("An area holds no customers.", [fault])


class _Reader:
    """Reads one change after the other and remembers of whom they speak."""

    def __init__(self, codes: list[str], staff: Staff) -> None:
        self.effect = Effect()
        self._codes, self._staff = codes, staff
        self._ordinals = {territory_number(code): ordinal for ordinal, code in enumerate(codes)}
        self._spoken_of: dict[int, int] = {}

    def read(self, number: int, change: Any) -> Iterator[Fault]:
        pointer = f"/changes/{number}"
        match change:
            case RepLeaves() | RepOnLeave() | RepChanges():
                yield from self._read_rep(number, pointer, change)
            case TerritoryRemoved():
                ordinal = self._ordinals.get(territory_number(change.territory))
                if ordinal is None:
                    detail = f"the plan has no {change.territory}"
                    yield Fault("unknown", detail, f"{pointer}/territory")
                else:
                    removal = Removal(ordinal, number, f"{pointer}/territory")
                    yield from self._remove(removal)
            case RepJoins():
                self._add_rep(number, pointer, change)
            case TerritoryAdded():
                self.effect.additions.append(Addition(number, pointer, change.near, None))

    def _read_rep(
        self, number: int, pointer: str, change: RepLeaves | RepOnLeave | RepChanges
    ) -> Iterator[Fault]:
        at, rep_id = f"{pointer}/rep_id", change.rep_id
        rep = self._staff.named.get(rep_id)
        if rep is None:
            yield Fault("unknown", f"there is no rep {rep_id}", at)
            return
        earlier = self._spoken_of.setdefault(rep_id, number)
        if earlier != number:
            detail = f"of rep {rep_id} change {earlier} says something else already"
            yield Fault("contradiction", detail, at)
            return
        owners = enumerate(self._staff.owners)
        own = [ordinal for ordinal, owner in owners if owner is not None and owner.id == rep_id]
        if not own:
            yield Fault("no-territory", f"rep {rep_id} has no territory of this plan now", at)
            return
        if isinstance(change, RepChanges):
            capacity = change.capacity_minutes or rep.capacity_minutes
            changed = replace(rep, capacity_minutes=capacity, home=change.home or rep.home)
            self.effect.reps[rep_id] = changed
            return
        period = None
        if isinstance(change, RepOnLeave):
            period = Period(change.from_, change.to)
            if change.from_ > change.to:
                detail = f"{change.to} is before {change.from_}"
                yield Fault("contradiction", detail, f"{pointer}/to")
                return
        for ordinal in own:
            yield from self._remove(Removal(ordinal, number, at, period))

    def _remove(self, removal: Removal) -> Iterator[Fault]:
        earlier = [r.change for r in self.effect.removals if r.ordinal == removal.ordinal]
        if earlier:
            detail = f"{self._codes[removal.ordinal]} disappears by change {earlier[0]} already"
            yield Fault("contradiction", detail, removal.pointer)
        else:
            self.effect.removals.append(removal)

    def _add_rep(self, number: int, pointer: str, change: RepJoins) -> None:
        capacity = change.capacity_minutes or self._staff.median_minutes
        rep = RepFacts(None, change.name or "New rep", capacity, change.home)
        self.effect.additions.append(Addition(number, pointer, change.home, rep))


def _wrong_numbers(effect: Effect, n_territories: int, n_cells: int) -> Iterator[Fault]:
    """Territories that would be too few or too many."""
    left = n_territories - len(effect.removed)
    if left < 1:
        last = effect.removals[-1]
        yield Fault("nothing-left", "no territory of the plan would be left", last.pointer)
    most = min(MOST_TERRITORIES, n_cells)
    if left + len(effect.additions) > most:
        detail = f"at most {most} territories can be made of {n_cells} cells"
        yield Fault("too-many-territories", detail, effect.additions[-1].pointer)


def _moved_away(request: WhatIfRequest, effect: Effect, codes: list[str]) -> Iterator[Fault]:
    """What is said of territories that disappear."""
    gone = {territory_number(codes[ordinal]) for ordinal in effect.removed}
    for name in ("protect", "prefer_to_keep"):
        for index, code in enumerate(getattr(request.rebalance, name).territories):
            if territory_number(code) in gone:
                pointer = f"/rebalance/{name}/territories/{index}"
                yield Fault("contradiction", f"{code} disappears: nothing of it can stay", pointer)
