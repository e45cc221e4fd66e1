"""A draft as edits see it: whose each cell is, and what is wished of the territories."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.db.alignment import Cells, Ordinals
from app.errors import Fault, InvalidInput
from app.plans.request import MOST_TERRITORIES, territory_number

# Members of a plan's parameters that edits change; what undoes an edit brings them back.
WISHES = (
    "n_territories", "capacity_minutes", "shares", "rep_ids", "homes", "lock_homes", "centres",
    "locks", "locked_territories",
)  # fmt: skip
# Shares that differ by less are equal; they are quotients of sums.
SAME_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Member:
    """A territory: the part of each measure it is to have, and the rep it was designed for."""

    code: str
    name: str
    share: dict[str, float]
    rep_id: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it as it is stored with an edit."""
        return {"code": self.code, "name": self.name, "share": self.share, "rep_id": self.rep_id}


@dataclass(frozen=True)
class EditState:
    """Sorted cells (n,), the place in `members` of the territory of each, and the wishes."""

    cells: Cells
    ordinals: Ordinals
    members: tuple[Member, ...]
    wishes: dict[str, Any]

    @property
    def codes(self) -> list[str]:
        """The codes of the territories, in their order."""
        return [member.code for member in self.members]

    def place(self, code: str, pointer: str) -> int:
        """Return the place of the territory with a code; T1, T01 and T001 are the same.

        Raises
        ------
        InvalidInput
            When there is none; the fault points to the field.
        """
        numbers = [territory_number(known) for known in self.codes]
        if territory_number(code) not in numbers:
            fault = Fault("unknown", f"the plan has no {code}", pointer)
            raise InvalidInput("A territory is not in the plan.", [fault])
        return numbers.index(territory_number(code))

    def units(self, place: int) -> Ordinals:
        """Return the cells of a territory, by their places, rising."""
        return np.flatnonzero(self.ordinals == place).astype(np.int32)


def changed_codes(before: EditState, after: EditState) -> list[str]:
    """Return the codes of territories that gained or lost cells, came or went, sorted."""
    one = np.array(before.codes, dtype=object)[before.ordinals]
    other = np.array(after.codes, dtype=object)[after.ordinals]
    moved = one != other
    gone = set(before.codes) ^ set(after.codes)
    return sorted({*one[moved].tolist(), *other[moved].tolist(), *gone})


def without_members(state: EditState, gone: Iterable[int], into: int) -> EditState:
    """Give the cells of some territories to another; the rest keep order and codes."""
    gone = set(gone)
    kept = [place for place in range(len(state.members)) if place not in gone]
    new_place = np.full(len(state.members), kept.index(into), dtype=np.int32)
    new_place[kept] = np.arange(len(kept), dtype=np.int32)
    members = tuple(state.members[place] for place in kept)
    return replace(state, ordinals=new_place[state.ordinals], members=members)


def locked_numbers(state: EditState) -> set[int]:
    """Return the numbers of the territories that are locked as they are."""
    locked = state.wishes.get("locked_territories") or {"codes": []}
    return {territory_number(code) for code in locked["codes"]}


def renumbered(before: EditState, after: EditState) -> EditState:
    """Return a state with another number of territories than before, and wishes that say so.

    Where all territories were to be equal they still are, each with its part of the new number;
    locked ones keep theirs. Other shares stay as they are given.
    """
    locked = locked_numbers(before)
    members = after.members
    if _are_equal(before, locked):
        members = _evened(members, locked)
    after = replace(after, members=members)
    wishes = {
        **after.wishes,
        "n_territories": len(members),
        "capacity_minutes": None,
        "shares": None,
        "rep_ids": None,
        "homes": "ignore",
        "lock_homes": False,
        "centres": [
            wish
            for wish in after.wishes.get("centres") or []
            if territory_number(wish["territory"]) in {territory_number(c) for c in after.codes}
        ],
    }
    if not _are_equal(after, locked):
        share = [member.share["work_minutes"] for member in members]
        wishes["shares"] = [part / sum(share) for part in share] if min(share) > 0 else None
    return replace(after, wishes=wishes)


def _are_equal(state: EditState, locked: set[int]) -> bool:
    shares = [m.share for m in state.members if territory_number(m.code) not in locked]
    return all(
        abs(share[name] - shares[0][name]) <= SAME_SHARE for share in shares for name in share
    )


def _evened(members: tuple[Member, ...], locked: set[int]) -> tuple[Member, ...]:
    is_open = [territory_number(member.code) not in locked for member in members]
    n_open = sum(is_open)
    names = members[0].share
    left = {
        name: 1 - sum(m.share[name] for m, free in zip(members, is_open, strict=True) if not free)
        for name in names
    }
    return tuple(
        replace(member, share={name: left[name] / n_open for name in names}) if free else member
        for member, free in zip(members, is_open, strict=True)
    )


def next_codes(taken: Iterable[str], n: int, pointer: str) -> list[str]:
    """Return `n` codes above all those taken: a code is never given to other ground.

    Raises
    ------
    InvalidInput
        When there would be more territories than there can be.
    """
    known = list(taken)
    highest = max(territory_number(code) for code in known) + 1
    width = max(len(code) - 1 for code in known)
    if highest + n > MOST_TERRITORIES:
        detail = f"the codes end at {MOST_TERRITORIES}"
        fault = Fault("too-many-territories", detail, pointer)
        raise InvalidInput("There would be too many territories.", [fault])
    return [f"T{highest + step + 1:0{width}d}" for step in range(n)]
