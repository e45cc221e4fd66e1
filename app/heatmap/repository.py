"""What the heatmap reads: sums per H3 cell in view."""

import asyncio

import numpy as np
from sqlalchemy import select

from app.db.heat import read_sums
from app.db.heat_counts import is_summed
from app.db.heat_sums import Sums
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import HeatState
from app.heatmap.document import Floats, Freshness, Heat, mean_of, total_of, write_document
from app.heatmap.request import HeatRequest
from geo.bbox import BoundingBox
from geo.cells import CellArray

MAX_CELLS = 20_000


async def read_freshness(session: AnySession, scope: Scope, wanted: HeatRequest) -> Freshness:
    """Return what the numbers of an answer stand for."""
    state = (await session.execute(select(HeatState))).scalar_one_or_none()
    if state is None:
        return Freshness()
    if await is_summed(session, scope, wanted.customers):
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
