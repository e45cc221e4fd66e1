"""Heat of the territories of a limited caller, without reading their customers one by one.

The rollups do not know of territories, but each cell of a plan belongs to one: the sums of a
territory are those of its cells, at the plan's own resolutions, since coarser cells straddle
borders. Where seven siblings are the caller's their parent is read instead. Named accounts, who are
few, are taken out of the cells they live in and counted where they belong. Only in cells too fine
to have sums are customers read.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    any_,
    case,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.customer_filter import CustomerFilter
from app.db.heat_sums import (
    FINEST,
    Measure,
    Sums,
    amount_of_customer,
    packing,
    unpack,
    walking,
)
from app.db.piece_sums import NOTHING, Kinds, read_piece_sums, together
from app.db.prepared import Prepared, left_open, written
from app.db.scope import Scope, visible_territory_ids
from app.db.session import AnyReader, rows
from app.db.spatial import cell_parent, open_spans
from app.db.tables import (
    Customer,
    CustomerOverride,
    HeatState,
    Layer,
    Plan,
    PlanCell,
    Territory,
)
from geo.bbox import BoundingBox
from geo.cell_sets import joined_siblings, owners_of
from geo.cells import CellArray, ancestors, descendant_range, joined_ranges, resolutions
from geo.cover import cover

# Statements kept, one for each scope.
MOST_KEPT = 512
# Cells kept per process, over all callers and resolutions, of 8 bytes each.
MOST_CELLS_KEPT = 4_000_000


@dataclass(frozen=True, slots=True)
class OwnGround:
    """Territories of one plan, and which customers its layer accepts."""

    plan_id: int
    made_at: datetime
    layer_id: int
    customer_filter: dict[str, Any]
    territory_ids: tuple[int, ...]
    codes: tuple[str, ...]

    def kinds(self, name: str, wanted: tuple[str, ...]) -> Kinds:
        """Return which classes or segments count, all where there is None."""
        accepted = self.customer_filter.get(name)
        if accepted is None:
            return wanted or None
        return tuple(kind for kind in accepted if not wanted or kind in wanted)


async def find_own_ground(
    reader: AnyReader, scope: Scope, wanted: CustomerFilter
) -> OwnGround | None:
    """Return the ground of a limited caller whose heat the rollups can tell, else nothing.

    That is when only classes and segments are asked for and decide whom the layer accepts, and when
    all territories are of one plan: a customer of two layers would be counted twice.
    """
    by_kind = CustomerFilter(classes=wanted.classes, segments=wanted.segments)
    if scope.is_unlimited or wanted != by_kind:
        return None
    found = await rows(reader, _ground(scope))
    if len(found) != 1:
        return None
    plan_id, made_at, layer_id, customer_filter, ids, codes = found[0]
    if not customer_filter.keys() <= {"class", "segment"}:
        return None
    return OwnGround(plan_id, made_at, layer_id, customer_filter, tuple(ids), tuple(codes))


async def read_own_sums(
    reader: AnyReader,
    ground: OwnGround,
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    view: BoundingBox | None,
    fewest: int,
) -> Sums:
    """Return the sums of cells around a view, by id, as `app.db.heat.read_around` does."""
    pieces = await KNOWN.find(reader, ground, resolution)
    if view is not None:
        pieces = await asyncio.to_thread(_reaching, pieces, view, resolution)
    classes = ground.kinds("class", wanted.classes)
    segments = ground.kinds("segment", wanted.segments)
    if classes == () or segments == ():
        return NOTHING
    chosen = classes is not None, segments is not None
    given = {
        "layer_id": ground.layer_id,
        "classes": classes and list(classes),
        "segments": segments and list(segments),
    }
    is_fine = resolutions(pieces) > FINEST
    summed = pieces[~is_fine]
    found = await read_piece_sums(reader, measure, summed, resolution, classes, segments)
    if is_fine.any():
        first, last = joined_ranges(pieces[is_fine])
        ranges = {"first": written(first), "last": written(last)}
        ((packed,),) = await rows(reader, _residents(measure, *chosen), **ranges, **given)
        found = together(found, unpack(packed))
    named = _named(measure, *chosen)
    ((packed,),) = await rows(reader, named, codes=list(ground.codes), **given)
    found = together(found, _exchanged(unpack(packed), summed))
    return await asyncio.to_thread(_summed_up, found, resolution, fewest)


def _reaching(pieces: CellArray, view: BoundingBox, resolution: int) -> CellArray:
    """Return the pieces with ground in the cells around a view."""
    begin, end = joined_ranges(cover(view, resolution))
    first, last = descendant_range(pieces)
    at = np.searchsorted(end, first)
    is_before_end = at < len(end)
    at[~is_before_end] = 0
    return pieces[is_before_end & (begin[at] <= last)] if len(end) else pieces[:0]


def _exchanged(named: Sums, summed: CellArray) -> Sums:
    """Return what named accounts change in the sums of cells; `customers` is 1 for the caller's."""
    change = named.customers - (owners_of(summed, named.cells) >= 0)
    return Sums(named.cells, change, named.amounts * change)


