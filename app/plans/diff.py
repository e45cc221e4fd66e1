"""What changes hands between two plans: cells, customers, work, revenue, by territory and rep.

The ground of both plans is cut into cells that lie in one cell of each, or in none. Customers are
counted where they are, with the work they have today; a named account counts for the territory that
its account names, and moves only where the other plan has no such territory.
"""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import mapping
from sqlalchemy import BigInteger, Double, Integer, and_, cast, func, select, true
from sqlalchemy.orm import aliased

from app.db.alignment import Cells
from app.db.membership import layer_accepts
from app.db.prepared import Prepared, left_open, written
from app.db.scope import Scope
from app.db.session import AnySession, rows
from app.db.spatial import open_spans
from app.db.tables import Customer, CustomerOverride, Layer, Plan, Rep, Territory, TerritoryOwner
from app.errors import Fault, InvalidInput, NotFound
from app.plans.diff_schemas import Amounts, DiffSide, Move, Moved, PlanDiff, RepChange
from app.plans.repository import load_alignment
from app.plans.schemas import RepRef
from geo.cell_ids import joined_ranges
from geo.cell_sets import owners_of, refined
from geo.cells import cells_to_text, descendant_range
from geo.outlines import territory_outlines

NOWHERE = DiffSide(code=None, rep=None)
MEASURES = ("customers", "work_minutes", "potential", "revenue")
# Of minutes and money; what is beyond them stems from the order of summing.
DECIMALS = 2
# Ground that keeps its territory is counted as a whole.
UNMOVED = -1

Floats = NDArray[np.float64]
Pair = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class MovedCells:
    """Cells (n,) that change hands, with their codes before and after, and sums (n, 4) of each."""

    cells: Cells
    before: list[str | None]
    after: list[str | None]
    sums: Floats


@dataclass(frozen=True, slots=True)
class Difference:
    """All of it: see `PlanDiff`."""

    view: PlanDiff
    cells: MovedCells


@dataclass(frozen=True, slots=True)
class _Side:
    cells: Cells
    codes: list[str | None]
    """The code of each cell, and one more for ground of none."""
    reps: dict[str, RepRef | None]


async def compare(
    session: AnySession, scope: Scope, from_plan_id: int, to_plan_id: int
) -> Difference:
    """Return what changes hands when one plan follows another.

    Raises
    ------
    NotFound
        When a plan does not exist or is out of scope: a limited caller sees none of it, for it
        tells of territories of others.
    InvalidInput
        When the plans are of different layers.
    """
    layers = [await _layer_of(session, scope, number) for number in (from_plan_id, to_plan_id)]
    if layers[0] != layers[1]:
        detail = f"plan {from_plan_id} is of layer {layers[0]}, plan {to_plan_id} of {layers[1]}"
        fault = Fault("other-layer", detail, "/path/other_id")
        raise InvalidInput("Plans of two layers cannot be compared.", [fault])
    old = await _side(session, from_plan_id)
    new = await _side(session, to_plan_id)
    cells, before, after = await asyncio.to_thread(_shared_ground, old, new)
    owners_before = np.array(old.codes, dtype=object)[before]
    owners_after = np.array(new.codes, dtype=object)[after]
    is_moved = owners_before != owners_after
    moved = cells[is_moved]
    spans = await asyncio.to_thread(_spans, moved, cells[~is_moved])
    found = await rows(session, _sums_of_cells(), layer_id=layers[0], **spans)
    sums, total = np.zeros((len(moved), 4)), np.zeros(4)
    for nth, *amounts in found:
        total += amounts
        if nth != UNMOVED:
            sums[nth] = amounts
    held = MovedCells(
        moved, owners_before[is_moved].tolist(), owners_after[is_moved].tolist(), sums
    )
    named = await rows(session, _sums_of_named(), layer_id=layers[0])
    view = _view((from_plan_id, to_plan_id), layers[0], old, new, held, total, named)
    return Difference(view.model_copy(update={"n_cells": len(cells)}), held)


def as_features(difference: Difference) -> dict[str, Any]:
    """Return each move as a GeoJSON feature: the ground that goes from one territory to another.

    Moves of customers without ground, of named accounts, have a null geometry.
    """
    held = difference.cells
    pairs = list(zip(held.before, held.after, strict=True))
    numbers = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    labels = np.array([numbers[pair] for pair in pairs], dtype=np.int64)
    outlines = territory_outlines(held.cells, labels) if pairs else []
    features = []
    for move in difference.view.moves:
        number = numbers.get((move.from_.code, move.to.code))
        features.append(
            {
                "type": "Feature",
                "geometry": None if number is None else mapping(outlines[number]),
                "properties": _flat(move),
            }
        )
    return {"type": "FeatureCollection", "features": features}


