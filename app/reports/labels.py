"""Codes on a map, none over another: where each stands and how large, or that it has no room."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from matplotlib.textpath import TextPath
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

SIZES_PT = (10.0, 8.5, 7.0, 6.0, 5.0, 4.2, 3.6)
# Around the text, for its halo and the eye.
MARGIN_PT = 0.8
# Tries beside the place for a label, in parts of its own size, the nearest first.
STEPS = np.array(
    sorted(
        ((x / 4, y / 2) for x in range(-6, 7) for y in range(-6, 7)),
        key=lambda step: (np.hypot(*step), step),
    )
)


@dataclass(frozen=True, slots=True)
class Label:
    """A code that has room; place in the units of the map."""

    code: str
    x: float
    y: float
    size_pt: float


def place_labels(
    codes: Sequence[str],
    outlines: Sequence[BaseGeometry],
    places: NDArray[np.float64],
    view: tuple[float, float, float, float],
    units_per_pt: float,
    reserved: Sequence[BaseGeometry] = (),
) -> tuple[list[Label], list[str]]:
    """Return the labels that have room, and the codes that have none.

    The smallest areas choose first, since they have the least choice. A label is as large as fits
    into its area; only the smallest size may reach out of it, and no label touches another.

    Parameters
    ----------
    outlines
        (k,) areas in the units of the map.
    places
        (k, 2) where each label would rather stand.
    view
        West, south, east, north of the map, which labels do not leave.
    units_per_pt
        Units of the map that a point of type covers.
    reserved
        What labels keep off beside each other.
    """
    placed: list[Label] = []
    taken = list(reserved)
    missing: list[str] = []
    frame = shapely.box(*view)
    for number in np.argsort(shapely.area(list(outlines)), kind="stable").tolist():
        shapely.prepare(outlines[number])
        found = _find_room(
            codes[number], outlines[number], places[number], frame, taken, units_per_pt
        )
        if found is None:
            missing.append(codes[number])
        else:
            placed.append(found[0])
            taken.append(found[1])
    return placed, sorted(missing)


def _find_room(
    code: str,
    outline: BaseGeometry,
    place: NDArray[np.float64],
    frame: BaseGeometry,
    taken: list[BaseGeometry],
    units_per_pt: float,
) -> tuple[Label, BaseGeometry] | None:
    tree = STRtree(taken)
    for size in SIZES_PT:
        extent = np.array(_extent(code, size)) * units_per_pt
        middles = place + STEPS * extent
        corners = [*(middles - extent / 2).T, *(middles + extent / 2).T]
        bodies = np.asarray(shapely.box(*corners), dtype=object)
        may = shapely.contains if size > SIZES_PT[-1] else shapely.intersects
        fits = np.asarray(may(outline, bodies)) & np.asarray(shapely.contains(frame, bodies))
        fits[tree.query(bodies, "intersects")[0]] = False
        if fits.any():
            first = int(np.argmax(fits))
            x, y = middles[first].tolist()
            return Label(code, x, y, size), bodies[first]
    return None


@lru_cache(maxsize=10_000)
def _extent(code: str, size: float) -> tuple[float, float]:
    """Width and height in points, with the margin around."""
    bounds = TextPath((0, 0), code, size=size).get_extents()
    return bounds.width + 2 * MARGIN_PT, bounds.height + 2 * MARGIN_PT
