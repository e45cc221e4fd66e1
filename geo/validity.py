"""Why a polygon is not a valid one, and where."""

from __future__ import annotations

import re
from typing import cast

import shapely
from shapely.geometry import MultiPolygon

from geo.antimeridian import Polygonal
from geo.errors import GeometryError

_REASON = re.compile(r"^(?P<what>[^\[]+)(\[(?P<lon>\S+) (?P<lat>\S+)\])?$")

# What GEOS says, as a code and a sentence for whoever drew the shape.
_EXPLANATIONS = {
    "Self-intersection": ("self_intersection", "edges cross or overlap"),
    "Ring Self-intersection": ("ring_self_intersection", "a ring touches or crosses itself"),
    "Hole lies outside shell": ("hole_outside_shell", "a hole lies outside its outer ring"),
    "Holes are nested": ("nested_holes", "a hole lies inside another hole"),
    "Nested shells": ("nested_shells", "a polygon lies inside another"),
    "Interior is disconnected": ("interior_disconnected", "holes cut the polygon apart"),
    "Duplicate Rings": ("duplicate_rings", "a ring is given twice"),
    "Too few points in geometry component": ("ring_too_short", "a ring has too few points"),
}


def refuse_invalid(geometry: Polygonal, pointer: str = "") -> None:
    """Raise `GeometryError` with the reason and place unless the geometry is valid.

    Codes are those of the table above, or ``invalid_geometry``; facts ``lon`` and ``lat`` tell
    the place. A geometry without area is refused as ``no_area``.
    """
    if not shapely.is_valid(geometry):
        found = _REASON.match(shapely.is_valid_reason(geometry))
        what = found["what"] if found else "unknown"
        code, sentence = _EXPLANATIONS.get(what, ("invalid_geometry", what.lower()))
        if found is None or found["lon"] is None:
            raise GeometryError(code, sentence, pointer)
        lon, lat = (float(found["lon"]) + 180.0) % 360.0 - 180.0, float(found["lat"])
        raise GeometryError(
            code, f"{sentence}, near longitude {lon:g}, latitude {lat:g}", pointer, lon=lon, lat=lat
        )
    if geometry.area == 0.0:
        raise GeometryError("no_area", "the polygon has no area", pointer)


def made_valid(geometry: Polygonal) -> Polygonal:
    """The ground that the rings enclose, holes taken off; pieces without area are dropped."""
    mended = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    parts = [part for part in shapely.get_parts(mended) if part.geom_type == "Polygon"]
    return cast("Polygonal", parts[0] if len(parts) == 1 else MultiPolygon(parts))
