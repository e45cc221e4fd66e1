"""Folding of changes into the rollups, and the monthly snapshot."""

import asyncio
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from app.db.session import Database, WriteSession
from geo.cells import area_km2, points_from_cells, resolutions
from geo.outlines import cell_outlines

FINEST = 9
COARSEST = 2

FOLD = text("""
    -- Take every delta, add it to its cell and to each ancestor down to resolution 2.
    WITH taken AS (
        DELETE FROM activity_delta RETURNING cell, class, segment, customers, work_minutes,
            potential, revenue
    ), spread AS (
        SELECT r::smallint AS resolution, cell_parent(cell, r) AS cell, class, segment,
            sum(customers) AS customers, sum(work_minutes) AS work_minutes,
            sum(potential) AS potential, sum(revenue) AS revenue
        FROM taken CROSS JOIN generate_series(CAST(:coarsest AS int), CAST(:finest AS int)) AS r
        GROUP BY 1, 2, 3, 4
    )
    INSERT INTO activity_cell AS known
        (resolution, cell, class, segment, customers, work_minutes, potential, revenue)
    SELECT * FROM spread
    -- One order for all writers: two folds at once wait for each other instead of dead-locking.
    ORDER BY resolution, cell, class, segment
    ON CONFLICT (resolution, cell, class, segment) DO UPDATE SET
        customers = known.customers + excluded.customers,
        work_minutes = known.work_minutes + excluded.work_minutes,
        potential = known.potential + excluded.potential,
        revenue = known.revenue + excluded.revenue
""")

# A cell that lost its last customer goes, and with it the rounding its sums have gathered.
FORGET = text("DELETE FROM activity_cell WHERE customers <= 0")

UNSHAPED = text("""
    SELECT DISTINCT cell FROM activity_cell
    WHERE NOT EXISTS (SELECT FROM cell_shape WHERE cell_shape.cell = activity_cell.cell)
""")

SHAPE = text("""
    INSERT INTO cell_shape (cell, resolution, area_km2, centre, geom)
    SELECT cell, cell_resolution(cell), area_km2, ST_SetSRID(ST_MakePoint(lon, lat), 4326),
        ST_Multi(ST_GeomFromWKB(outline, 4326))
    FROM unnest(CAST(:cells AS bigint[]), CAST(:areas AS float[]), CAST(:lons AS float[]),
        CAST(:lats AS float[]), CAST(:outlines AS bytea[])) AS t (cell, area_km2, lon, lat, outline)
    ON CONFLICT (cell) DO NOTHING
""")

SNAPSHOT = text("""
    -- The month's latest picture: a rerun within the month replaces it.
    INSERT INTO measure_snapshot AS known
        (month, cell, class, segment, customers, work_minutes, potential, revenue)
    SELECT date_trunc('month', now())::date, cell, class, segment, customers, work_minutes,
        potential, revenue
    FROM activity_cell WHERE resolution = 6
    ON CONFLICT (month, cell, class, segment) DO UPDATE SET
        customers = excluded.customers, work_minutes = excluded.work_minutes,
        potential = excluded.potential, revenue = excluded.revenue
""")

VANISHED = text("""
    DELETE FROM measure_snapshot AS old
    WHERE month = date_trunc('month', now())::date AND NOT EXISTS (
        SELECT FROM activity_cell AS now
        WHERE now.resolution = 6 AND now.cell = old.cell AND now.class = old.class
            AND now.segment = old.segment)
""")

# Any constant will do: folds of all workers take the same lock.
FOLD_LOCK = text("SELECT pg_advisory_xact_lock(7236442)")
SHAPES_AT_ONCE = 20_000


async def fold(database: Database) -> int:
    """Bring the rollups up to date with all committed changes; return the rows touched."""
    async with database.writing() as session:
        await session.execute(FOLD_LOCK)
        bounds = {"coarsest": COARSEST, "finest": FINEST}
        touched: int = (await session.execute(FOLD, bounds)).rowcount  # type: ignore[attr-defined]
        if touched:
            await session.execute(FORGET)
            await _shape_new_cells(session)
    return touched


async def snapshot(session: WriteSession) -> None:
    """Write the present month's picture of the rollups at resolution 6."""
    await session.execute(VANISHED)
    await session.execute(SNAPSHOT)


async def _shape_new_cells(session: WriteSession) -> None:
    unshaped = np.sort(np.array(list(await session.scalars(UNSHAPED)), dtype=np.uint64))
    # Outlines are drawn one resolution at a time; ids sort by resolution first.
    edges = np.searchsorted(resolutions(unshaped), np.arange(COARSEST, FINEST + 2))
    for first, last in pairwise(edges.tolist()):
        for start in range(first, last, SHAPES_AT_ONCE):
            cells = unshaped[start : min(start + SHAPES_AT_ONCE, last)]
            await session.execute(SHAPE, await asyncio.to_thread(_shapes, cells))


def _shapes(cells: NDArray[np.uint64]) -> dict[str, list[Any]]:
    lon, lat = points_from_cells(cells)
    return {
        "cells": cells.astype(np.int64).tolist(),
        "areas": area_km2(cells).tolist(),
        "lons": lon.tolist(),
        "lats": lat.tolist(),
        "outlines": [outline.wkb for outline in cell_outlines(cells)],
    }