def _flat(move: Move) -> dict[str, Any]:
    """Return a move without members in members, which a GIS would show as text."""
    return {
        "from": move.from_.code,
        "from_rep": move.from_.rep and move.from_.rep.name,
        "to": move.to.code,
        "to_rep": move.to.rep and move.to.rep.name,
        **move.model_dump(include={"n_cells", *MEASURES}),
    }


def as_table(difference: Difference) -> list[tuple[Any, ...]]:
    """Return a row for each cell that changes hands, after one with the names of the columns."""
    held = difference.cells
    names = cells_to_text(held.cells)
    lines: list[tuple[Any, ...]] = [("cell", "from", "to", *MEASURES)]
    for name, before, after, sums in zip(
        names, held.before, held.after, held.sums.tolist(), strict=True
    ):
        lines.append(
            (name, before, after, int(sums[0]), *(round(value, DECIMALS) for value in sums[1:]))
        )
    return lines


async def _layer_of(session: AnySession, scope: Scope, plan_id: int) -> int:
    layer_id = None
    if scope.is_unlimited:
        layer_id = await session.scalar(select(Plan.layer_id).where(Plan.id == plan_id))
    if layer_id is None:
        raise NotFound(f"There is no plan {plan_id}.")
    return layer_id


async def _side(session: AnySession, plan_id: int) -> _Side:
    cells, ordinals = await load_alignment(session, plan_id)
    owned_now = and_(
        TerritoryOwner.territory_id == Territory.id, TerritoryOwner.during.contains(func.now())
    )
    found = await session.execute(
        select(Territory.ordinal, Territory.code, Rep.id, Rep.name)
        .outerjoin(TerritoryOwner, owned_now)
        .outerjoin(Rep, Rep.id == TerritoryOwner.rep_id)
        .where(Territory.plan_id == plan_id)
    )
    codes: dict[int, str] = {}
    reps: dict[str, RepRef | None] = {}
    for ordinal, code, rep_id, name in found:
        codes[ordinal] = code
        reps[code] = None if rep_id is None else RepRef(id=rep_id, name=name)
    return _Side(cells, [*(codes[ordinal] for ordinal in ordinals.tolist()), None], reps)


def _shared_ground(old: _Side, new: _Side) -> tuple[Cells, Any, Any]:
    """Return cells (n,) of one territory of each plan, and its index among the cells of each.

    That of no cell is -1, which is also that of the code of none.
    """
    mine, theirs = refined(old.cells, new.cells), refined(new.cells, old.cells)
    added = theirs[owners_of(old.cells, theirs) < 0]
    cells = np.sort(np.concatenate([mine, added]))
    return cells, owners_of(old.cells, cells), owners_of(new.cells, cells)


def _spans(moved: Cells, unmoved: Cells) -> dict[str, str]:
    first, last = descendant_range(moved)
    whole_first, whole_last = joined_ranges(unmoved)
    nth = np.concatenate([np.arange(len(moved)), np.full(len(whole_first), UNMOVED)])
    return {
        "first": written(np.concatenate([first, whole_first])),
        "last": written(np.concatenate([last, whole_last])),
        "nth": written(nth),
    }


def _amounts(customer: Any) -> list[Any]:
    return [
        func.count().label("customers"),
        func.coalesce(func.sum(customer.work_minutes), 0.0).label("work_minutes"),
        func.coalesce(func.sum(customer.potential), 0.0).label("potential"),
        func.coalesce(func.sum(customer.revenue), 0.0).label("revenue"),
    ]


@lru_cache(maxsize=1)
def _sums_of_cells() -> Prepared:
    """Return the statement for sums of customers by cell, without named accounts."""
    span = open_spans(nth=Integer)
    layer_id = left_open("layer_id", BigInteger())
    everyone = aliased(Customer)
    # They are few, and known before any customer is read.
    named = select(CustomerOverride.customer_id).where(
        CustomerOverride.layer_id == layer_id, CustomerOverride.during.contains(func.now())
    )
    columns: list[Any] = _amounts(everyone)
    accepted = select(Layer.customer_filter).where(Layer.id == layer_id).scalar_subquery()
    here = (
        select(*columns)
        .where(
            everyone.cell.between(span.c.first, span.c.last),
            layer_accepts(accepted, everyone),
            everyone.id.not_in(named),
        )
        # OFFSET keeps the planner from reading all customers once instead of a range per cell.
        .offset(0)
        .correlate(span)
        .lateral()
    )
    sums: list[Any] = [cast(func.sum(here.c[name]), Double) for name in MEASURES]
    return Prepared(
        select(span.c.nth, *sums)
        .join_from(span, here, true())
        .where(here.c.customers > 0)
        .group_by(span.c.nth)
    )


