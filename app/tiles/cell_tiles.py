"""Tiles of a plan's cells: each by itself where they are large enough, else summed up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, ColumnElement, and_, cast, func, or_, select, text

from app.db import scope as scopes
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import ActivityCell, Territory
from app.tiles.grid import EXTENT, MAX_BYTES
from app.tiles.plan_cells import KnownPlans, Level
from app.tiles.plans import ShownPlan
from app.tiles.shapes import mercator_outlines
from geo.cells import CellArray, cells_to_text, resolutions
from geo.tiles import resolution_for_zoom

LAYER = "cells"
# More would be too large anyway: a cell takes 60 to 120 bytes.
MOST_CELLS = 8_000

ENCODE = text("""
    SELECT ST_AsMVT(tile, 'cells', :extent, 'geom') FROM (
        SELECT ST_AsMVTGeom(ST_SetSRID(ST_GeomFromWKB(shape), 3857), ST_TileEnvelope(:z, :x, :y),
                :extent, :extent / 64, true) AS geom,
            cell, territory_id, code, colour, n_cells, customers, work_minutes
        FROM unnest(CAST(:shapes AS bytea[]), CAST(:cells AS text[]), CAST(:ids AS bigint[]),
            CAST(:codes AS text[]), CAST(:colours AS int[]), CAST(:n_cells AS bigint[]),
            CAST(:customers AS bigint[]), CAST(:work_minutes AS float[])) AS t (shape, cell,
            territory_id, code, colour, n_cells, customers, work_minutes)
    ) AS tile WHERE geom IS NOT NULL
""")


async def read_tile(
    session: AnySession,
    known: KnownPlans,
    scope: Scope,
    plan: ShownPlan,
    tile: tuple[int, int, int],
    fewest: int | None,
) -> bytes:
    """Return the tile of a plan's cells, empty when none is there.

    Cells tell of their customers when there are `fewest` or more; with None none does, and the tile
    is the same as long as the plan is.
    """
    plan_cells = await known.find(session, plan.id, plan.version)
    territories = await _territories(session, scope, plan.id)
    own = None if scope.is_unlimited else frozenset(territories)
    if not territories:
        return b""
    drawn = b""
    for resolution in range(min(plan_cells.finest, resolution_for_zoom(tile[0]) + 1), -1, -1):
        level = await plan_cells.level(resolution, own)
        near = level.near(*tile)
        if len(near) == 0:
            return b""
        if len(near) > MOST_CELLS and resolution > 0:
            continue
        # What a limited caller may count of a cell is not known from the rollup.
        counted = fewest if scope.is_unlimited and plan.is_rolled_up else None
        sums = {} if counted is None else await _sums(session, plan, level.cells[near], counted)
        drawn = await _encode(session, level, near, territories, sums, tile)
        if len(drawn) <= MAX_BYTES:
            break
    return drawn


async def _territories(session: AnySession, scope: Scope, plan_id: int) -> dict[int, Any]:
    rows = await session.execute(
        select(Territory.ordinal, Territory.id, Territory.code, Territory.colour).where(
            Territory.plan_id == plan_id, scopes.territories(scope)
        )
    )
    return {row.ordinal: row for row in rows}


async def _sums(
    session: AnySession, plan: ShownPlan, cells: CellArray, fewest: int
) -> dict[int, Any]:
    """Return the customers and the work of each cell that the plan's layer accepts."""
    n = func.sum(ActivityCell.customers)
    conditions = [_is_one_of(cells)]
    for name, column in (("class", ActivityCell.class_), ("segment", ActivityCell.segment)):
        if name in plan.customer_filter:
            conditions.append(column.in_(plan.customer_filter[name]))
    rows = await session.execute(
        select(
            ActivityCell.cell,
            cast(n, BigInteger).label("customers"),
            func.sum(ActivityCell.work_minutes).label("work_minutes"),
        )
        .where(*conditions)
        .group_by(ActivityCell.cell)
        .having(n >= fewest)
    )
    return {row.cell: row for row in rows}


def _is_one_of(cells: CellArray) -> ColumnElement[bool]:
    """Match the cells in the rollup, whose index begins with the resolution."""
    own = resolutions(cells)
    return or_(
        *(
            and_(
                ActivityCell.resolution == int(level),
                ActivityCell.cell.in_(cells[own == level].astype(np.int64).tolist()),
            )
            for level in np.unique(own)
        )
    )


async def _encode(
    session: AnySession,
    level: Level,
    near: NDArray[np.int64],
    territories: dict[int, Any],
    sums: dict[int, Any],
    tile: tuple[int, int, int],
) -> bytes:
    cells = level.cells[near]
    owners = [territories[ordinal] for ordinal in level.ordinals[near].tolist()]
    counted = [sums.get(cell) for cell in cells.tolist()]
    values = {
        "shapes": mercator_outlines(cells),
        "cells": cells_to_text(cells),
        "ids": [owner.id for owner in owners],
        "codes": [owner.code for owner in owners],
        "colours": [owner.colour for owner in owners],
        "n_cells": level.n_cells[near].tolist(),
        "customers": [row and row.customers for row in counted],
        "work_minutes": [row and row.work_minutes for row in counted],
        "extent": EXTENT,
        **dict(zip("zxy", tile, strict=True)),
    }
    return bytes(await session.scalar(ENCODE, values) or b"")
