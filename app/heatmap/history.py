"""Change between two months, from the pictures of the rollups that are kept month by month."""

import asyncio
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    Subquery,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from app.db.heat import MOST_BEYOND, read_packed, within
from app.db.heat_sums import Sums
from app.db.session import AnySession
from app.db.spatial import cell_parent
from app.db.tables import ActivityCell, MeasureSnapshot
from app.heatmap import repository
from app.heatmap.document import Heat, mean_of, total_of
from app.heatmap.request import HeatRequest
from geo.cells import CellArray
from geo.cover import are_touching, cover

# Pictures are kept at this resolution; coarser ones are summed up from it.
FINEST_HISTORY = 6


async def months_kept(session: AnySession) -> tuple[date | None, date | None]:
    """Return the first and the last month of which there is a picture."""
    month = MeasureSnapshot.month
    first, last = (await session.execute(select(func.min(month), func.max(month)))).one()
    return first, last


async def has_month(session: AnySession, month: date) -> bool:
    """Tell whether there is a picture of a month."""
    # The least one from then on is the first of the index; any row of the month is looked for among
    # those of all months.
    kept = MeasureSnapshot.month
    return await session.scalar(select(func.min(kept)).where(kept >= month)) == month


async def read_change(session: AnySession, wanted: HeatRequest, resolution: int) -> Heat | None:
    """Return later minus earlier, 0 where nobody was; nothing if these are too many cells.

    Cells with fewer than `wanted.fewest` customers at either time are left out, those with none
    not counted: the difference would tell of them.
    """
    covering = None
    if wanted.bbox is not None:
        covering = await asyncio.to_thread(cover, wanted.bbox, resolution)
    most = repository.MAX_CELLS * MOST_BEYOND
    found = await read_packed(session, change_rows(wanted, resolution, covering).limit(most + 1))
    if len(found.cells) > most:
        return None
    if wanted.bbox is not None:
        found = found.only(are_touching(found.cells, resolution, wanted.bbox))
    return _heat(wanted, found) if len(found.cells) <= repository.MAX_CELLS else None


def _heat(wanted: HeatRequest, found: Sums) -> Heat:
    if wanted.of == "visit_gap":
        # A difference of shares: not of so many customers that it could be weighted by.
        return Heat(found.cells, found.amounts, None)
    weights = found.weights(wanted.of)
    values = found.amounts / weights
    total = mean_of(values, weights) if wanted.of == "density" else total_of(values)
    return Heat(found.cells, values, total)


def change_rows(wanted: HeatRequest, resolution: int, covering: CellArray | None) -> Select[Any]:
    """Select `cell`, `customers` of now or later, and the difference as `amount`."""
    assert wanted.since is not None
    before = _sums(wanted, resolution, wanted.since, covering).subquery("earlier")
    after = _sums(wanted, resolution, wanted.until, covering).subquery("later")
    n_before = func.coalesce(before.c.customers, 0)
    n_after = func.coalesce(after.c.customers, 0)
    columns: list[Any] = [
        func.coalesce(after.c.cell, before.c.cell).label("cell"),
        n_after.label("customers"),
        (_value(wanted, after) - _value(wanted, before)).label("amount"),
    ]
    return (
        select(*columns)
        .select_from(after.outerjoin(before, after.c.cell == before.c.cell, full=True))
        .where(or_(n_before == 0, n_before >= wanted.fewest))
        .where(or_(n_after == 0, n_after >= wanted.fewest))
    )


def _sums(
    wanted: HeatRequest, resolution: int, month: date | None, covering: CellArray | None
) -> Select[Any]:
    """Select sums per cell in a month, or now."""
    table = ActivityCell if month is None else MeasureSnapshot
    is_then: ColumnElement[bool] = (
        ActivityCell.resolution == literal_column(str(FINEST_HISTORY))
        if month is None
        else MeasureSnapshot.month == month
    )
    amounts: dict[str, Any] = {
        "work_minutes": table.work_minutes,
        "potential": table.potential,
        "revenue": table.revenue,
        "visit_gap": table.overdue,
    }
    amount = amounts.get(wanted.of, table.customers)
    cell = cell_parent(table.cell, resolution).label("cell")
    conditions = [is_then]
    if wanted.customers.classes:
        conditions.append(table.class_.in_(wanted.customers.classes))
    if wanted.customers.segments:
        conditions.append(table.segment.in_(wanted.customers.segments))
    sums = (
        select(
            cell,
            func.sum(table.customers).label("customers"),
            cast(func.sum(amount), Double).label("amount"),
        )
        .where(*conditions)
        .group_by(cell)
    )
    return sums if covering is None else within(sums, table.cell, covering, FINEST_HISTORY)


def _value(wanted: HeatRequest, sums: Subquery) -> ColumnElement[float]:
    share = sums.c.amount / cast(sums.c.customers, Double)
    return func.coalesce(share if wanted.of == "visit_gap" else sums.c.amount, 0.0)
