"""Sums of the rollups over ground that is made of cells of several resolutions."""

from functools import lru_cache

import numpy as np
from sqlalchemy import SmallInteger

from app.db.heat_sums import (
    FINEST_TOTAL,
    Measure,
    Sums,
    chosen,
    packing,
    rollup_of,
    unpack,
    walking,
)
from app.db.prepared import Prepared, written
from app.db.session import AnyReader, rows
from app.db.spatial import open_spans
from geo.cells import CellArray, joined_ranges, resolutions

NOTHING = Sums(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64), np.empty(0))
Kinds = tuple[str, ...] | None


async def read_piece_sums(
    reader: AnyReader,
    measure: Measure,
    pieces: CellArray,
    resolution: int,
    classes: Kinds = None,
    segments: Kinds = None,
) -> Sums:
    """Return the sums of cells with customers, by id.

    Parameters
    ----------
    measure
        What the amounts are sums of, as `app.db.heat.read_sums` says.
    pieces : (m,)
        Disjoint cells, none finer than FINEST.
    resolution
        At least COARSEST. Of a coarser piece the sums are those of its descendants there.
    classes, segments
        Those of the customers that count; all where there is None.
    """
    levels = np.maximum(resolutions(pieces), resolution)
    is_whole = classes is None and segments is None
    # Totals are kept down to a resolution, and of all customers only.
    has_totals = levels <= FINEST_TOTAL if is_whole else np.zeros(len(levels), dtype=np.bool_)
    found = NOTHING
    for of_totals in (True, False):
        here = has_totals == of_totals
        spans = _spans(pieces[here], levels[here])
        if spans is None:
            continue
        statement = _statement(measure, of_totals, classes is not None, segments is not None)
        ((packed,),) = await rows(
            reader, statement, **spans, classes=classes and list(classes),
            segments=segments and list(segments),
        )  # fmt: skip
        found = together(found, unpack(packed))
    return found


def together(these: Sums, those: Sums) -> Sums:
    """Return the sums of two sets of customers by id."""
    cells, at = np.unique(np.concatenate([these.cells, those.cells]), return_inverse=True)
    customers = np.bincount(at, np.concatenate([these.customers, those.customers]), len(cells))
    amounts = np.bincount(at, np.concatenate([these.amounts, those.amounts]), len(cells))
    return Sums(cells, customers.astype(np.int64), amounts.astype(np.float64))


def _spans(pieces: CellArray, levels: np.ndarray) -> dict[str, object] | None:
    """Return the ranges of ids that the descendants of cells at the level of each lie in."""
    level: list[int] = []
    bounds = []
    for resolution in np.unique(levels).tolist():
        bounds.append(np.column_stack(joined_ranges(pieces[levels == resolution], resolution)))
        level += [resolution] * len(bounds[-1])
    if not bounds:
        return None
    first, last = np.concatenate(bounds).T
    return {"level": level, "first": written(first), "last": written(last)}


@lru_cache
def _statement(
    measure: Measure, of_totals: bool, has_classes: bool, has_segments: bool
) -> Prepared:
    sums, table = rollup_of(measure, of_totals)
    sums = chosen(sums, has_classes, has_segments)
    return packing(walking(sums, table.cell, open_spans(level=SmallInteger), table.resolution))
