"""Sums over customers per H3 cell: one meaning for the heatmap and the heat tiles.

Inactive customers never count. Where the filters are those the rollups are kept by, rows come from
`activity_cell`, and for a limited caller from the cells of its territories (`app.db.own_heat`);
otherwise from the customers themselves. Cells in view are found as ranges of ids and told apart by
their outlines afterwards: nothing of a cell's shape is stored.
"""

import asyncio
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    func,
    literal,
    literal_column,
    select,
)

from app.db.customer_filter import CustomerFilter
from app.db.heat_sums import (
    FINEST_TOTAL,
    Measure,
    Sums,
    amount_of_customer,
    chosen,
    packing,
    rollup_of,
    unpack,
    walking,
)
from app.db.membership import belongs_to
from app.db.own_heat import find_own_ground, read_own_sums
from app.db.prepared import Planned, Prepared, left_open, written
from app.db.scope import Scope, visible_territory_ids
from app.db.session import AnyReader, rows
from app.db.spatial import cell_parent, open_spans, spans
from app.db.tables import ActivityCell, ActivityTotal, Customer, HeatState, Territory
from geo.bbox import BoundingBox
from geo.cells import CUSTOMER_RESOLUTION, CellArray, joined_ranges
from geo.cover import are_near, are_touching, cover

# What is read for a view reaches a little beyond it, and many times so for a view that is a line.
MOST_BEYOND = 4
# Statements kept, of which there are fewer, and views whose ranges are kept, a few kilobytes each.
MOST_KEPT = 1024
MOST_VIEWS = 2048


def is_rolled_up(scope: Scope, wanted: CustomerFilter) -> bool:
    """Tell whether the rollups answer this: they are kept by class and segment, of all customers.

    Otherwise the customers in view are read one by one, so there must be few enough of them.
    """
    return scope.is_unlimited and wanted == CustomerFilter(
        classes=wanted.classes, segments=wanted.segments
    )


async def read_sums(
    reader: AnyReader,
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    view: BoundingBox | None,
    fewest: int,
    most: int,
) -> Sums | None:
    """Return the cells with customers whose outlines touch a view, or nothing if too many.

    Parameters
    ----------
    scope
        Whose customers are counted.
    measure
        What the amounts are sums of: customers for `density`, overdue ones for `visit_gap`.
    wanted
        Which customers count; its box is not read.
    resolution
        From COARSEST to FINEST.
    view
        Everywhere, if there is none.
    fewest
        Cells with fewer customers are left out.
    most
        More cells than this are too many.
    """
    found = await read_around(reader, scope, measure, wanted, resolution, view, fewest, most)
    if found is None:
        return None
    if view is not None:
        found = found.only(await asyncio.to_thread(TOUCHING.of, found.cells, resolution, view))
    return found if len(found.cells) <= most else None


async def read_around(
    reader: AnyReader,
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    view: BoundingBox | None,
    fewest: int,
    most: int,
) -> Sums | None:
    """Return cells as `read_sums` does, and some that lie a little beyond the view.

    Those cost less than to tell them apart, for who cuts off what is beyond the view anyway.
    """
    at_most = most * MOST_BEYOND + 1
    if is_rolled_up(scope, wanted):
        kinds = bool(wanted.classes), bool(wanted.segments)
        statement = _rollup(measure, resolution, *kinds, view is not None)
        first, last = (None, None) if view is None else _ranges(view, resolution)
        found = await _unpacked(
            reader, statement, first=first, last=last, fewest=fewest, at_most=at_most,
            classes=list(wanted.classes), segments=list(wanted.segments),
        )  # fmt: skip
    elif (ground := await find_own_ground(reader, scope, wanted)) is not None:
        found = await read_own_sums(reader, ground, measure, wanted, resolution, view, fewest)
    else:
        covering = None if view is None else await asyncio.to_thread(cover, view, resolution)
        sums = heat_rows(scope, measure, wanted, resolution, covering, fewest)
        # How few have a tag or a status only the values tell.
        statement = packing(sums.limit(at_most), Planned.FOR_VALUES)
        found = await _unpacked(reader, statement)
    if len(found.cells) >= at_most:
        return None
    if view is not None and not scope.is_unlimited:
        return found.only(await asyncio.to_thread(are_near, found.cells, resolution, view))
    return found