def _summed_up(found: Sums, resolution: int, fewest: int) -> Sums:
    above = Sums(ancestors(found.cells, resolution), found.customers, found.amounts)
    sums = together(NOTHING, above)
    return sums.only(sums.customers >= max(fewest, 1))


class KnownPieces:
    """The cells of territories asked for last, joined to as few as have the same descendants.

    The cells of a plan in force do not change; an id may come back with a database restored.
    """

    def __init__(self, most_cells: int) -> None:
        self._most_cells = most_cells
        self._kept: OrderedDict[Hashable, CellArray] = OrderedDict()

    async def find(self, reader: AnyReader, ground: OwnGround, resolution: int) -> CellArray:
        """Return the cells of the ground, none joined to one coarser than a resolution, by id."""
        key = ground.plan_id, ground.made_at, ground.territory_ids, resolution
        if key not in self._kept:
            ((packed,),) = await rows(
                reader, CELLS, plan_id=ground.plan_id, territory_ids=list(ground.territory_ids)
            )
            cells = np.sort(np.frombuffer(bytes(packed or b""), dtype=">i8").astype(np.uint64))
            self._kept[key] = await asyncio.to_thread(joined_siblings, cells, resolution)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._most_cells:
            self._kept.popitem(last=False)
        return self._kept[key]


KNOWN = KnownPieces(MOST_CELLS_KEPT)

CELLS = Prepared(
    select(func.string_agg(func.int8send(PlanCell.cell), b"")).where(
        PlanCell.plan_id == left_open("plan_id", BigInteger()),
        PlanCell.territory_id == any_(left_open("territory_ids", ARRAY(BigInteger))),
    )
)


@lru_cache(maxsize=MOST_KEPT)
def _ground(scope: Scope) -> Prepared:
    """Return the statement for the territories of a scope, a row for each plan in force."""
    return Prepared(
        select(
            Plan.id,
            Plan.created_at,
            Plan.layer_id,
            Layer.customer_filter,
            _by_id(Territory.id),
            _by_id(Territory.code),
        )
        .join(Plan, Plan.id == Territory.plan_id)
        .join(Layer, Layer.id == Plan.layer_id)
        .where(Territory.id.in_(visible_territory_ids(scope)))
        .group_by(Plan.id, Layer.id)
        .limit(2)
    )


def _by_id(column: Any) -> Any:
    """Gather a column of territories in the order of their ids."""
    return func.array_agg(postgresql.aggregate_order_by(column, Territory.id))


@lru_cache
def _residents(measure: Measure, has_classes: bool, has_segments: bool) -> Prepared:
    """Return the statement for sums of the customers in ranges of cells, without named accounts."""
    span = open_spans()
    cell = cell_parent(Customer.cell, literal_column(str(FINEST))).label("cell")
    is_named = exists().where(CustomerOverride.customer_id == Customer.id, *_is_on_layer())
    amount = func.sum(amount_of_customer(measure, HeatState.folded_day)).label("amount")
    columns: list[Any] = [cell, func.count().label("customers"), amount]
    sums = select(*columns).where(~is_named, *_counts(has_classes, has_segments)).group_by(cell)
    return packing(walking(sums, Customer.cell, span))


@lru_cache
def _named(measure: Measure, has_classes: bool, has_segments: bool) -> Prepared:
    """Return the statement for named accounts of a layer; `customers` is 1 for those of `codes`."""
    is_own = CustomerOverride.territory_code == any_(left_open("codes", ARRAY(Text)))
    return packing(
        select(
            Customer.cell,
            case((is_own, 1), else_=0).label("customers"),
            amount_of_customer(measure, HeatState.folded_day).label("amount"),
        )
        .join(CustomerOverride, CustomerOverride.customer_id == Customer.id)
        .where(*_is_on_layer(), *_counts(has_classes, has_segments))
    )


def _is_on_layer() -> list[ColumnElement[bool]]:
    return [
        CustomerOverride.layer_id == left_open("layer_id", BigInteger()),
        CustomerOverride.during.contains(func.now()),
    ]


def _counts(has_classes: bool, has_segments: bool) -> list[ColumnElement[bool]]:
    """Match the customers of `classes` and `segments`, where there are such, who are not past."""
    counted: list[ColumnElement[bool]] = [Customer.status != "inactive"]
    if has_classes:
        counted.append(Customer.class_ == any_(left_open("classes", ARRAY(Text))))
    if has_segments:
        counted.append(Customer.segment == any_(left_open("segments", ARRAY(Text))))
    return counted
