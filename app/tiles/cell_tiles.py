"""Tiles of a plan's cells: each by itself where they are large enough, else summed up."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Double, Integer, Text, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.db import scope as scopes
from app.db.heat_sums import COARSEST, Sums
from app.db.piece_sums import read_piece_sums
from app.db.prepared import Prepared, left_open, written
from app.db.scope import Scope
from app.db.session import AnyReader, rows
from app.db.tables import Territory
from app.tiles.apart import apart
from app.tiles.encoding import encode, encoding_shapes, hexadecimal, of_shapes, packed
from app.tiles.grid import EXTENT, MARGIN, MAX_BYTES
from app.tiles.plan_cells import KnownPlans, Level, Pieces
from app.tiles.plans import ShownPlan
from geo.cell_sets import owners_of
from geo.tile_shapes import cells_on_tile
from geo.tiles import resolution_for_zoom

LAYER = "cells"
# More would be too large anyway: a cell takes 60 to 120 bytes.
MOST_CELLS = 8_000
# Statements kept, one for each scope.
MOST_KEPT = 512
NO_CELLS = np.empty(0, dtype=np.uint64)
UNTOLD = Sums(NO_CELLS, np.empty(0, dtype=np.int64), np.empty(0))


async def read_tile(
    reader: AnyReader,
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
    plan_cells = await known.find(reader, plan.id, plan.version)
    territories = await rows(reader, _territories(scope), plan_id=plan.id)
    own = None if scope.is_unlimited else frozenset(row[0] for row in territories)
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
        sums = UNTOLD
        if counted is not None:
            pieces = await plan_cells.pieces(resolution)
            sums = await _sums(reader, plan, level, pieces, near, counted)
        placed = await apart(len(near), _placed, tile, level, near, territories, sums)
        drawn = await encode(reader, _encoding(), placed)
        if len(drawn) <= MAX_BYTES:
            break
    return drawn


@lru_cache(maxsize=MOST_KEPT)
def _territories(scope: Scope) -> Prepared:
    """Return the statement for the territories of `plan_id` in scope."""
    shown = Territory.ordinal, Territory.id, Territory.code, Territory.colour
    of_plan = Territory.plan_id == left_open("plan_id", BigInteger())
    return Prepared(select(*shown).where(of_plan, scopes.territories(scope)))


async def _sums(
    reader: AnyReader,
    plan: ShownPlan,
    level: Level,
    pieces: Pieces,
    near: NDArray[np.int64],
    fewest: int,
) -> Sums:
    """Return the customers that the plan's layer accepts, and their work, of some shown cells.

    Of the ground that these stand for: an ancestor at the border of the plan holds more than that.
    """
    is_near = np.zeros(len(level.cells), dtype=np.bool_)
    is_near[near] = True
    cells = pieces.cells[is_near[pieces.shown]]
    accepted = (plan.customer_filter.get(kind) for kind in ("class", "segment"))
    found = await read_piece_sums(reader, "work_minutes", cells, COARSEST, *accepted)
    shown, n = owners_of(level.cells, found.cells), len(level.cells)
    customers = np.bincount(shown, found.customers, n).astype(np.int64)
    amounts = np.bincount(shown, found.amounts, n).astype(np.float64)
    return Sums(level.cells, customers, amounts).only(customers >= fewest)


@cache
def _encoding() -> Prepared:
    """Return the statement for cells; of their territories each is sent once, and its number."""
    cells = of_shapes(
        cell=BigInteger, nth=Integer, n_cells=BigInteger, customers=BigInteger, work_minutes=Double
    )
    types = {"ids": BigInteger, "codes": Text, "colours": Integer}
    arrays = [left_open(name, ARRAY(type_)).label(name) for name, type_ in types.items()]
    owners = select(*arrays).subquery("owners").c
    return encoding_shapes(
        LAYER,
        cells,
        hexadecimal(cells.c.cell),
        owners.ids[cells.c.nth].label("territory_id"),
        owners.codes[cells.c.nth].label("code"),
        owners.colours[cells.c.nth].label("colour"),
        cells.c.n_cells,
        cells.c.customers,
        cells.c.work_minutes,
    )


def _placed(
    tile: tuple[int, int, int],
    level: Level,
    near: NDArray[np.int64],
    territories: Sequence[Any],
    sums: Sums,
) -> dict[str, Any]:
    shapes, shown = cells_on_tile(tile, EXTENT, MARGIN, level.cells[near])
    shown = near[shown]
    cells = level.cells[shown]
    present, owner = np.unique(level.ordinals[shown], return_inverse=True)
    known = {row[0]: row[1:] for row in territories}
    own = [known[ordinal] for ordinal in present.tolist()]
    ids, codes, colours = ([row[i] for row in own] for i in range(3))
    at = np.searchsorted(sums.cells, cells)
    is_told = at < len(sums.cells)
    is_told[is_told] = sums.cells[at[is_told]] == cells[is_told]
    customers, amounts = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells))
    customers[is_told] = sums.customers[at[is_told]]
    amounts[is_told] = sums.amounts[at[is_told]]
    return {
        **packed(shapes),
        "cell": written(cells),
        "nth": written(owner + 1),
        "ids": ids, "codes": codes, "colours": colours,
        "n_cells": written(level.n_cells[shown]),
        "customers": written(customers, is_told),
        "work_minutes": written(amounts, is_told),
    }  # fmt: skip