class TouchingCells:
    """Which cells touch a view, of the views that were asked for lately.

    Maps ask for the same views again and again, and which cells have customers seldom changes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[tuple[BoundingBox, int], tuple[CellArray, NDArray[np.bool_]]] = {}

    def of(self, cells: CellArray, resolution: int, view: BoundingBox) -> NDArray[np.bool_]:
        """Return what `geo.cover.are_touching` does."""
        kept = self._kept.get((view, resolution))
        if kept is not None and np.array_equal(kept[0], cells):
            return kept[1]
        touching = are_touching(cells, resolution, view)
        # Other threads may be looking too: it is exchanged whole, never taken from.
        if len(self._kept) >= self._most:
            self._kept = {}
        self._kept[view, resolution] = (cells, touching)
        return touching


# Up to 0.7 MB each, where a view holds as many cells as an answer may; a tenth of that as a rule.
TOUCHING = TouchingCells(most=128)


async def read_packed(reader: AnyReader, wanted: Select[Any]) -> Sums:
    """Return what a statement selects as `cell`, `customers`, `amount`."""
    return await _unpacked(reader, packing(wanted))


async def _unpacked(reader: AnyReader, statement: Prepared, **given: Any) -> Sums:
    return unpack(*(await rows(reader, statement, **given))[0])


def heat_rows(
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    covering: CellArray | None,
    fewest: int,
) -> Select[Any]:
    """Select `cell`, `customers`, `amount` of the cells of a resolution within others.

    Those of territories, a limited caller's or those asked for, are found from the cells of these
    that reach into the others.
    """
    if not is_rolled_up(scope, wanted):
        return _from_customers(scope, measure, wanted, resolution, covering, fewest)
    is_whole = not wanted.classes and not wanted.segments
    sums, cell = _from_rollup(measure, resolution, literal(fewest), is_whole)
    if wanted.classes:
        sums = sums.where(ActivityCell.class_.in_(wanted.classes))
    if wanted.segments:
        sums = sums.where(ActivityCell.segment.in_(wanted.segments))
    return sums if covering is None else within(sums, cell, covering, resolution)


def within(sums: Select[Any], cell: Any, covering: CellArray, resolution: int) -> Select[Any]:
    """Select the sums of the descendants of cells at a resolution; see `walking`."""
    return walking(sums, cell, spans(covering, resolution))


@lru_cache(maxsize=MOST_KEPT)
def _rollup(
    measure: Measure, resolution: int, has_classes: bool, has_segments: bool, has_view: bool
) -> Prepared:
    """Return the statement for sums of the rollup, with all that may differ left open."""
    fewest = left_open("fewest", BigInteger())
    sums, cell = _from_rollup(measure, resolution, fewest, not has_classes and not has_segments)
    sums = chosen(sums, has_classes, has_segments)
    if has_view:
        sums = walking(sums, cell, open_spans())
    return packing(sums.limit(left_open("at_most", BigInteger())))


@lru_cache(maxsize=MOST_VIEWS)
def _ranges(view: BoundingBox, resolution: int) -> tuple[str, str]:
    """Return the ids at which ranges of the cells around a view begin and end, as `written`."""
    first, last = joined_ranges(cover(view, resolution), resolution)
    return written(first), written(last)


def _from_rollup(
    measure: Measure, resolution: int, fewest: ColumnElement[int], is_whole: bool
) -> tuple[Select[Any], Any]:
    """Select the sums of a resolution; return their column of cells as well.

    `is_whole` says that no class and no segment will be chosen.
    """
    sums, table = rollup_of(measure, is_whole and resolution <= FINEST_TOTAL)
    customers = table.customers if table is ActivityTotal else func.sum(table.customers)
    having = sums.where if table is ActivityTotal else sums.having
    of_level = table.resolution == literal_column(str(resolution))
    return having(customers >= fewest).where(of_level), table.cell


def _from_customers(
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    covering: CellArray | None,
    fewest: int,
) -> Select[Any]:
    amount = func.sum(amount_of_customer(measure, HeatState.day))
    cell = cell_parent(Customer.cell, resolution).label("cell")
    span = None if covering is None else spans(covering, CUSTOMER_RESOLUTION)
    columns: list[Any] = [cell, func.count().label("customers"), amount.label("amount")]
    sums = (
        select(*columns)
        .where(Customer.status != "inactive", *wanted.conditions(scope, span))
        .group_by(cell)
        .having(func.count() >= fewest)
    )
    if not scope.is_unlimited:
        sums = sums.where(belongs_to(Territory.id.in_(visible_territory_ids(scope)), span))
    if span is None or not scope.is_unlimited or wanted.is_of_territories:
        return sums
    return walking(sums, Customer.cell, span)
