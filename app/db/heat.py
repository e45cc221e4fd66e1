"""Sums over customers per H3 cell: one meaning for the heatmap and the heat tiles.

Inactive customers never count. Where the filters are those the rollups are kept by, and the caller
sees everything, rows come from `activity_cell`; otherwise from the customers themselves. Cells in
view are found as ranges of ids and told apart by their outlines afterwards: nothing of a cell's
shape is stored.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    cast,
    func,
    literal_column,
    select,
    true,
)

from app.db.customer_filter import CustomerFilter
from app.db.membership import belongs_to
from app.db.prepared import Prepared
from app.db.scope import Scope, visible_territory_ids
from app.db.session import AnyReader, AnySession, rows
from app.db.spatial import cell_parent, spans
from app.db.tables import ActivityCell, Customer, HeatState, Territory
from geo.bbox import BoundingBox
from geo.cells import CUSTOMER_RESOLUTION, CellArray, area_km2
from geo.cover import are_touching, cover

Measure = Literal["customers", "density", "work_minutes", "potential", "revenue", "visit_gap"]

COARSEST, FINEST = 2, 9
# What is read for a view reaches a little beyond it, and many times so for a view that is a line.
MOST_BEYOND = 4
PACKED = np.dtype([("cell", ">i8"), ("customers", ">i8"), ("amount", ">f8")])


@dataclass(frozen=True, slots=True)
class Sums:
    """Distinct cells (n,) of one resolution, ascending, with their customers and an amount each."""

    cells: CellArray
    customers: NDArray[np.int64]
    amounts: NDArray[np.float64]

    def weights(self, measure: Measure) -> NDArray[np.float64]:
        """Return what the mean of `density` and `visit_gap` over several cells is weighted by.

        The area, the customers; 1 for sums.
        """
        if measure == "density":
            return area_km2(self.cells)
        if measure == "visit_gap":
            return self.customers.astype(np.float64)
        return np.ones(len(self.cells))

    def only(self, wanted: NDArray[np.bool_]) -> "Sums":
        """Return some of the cells."""
        return Sums(self.cells[wanted], self.customers[wanted], self.amounts[wanted])


def is_rolled_up(scope: Scope, wanted: CustomerFilter) -> bool:
    """Tell whether the rollups answer this: they are kept by class and segment, of all customers.

    Otherwise the customers in view are read one by one, so there must be few enough of them.
    """
    return scope.is_unlimited and wanted == CustomerFilter(
        classes=wanted.classes, segments=wanted.segments
    )


async def read_sums(
    session: AnySession,
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
    covering = None if view is None else await asyncio.to_thread(cover, view, resolution)
    sums = heat_rows(scope, measure, wanted, resolution, covering, fewest)
    found = await read_packed(session, sums.limit(most * MOST_BEYOND + 1))
    if len(found.cells) > most * MOST_BEYOND:
        return None
    if view is not None:
        found = found.only(await asyncio.to_thread(are_touching, found.cells, resolution, view))
    return found if len(found.cells) <= most else None


async def read_packed(reader: AnyReader, wanted: Select[Any]) -> Sums:
    """Return what a statement selects as `cell`, `customers`, `amount`."""
    found = wanted.subquery()
    # One value instead of three objects for each of thousands of rows.
    record = (
        func.int8send(found.c.cell)
        .op("||")(func.int8send(cast(found.c.customers, BigInteger)))
        .op("||")(func.float8send(cast(found.c.amount, Double)))
    )
    statement = Prepared(select(func.string_agg(record, b"")).select_from(found))
    ((packed,),) = await rows(reader, statement)
    records = np.frombuffer(bytes(packed or b""), dtype=PACKED)
    records = records[np.argsort(records["cell"])]
    return Sums(
        records["cell"].astype(np.uint64),
        records["customers"].astype(np.int64),
        records["amount"].astype(np.float64),
    )


def heat_rows(
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    covering: CellArray | None,
    fewest: int,
) -> Select[Any]:
    """Select `cell`, `customers`, `amount` of the cells of a resolution within others.

    A limited caller's are found from those cells of its territories that reach into the others.
    """
    if is_rolled_up(scope, wanted):
        return _from_rollup(measure, wanted, resolution, covering, fewest)
    return _from_customers(scope, measure, wanted, resolution, covering, fewest)


def within(sums: Select[Any], cell: Any, covering: CellArray, resolution: int) -> Select[Any]:
    """Select the sums range by range, each a walk along the index on `cell`.

    Groups must not straddle the covering cells.
    """
    span = spans(covering, resolution)
    in_span = sums.where(cell.between(span.c.first, span.c.last)).correlate(span).lateral()
    return select(in_span.c.cell, in_span.c.customers, in_span.c.amount).join_from(
        span, in_span, true()
    )


def _from_rollup(
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    covering: CellArray | None,
    fewest: int,
) -> Select[Any]:
    amount = {
        "work_minutes": ActivityCell.work_minutes,
        "potential": ActivityCell.potential,
        "revenue": ActivityCell.revenue,
        "visit_gap": ActivityCell.overdue,
    }.get(measure, ActivityCell.customers)
    customers = func.sum(ActivityCell.customers)
    columns: list[Any] = [
        ActivityCell.cell, customers.label("customers"), func.sum(amount).label("amount")
    ]  # fmt: skip
    sums = (
        select(*columns)
        .where(ActivityCell.resolution == literal_column(str(resolution)))
        .group_by(ActivityCell.cell)
        .having(customers >= fewest)
    )
    if wanted.classes:
        sums = sums.where(ActivityCell.class_.in_(wanted.classes))
    if wanted.segments:
        sums = sums.where(ActivityCell.segment.in_(wanted.segments))
    return sums if covering is None else within(sums, ActivityCell.cell, covering, resolution)


def _from_customers(
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    resolution: int,
    covering: CellArray | None,
    fewest: int,
) -> Select[Any]:
    amounts: dict[str, Any] = {
        "work_minutes": func.sum(Customer.work_minutes),
        "potential": func.sum(Customer.potential),
        "revenue": func.sum(Customer.revenue),
        "visit_gap": func.count().filter(Customer.due_on < today()),
    }
    amount = amounts.get(measure, func.count())
    cell = cell_parent(Customer.cell, resolution).label("cell")
    sums = (
        select(cell, func.count().label("customers"), amount.label("amount"))
        .where(Customer.status != "inactive", *wanted.conditions(scope))
        .group_by(cell)
        .having(func.count() >= fewest)
    )
    if not scope.is_unlimited:
        span = None if covering is None else spans(covering, CUSTOMER_RESOLUTION)
        return sums.where(belongs_to(Territory.id.in_(visible_territory_ids(scope)), span))
    return sums if covering is None else within(sums, Customer.cell, covering, CUSTOMER_RESOLUTION)


def today() -> ColumnElement[Any]:
    """Select the local date before which a visit must have been due to be overdue, if any."""
    return select(HeatState.day).scalar_subquery()