@lru_cache(maxsize=1)
def _sums_of_named() -> Prepared:
    """Return the statement for sums of named accounts by the code of their territory."""
    code = CustomerOverride.territory_code
    columns: list[Any] = [code, *_amounts(Customer)]
    return Prepared(
        select(*columns)
        .join(Customer, Customer.id == CustomerOverride.customer_id)
        .join(Layer, Layer.id == CustomerOverride.layer_id)
        .where(
            CustomerOverride.layer_id == left_open("layer_id", BigInteger()),
            CustomerOverride.during.contains(func.now()),
            layer_accepts(Layer.customer_filter),
        )
        .group_by(code)
    )


def _view(
    plan_ids: tuple[int, int],
    layer_id: int,
    old: _Side,
    new: _Side,
    held: MovedCells,
    total: Floats,
    named: Any,
) -> PlanDiff:
    by_pair: dict[Pair, Floats] = {}
    n_cells: dict[Pair, int] = {}
    for before, after, sums in zip(held.before, held.after, held.sums, strict=True):
        by_pair[before, after] = by_pair.get((before, after), np.zeros(4)) + sums
        n_cells[before, after] = n_cells.get((before, after), 0) + 1
    for code, *amounts in named:
        pair = code if code in old.reps else None, code if code in new.reps else None
        if pair != (None, None):
            total = total + np.array(amounts)
        if pair[0] != pair[1]:
            by_pair[pair] = by_pair.get(pair, np.zeros(4)) + np.array(amounts)
    ordered = sorted(by_pair, key=lambda pair: (-by_pair[pair][1], str(pair)))
    moves = [
        Move(
            n_cells=n_cells.get(pair, 0),
            from_=_territory(pair[0], old, new),
            to=_territory(pair[1], new, old),
            **_named_amounts(by_pair[pair]),
        )
        for pair in ordered
    ]
    moved = sum(by_pair.values(), np.zeros(4))
    shares = {
        name: Moved(
            moved=round(part, DECIMALS),
            total=round(whole, DECIMALS),
            share=part / whole if whole else 0.0,
        )
        for name, part, whole in zip(MEASURES, moved.tolist(), total.tolist(), strict=True)
    }
    return PlanDiff(
        from_plan_id=plan_ids[0],
        to_plan_id=plan_ids[1],
        layer_id=layer_id,
        n_cells_moved=len(held.cells),
        n_cells=0,
        moves=moves,
        reps=_by_rep(moves, by_pair, ordered),
        **shares,
    )


def _territory(code: str | None, side: _Side, other: _Side) -> DiffSide:
    if code is None:
        return NOWHERE
    return DiffSide(code=code, rep=side.reps.get(code) or other.reps.get(code))


def _named_amounts(sums: Floats) -> dict[str, Any]:
    customers, *others = np.round(sums, DECIMALS).tolist()
    return {"customers": int(customers), **dict(zip(MEASURES[1:], others, strict=True))}


def _by_rep(moves: list[Move], sums: dict[Pair, Floats], pairs: list[Pair]) -> list[RepChange]:
    """Return what each rep gains and loses; what stays with the rep is neither."""
    reps: dict[int, RepRef] = {}
    gained: dict[int, Floats] = {}
    lost: dict[int, Floats] = {}
    for move, pair in zip(moves, pairs, strict=True):
        giver, taker = move.from_.rep, move.to.rep
        if giver is not None and taker is not None and giver.id == taker.id:
            continue
        for rep, change in ((giver, lost), (taker, gained)):
            if rep is not None:
                reps[rep.id] = rep
                change[rep.id] = change.get(rep.id, np.zeros(4)) + sums[pair]
    nothing = np.zeros(4)
    return [
        RepChange(
            rep=reps[number],
            gained=Amounts(**_named_amounts(gained.get(number, nothing))),
            lost=Amounts(**_named_amounts(lost.get(number, nothing))),
        )
        for number in sorted(reps)
    ]
