"""What the heatmap reads: sums per H3 cell in view."""

import asyncio

import numpy as np
from sqlalchemy import and_, func, select

from app.db.customer_filter import CustomerFilter
from app.db.heat import heat_rows, is_rolled_up, read_sums
from app.db.heat_sums import FINEST, Sums
from app.db.own_heat import find_own_ground
from app.db.scope import EVERYTHING, Scope, territories
from app.db.session import AnySession
from app.db.spatial import cell_parent
from app.db.tables import ActivityCell, HeatState, PlanCell, Territory
from app.heatmap.document import Floats, Freshness, Heat, mean_of, total_of, write_document
from app.heatmap.request import HeatRequest
from geo.bbox import BoundingBox
from geo.cells import CellArray
from geo.cover import cover

MAX_CELLS = 20_000


async def read_freshness(session: AnySession, scope: Scope, wanted: HeatRequest) -> Freshness:
    """Return what the numbers of an answer stand for."""
    state = (await session.execute(select(HeatState))).scalar_one_or_none()
    if state is None:
        return Freshness()
    if await is_summed(session, scope, wanted):
        return Freshness(state.folded_day, state.generation, state.folded_at)
    return Freshness(state.day)


async def read_heat(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int, fresh: Freshness
) -> bytes | None:
    """Return the document at a resolution, or nothing when it would hold too many cells.

    Cells that touch the box and have customers, inactive ones not counted, are in it.
    """
    sums = await _read_sums(session, scope, wanted, resolution, wanted.bbox)
    if sums is None:
        return None
    return await asyncio.to_thread(
        lambda: write_document(wanted, _heat(wanted, sums), resolution, fresh)
    )


async def read_values(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int, area: BoundingBox
) -> tuple[CellArray, Floats] | None:
    """Return the cells that touch an area, ascending, and their values; nothing if too many."""
    sums = await _read_sums(session, scope, wanted, resolution, area)
    return None if sums is None else (sums.cells, sums.amounts / sums.weights(wanted.of))


async def is_summed(session: AnySession, scope: Scope, wanted: HeatRequest) -> bool:
    """Tell whether kept sums answer this, or else the customers are read one by one."""
    if is_rolled_up(scope, wanted.customers):
        return True
    return await find_own_ground(session, scope, wanted.customers) is not None


async def count_customers(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int
) -> int:
    """Return how many customers at most an answer would read one by one, about.

    Those in view or those of the territories, whichever are fewer.
    """
    counts = []
    if wanted.bbox is not None or not wanted.customers.is_of_territories:
        counts.append(await _count_in_view(session, wanted, resolution))
    if not scope.is_unlimited or wanted.customers.is_of_territories:
        counts.append(await _count_of_territories(session, scope, wanted.customers))
    return min(counts)


async def _count_in_view(session: AnySession, wanted: HeatRequest, resolution: int) -> int:
    kept_by = CustomerFilter(classes=wanted.customers.classes, segments=wanted.customers.segments)
    covering = None
    if wanted.bbox is not None:
        covering = await asyncio.to_thread(cover, wanted.bbox, resolution)
    rows = heat_rows(EVERYTHING, "customers", kept_by, resolution, covering, 1).subquery()
    return int(await session.scalar(select(func.sum(rows.c.customers))) or 0)


async def _count_of_territories(session: AnySession, scope: Scope, wanted: CustomerFilter) -> int:
    """Return how many customers the cells of territories hold, whether or not in view.

    Some more where the cells are finer than those that sums are kept of.
    """
    level = func.least(func.cell_resolution(PlanCell.cell), FINEST)
    is_wanted = [territories(scope)]
    if wanted.territory_id is not None:
        is_wanted.append(Territory.id == wanted.territory_id)
    elif wanted.rep_id is not None:
        is_wanted.append(territories(Scope(frozenset({wanted.rep_id}))))
    held = (
        select(cell_parent(PlanCell.cell, level).label("cell"))
        .join(Territory, Territory.id == PlanCell.territory_id)
        .where(PlanCell.plan_id == Territory.plan_id, *is_wanted)
        .distinct()
        .subquery()
    )
    same = and_(
        ActivityCell.resolution == func.cell_resolution(held.c.cell),
        ActivityCell.cell == held.c.cell,
    )
    counted = select(func.sum(ActivityCell.customers)).select_from(held).join(ActivityCell, same)
    return int(await session.scalar(counted) or 0)


async def _read_sums(
    session: AnySession,
    scope: Scope,
    wanted: HeatRequest,
    resolution: int,
    view: BoundingBox | None,
) -> Sums | None:
    return await read_sums(
        session, scope, wanted.of, wanted.customers, resolution, view, wanted.fewest, MAX_CELLS
    )


def _heat(wanted: HeatRequest, sums: Sums) -> Heat:
    weights = sums.weights(wanted.of)
    values = sums.amounts / weights
    is_mean = wanted.of in ("density", "visit_gap")
    total = mean_of(values, weights) if is_mean else total_of(values)
    return Heat(sums.cells, np.asarray(values), total)
