"""What statements of heat are made of: sums over customers per H3 cell, as rows and as arrays.

Inactive customers never count.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    TableValuedAlias,
    Text,
    any_,
    case,
    cast,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.prepared import Planned, Prepared, left_open
from app.db.tables import ActivityCell, ActivityTotal, Customer
from geo.cells import CellArray, area_km2

Measure = Literal["customers", "density", "work_minutes", "potential", "revenue", "visit_gap"]

COARSEST, FINEST = 2, 9
# Up to here sums over all classes and segments are kept as well: a view of coarse cells would read
# ten or twenty rows for each.
FINEST_TOTAL = 6
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

    def only(self, wanted: NDArray[np.bool_] | NDArray[np.int64]) -> "Sums":
        """Return some of the cells: those for which it is true, or those at ascending indices."""
        return Sums(self.cells[wanted], self.customers[wanted], self.amounts[wanted])


def packing(wanted: Select[Any], planned: Planned = Planned.AS_IT_SEES_FIT) -> Prepared:
    """Return the statement for what another selects as `cell`, `customers`, `amount`.

    One value instead of three objects for each of thousands of rows.
    """
    found = wanted.subquery()
    record = (
        func.int8send(found.c.cell)
        .op("||")(func.int8send(cast(found.c.customers, BigInteger)))
        .op("||")(func.float8send(cast(found.c.amount, Double)))
    )
    packed = select(func.string_agg(record, b"")).select_from(found)
    return Prepared(packed, planned)


def unpack(packed: bytes | None) -> Sums:
    """Return the rows of a statement of `packing`."""
    records = np.frombuffer(bytes(packed or b""), dtype=PACKED)
    records = records[np.argsort(records["cell"])]
    return Sums(
        records["cell"].astype(np.uint64),
        records["customers"].astype(np.int64),
        records["amount"].astype(np.float64),
    )


def rollup_of(measure: Measure, of_totals: bool) -> tuple[Select[Any], Any]:
    """Select the sums of cells with customers, and return the table they are from.

    Totals are one row for each cell, kept down to FINEST_TOTAL; others are of chosen classes and
    segments too.
    """
    table = ActivityTotal if of_totals else ActivityCell
    amount = {
        "work_minutes": table.work_minutes,
        "potential": table.potential,
        "revenue": table.revenue,
        "visit_gap": table.overdue,
    }.get(measure, table.customers)
    if of_totals:
        columns: list[Any] = [table.cell, table.customers, amount.label("amount")]
        return select(*columns), table
    summed: list[Any] = [
        table.cell,
        func.sum(table.customers).label("customers"),
        func.sum(amount).label("amount"),
    ]
    return select(*summed).group_by(table.cell), table


def walking(
    sums: Select[Any], cell: Any, span: TableValuedAlias, resolution: Any = None
) -> Select[Any]:
    """Select sums range by range, each a walk along the index on `cell`.

    Groups must not straddle the ranges. With a column for the resolution, each range has its own,
    in `level`.
    """
    here = sums.where(cell.between(span.c.first, span.c.last))
    if resolution is not None:
        here = here.where(resolution == span.c.level)
    # OFFSET keeps the planner from joining all of a resolution with all ranges, as it may where the
    # table has grown since it was looked at.
    in_span = here.offset(0).correlate(span).lateral()
    return select(in_span.c.cell, in_span.c.customers, in_span.c.amount).join_from(
        span, in_span, true()
    )


def chosen(sums: Select[Any], has_classes: bool, has_segments: bool) -> Select[Any]:
    """Select the sums of `classes` and `segments`, which are left open, where there are such."""
    if has_classes:
        sums = sums.where(ActivityCell.class_ == any_(left_open("classes", ARRAY(Text))))
    if has_segments:
        sums = sums.where(ActivityCell.segment == any_(left_open("segments", ARRAY(Text))))
    return sums


def amount_of_customer(measure: Measure, day: Any) -> ColumnElement[Any]:
    """Return what a customer adds to the amount of its cell.

    `day` is the column of HeatState for the local date before which a visit must have been due to
    be overdue: that of now, or that of the rollups.
    """
    today = select(day).scalar_subquery()
    amounts: dict[str, Any] = {
        "work_minutes": Customer.work_minutes,
        "potential": Customer.potential,
        "revenue": Customer.revenue,
        "visit_gap": case((Customer.due_on < today, 1), else_=0),
    }
    amount: ColumnElement[Any] = amounts.get(measure, literal_column("1"))
    return amount
