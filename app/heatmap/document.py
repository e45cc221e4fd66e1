"""The answer of the heatmap as bytes: a document of thousands of cells in some ten milliseconds."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from app.heatmap.request import HeatRequest
from geo.cells import CellArray, cells_to_text
from geo.outlines import cell_outlines

Floats = NDArray[np.float64]

# 0.1 m.
DIGITS = 6
N_CLASSES = 7
# Above it not every whole number is one.
MOST_EXACT = 2.0**53


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the numbers stand for.

    `day` is the date before which a visit must have been due to be overdue. Everything committed
    before `at` is in the rollups of this `generation`; both are None where customers are read as
    they are.
    """

    day: date | None = None
    generation: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heat:
    """Cells (n,), the value of each, and the one number of all, if there is any."""

    cells: CellArray
    values: Floats
    total: float | None


def total_of(values: Floats) -> float:
    """Return the sum."""
    return float(values.sum())


def mean_of(values: Floats, weights: Floats) -> float:
    """Return the weighted mean, 0 of nothing."""
    return float((values * weights).sum() / weights.sum()) if len(values) else 0.0


def write_document(wanted: HeatRequest, heat: Heat, resolution: int, fresh: Freshness) -> bytes:
    """Return the JSON of the answer."""
    numbers = _numbers(heat.values)
    is_dated = "visit_gap" in (wanted.measure, wanted.of)
    document: dict[str, Any] = {
        **_rows(wanted, heat.cells, numbers),
        "breaks": _numbers(breaks(heat.values)),
        "total": None if heat.total is None else _numbers(np.array([heat.total]))[0],
        "measure": wanted.measure,
        "of": wanted.of if wanted.of != wanted.measure else None,
        "resolution": resolution,
        "as_of": fresh.day if is_dated else None,
        "generation": fresh.generation,
        "fresh_at": fresh.at,
    }
    return orjson.dumps(document)


def breaks(values: Floats) -> Floats:
    """Return quantiles of the values as borders between up to seven classes, ascending.

    A class that began at the lowest value would leave none below it.
    """
    if len(values) == 0:
        return values
    shares = np.arange(1, N_CLASSES) / N_CLASSES
    ranks = np.ceil(shares * len(values)).astype(np.int64) - 1
    edges: Floats = np.unique(np.sort(values)[ranks])
    above: Floats = edges[edges > values.min()]
    return above


def _rows(wanted: HeatRequest, cells: CellArray, numbers: list[float | int]) -> dict[str, Any]:
    names = cells_to_text(cells)
    if wanted.format == "cells":
        return {"cells": list(zip(names, numbers, strict=True))}
    # Put together as text, which is half the time of objects that are then written.
    features = ",".join(
        f'{{"type":"Feature","id":"{name}","geometry":{outline},'
        f'"properties":{{"cell":"{name}","value":{number}}}}}'
        for name, outline, number in zip(names, OUTLINES.of(cells), numbers, strict=True)
    )
    return {"type": "FeatureCollection", "features": orjson.Fragment(f"[{features}]")}


class DrawnCells:
    """Outlines as GeoJSON of the cells that were shown lately: a map is asked for again and again.

    To draw the cells takes more than half of the time of an answer.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[int, str] = {}

    def of(self, cells: CellArray) -> list[str]:
        """Return the outline of each cell; one cut at 180° has two parts."""
        ids: list[int] = cells.tolist()
        found = [self._kept.get(cell) for cell in ids]
        missing = [index for index, outline in enumerate(found) if outline is None]
        drawn = _drawn(cells[missing])
        # Other threads may be drawing too: what is kept is exchanged whole, never taken from.
        if len(self._kept) + len(drawn) > self._most:
            self._kept = {}
        self._kept.update(zip((ids[index] for index in missing), drawn, strict=True))
        new = iter(drawn)
        return [next(new) if outline is None else outline for outline in found]


def _drawn(cells: CellArray) -> list[str]:
    outlines = np.array(cell_outlines(cells), dtype=object)
    rounded = shapely.transform(outlines, lambda degrees: np.round(degrees, DIGITS))
    texts: list[str] = shapely.to_geojson(rounded).tolist()
    return texts


# Some 300 bytes each.
OUTLINES = DrawnCells(most=60_000)


def _numbers(values: Floats) -> list[float | int]:
    """Return whole numbers as such: JSON says 3, not 3.0."""
    if np.all((values == np.rint(values)) & (np.abs(values) < MOST_EXACT)):
        whole: list[float | int] = values.astype(np.int64).tolist()
        return whole
    numbers: list[float | int] = values.tolist()
    return numbers
