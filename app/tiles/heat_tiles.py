"""Tiles of heat: hexagons with the sums of their customers."""

import asyncio
from typing import Any

import numpy as np
from sqlalchemy import text

from app.db.customer_filter import CustomerFilter
from app.db.heat import COARSEST, FINEST, Measure, Sums, read_sums
from app.db.scope import Scope
from app.db.session import AnySession
from app.tiles.grid import EXTENT, MAX_BYTES, ground
from app.tiles.shapes import mercator_outlines
from geo.cells import cells_to_text
from geo.tiles import resolution_for_zoom

# More would be too large anyway: a cell takes 40 to 90 bytes.
MOST_CELLS = 12_000

ENCODE = text("""
    SELECT ST_AsMVT(tile, 'heat', :extent, 'geom') FROM (
        SELECT ST_AsMVTGeom(ST_SetSRID(ST_GeomFromWKB(shape), 3857), ST_TileEnvelope(:z, :x, :y),
                :extent, :extent / 64, true) AS geom, cell, customers, value
        FROM unnest(CAST(:shapes AS bytea[]), CAST(:cells AS text[]), CAST(:customers AS bigint[]),
            CAST(:values AS float[])) AS t (shape, cell, customers, value)
    ) AS tile WHERE geom IS NOT NULL
""")


async def read_tile(
    session: AnySession,
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    tile: tuple[int, int, int],
    fewest: int,
) -> bytes:
    """Return the tile of heat, empty when none is there; cells with less than `fewest` are not."""
    drawn = b""
    finest = max(COARSEST, resolution_for_zoom(tile[0], FINEST))
    for resolution in range(finest, COARSEST - 1, -1):
        sums = await read_sums(
            session, scope, measure, wanted, resolution, ground(*tile), fewest, MOST_CELLS
        )
        if sums is None:
            continue
        if len(sums.cells) == 0:
            return b""
        values = await asyncio.to_thread(_drawn, sums, measure)
        place = {"extent": EXTENT, **dict(zip("zxy", tile, strict=True))}
        drawn = bytes(await session.scalar(ENCODE, values | place) or b"")
        if len(drawn) <= MAX_BYTES:
            break
    return drawn


def _drawn(sums: Sums, measure: Measure) -> dict[str, Any]:
    return {
        "shapes": mercator_outlines(sums.cells),
        "cells": cells_to_text(sums.cells),
        "customers": sums.customers.tolist(),
        "values": np.asarray(sums.amounts / sums.weights(measure)).tolist(),
    }
