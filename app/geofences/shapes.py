"""From what a request says of a fence to its ground, checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from app.errors import Fault, InvalidInput
from app.geofences.schemas import MOST_CELLS, GeofenceBody, RepairView
from geo.antimeridian import Polygonal
from geo.cell_sets import without_inner
from geo.cells import CUSTOMER_RESOLUTION, CellArray, cells_from_text, distinct, resolutions
from geo.circle import circle_outline
from geo.errors import CellError, CoordinateError, GeometryError, TooManyCellsError
from geo.fill import fill
from geo.geojson import polygon_from_geojson, repaired_polygon_from_geojson
from geo.outlines import territory_outlines
from geo.sphere import checked_points

# What tells the ground of each kind.
MEMBERS: dict[str, tuple[str, ...]] = {
    "polygon": ("geometry",),
    "circle": ("lon", "lat", "radius_m"),
    "service_circle": ("lon", "lat", "radius_m"),
    "cells": ("cells", "geometry", "resolution"),
    "catchment": (),
}
SHAPE_MEMBERS = ("geometry", "lon", "lat", "radius_m", "cells", "resolution", "repair")


@dataclass(frozen=True, slots=True)
class Shape:
    """The ground of a fence: what is drawn, and what decides when that does not.

    `centre` is lon and lat; `cells` are sorted, none inside another.
    """

    area: Polygonal
    centre: tuple[float, float] | None = None
    radius_m: float | None = None
    cells: CellArray | None = None
    repaired: list[RepairView] = field(default_factory=list)


def shape_of(kind: str, body: GeofenceBody, pointer: str = "") -> Shape:
    """Return the ground that a request means; `pointer` is where the body stands in the request.

    Raises
    ------
    InvalidInput
        Naming the members that are missing, of another kind, or wrong, and the place on Earth
        where edges cross.
    """
    _check_members(kind, body, pointer)
    with refusing(pointer):
        if kind in ("circle", "service_circle"):
            assert body.lon is not None
            assert body.lat is not None
            assert body.radius_m is not None
            return circle_shape(body.lon, body.lat, body.radius_m)
        if kind == "cells" and body.cells:
            return cells_shape(_checked_cells(body.cells))
        area, repaired = _area(body)
        if kind == "polygon":
            return Shape(area, repaired=repaired)
        assert body.resolution is not None
        cells = fill(area, body.resolution, MOST_CELLS)
        if len(cells) == 0 or len(cells) > MOST_CELLS:
            detail = f"{len(cells)} cells have their centres in it; 1 to {MOST_CELLS:,} may"
            fault = Fault("cells", detail, f"{pointer}/resolution")
            raise InvalidInput("The geometry does not fit the resolution.", [fault])
        return cells_shape(cells, repaired)


def circle_shape(lon: float, lat: float, radius_m: float) -> Shape:
    """Return a geodesic circle."""
    return Shape(circle_outline(lon, lat, radius_m), (lon, lat), radius_m)


def cells_shape(cells: CellArray, repaired: list[RepairView] | None = None) -> Shape:
    """Return the ground of sorted cells, none inside another."""
    outline = territory_outlines(cells, np.zeros(len(cells), dtype=np.int64))[0]
    return Shape(outline, cells=cells, repaired=repaired or [])


@contextmanager
def refusing(pointer: str) -> Iterator[None]:
    """Turn what geometry finds wrong into a refusal that names the member."""
    try:
        yield
    except GeometryError as error:
        place = f"{pointer}/geometry{error.pointer}"
        fault = Fault(error.code.replace("_", "-"), error.message, place)
        raise InvalidInput("The geometry cannot be used.", [fault]) from None
    except TooManyCellsError as error:
        fault = Fault("too-many-cells", error.message, f"{pointer}/resolution")
        raise InvalidInput("This would be too many cells.", [fault]) from None
    except CellError as error:
        index = error.facts.get("indices", [error.facts.get("index", 0)])[0]
        fault = Fault(error.code.replace("_", "-"), error.message, f"{pointer}/cells/{index}")
        raise InvalidInput("The cells cannot be used.", [fault]) from None


def check_place(lon: float, lat: float, pointer: str) -> None:
    """Refuse a place that is not on Earth, with a hint when swapping would fix it.

    Raises
    ------
    InvalidInput
        Naming the coordinate.
    """
    try:
        checked_points(lon, lat)
    except CoordinateError as error:
        wrong = "lat" if abs(lat) > 90 else "lon"
        fault = Fault(error.code.replace("_", "-"), error.message, f"{pointer}/{wrong}")
        raise InvalidInput("This is no place on Earth.", [fault]) from None


def _check_members(kind: str, body: GeofenceBody, pointer: str) -> None:
    mine = MEMBERS[kind]
    given = {name for name in SHAPE_MEMBERS[:-1] if getattr(body, name) not in (None, [])}
    needed: tuple[str, ...] = mine
    if kind == "cells":
        needed = ("geometry", "resolution") if given & {"geometry", "resolution"} else ("cells",)
    faults = [
        Fault("missing", f"a fence of kind {kind} needs it", f"{pointer}/{name}")
        for name in needed
        if name not in given
    ]
    faults += [
        Fault("not-of-this-kind", f"a fence of kind {kind} has none of it", f"{pointer}/{name}")
        for name in sorted(given - set(needed))
    ]
    if faults:
        raise InvalidInput(f"This does not tell the ground of a fence of kind {kind}.", faults)
    if body.lon is not None and body.lat is not None:
        check_place(body.lon, body.lat, pointer)


def _area(body: GeofenceBody) -> tuple[Polygonal, list[RepairView]]:
    if not body.repair:
        return polygon_from_geojson(body.geometry), []
    area, repairs = repaired_polygon_from_geojson(body.geometry)
    return area, [
        RepairView(
            code=found.code.replace("_", "-"),
            detail=found.message,
            pointer=f"/geometry{found.pointer}",
        )
        for found in repairs
    ]


def _checked_cells(texts: list[str]) -> CellArray:
    cells = cells_from_text(texts)
    too_fine = np.flatnonzero(resolutions(cells) > CUSTOMER_RESOLUTION)
    if len(too_fine):
        raise CellError(
            "too_fine",
            f"cells finer than resolution {CUSTOMER_RESOLUTION} hold no point that is looked up",
            index=int(too_fine[0]),
        )
    return without_inner(distinct(cells))
