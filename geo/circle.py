"""Geodesic circles as rings to draw."""

from __future__ import annotations

import numpy as np
import shapely
from pyproj import Geod
from shapely.geometry import MultiPolygon, Polygon

from geo.antimeridian import Polygonal, cut_rings
from geo.sphere import checked_points

_WGS84 = Geod(ellps="WGS84")
# The ring of so many corners leaves out 0.04 % of the radius in the middle of its edges.
_N_VERTICES = 120


def circle_outline(lon: float, lat: float, radius_m: float) -> Polygonal:
    """A ring of points exactly ``radius_m`` from a place on the WGS 84 ellipsoid, filled.

    In degrees, counter-clockwise; cut where it crosses the antimeridian, and led over the pole
    that it goes round. It is what is drawn: between its corners the circle bulges a little.

    Raises
    ------
    CoordinateError
        When the place is not on Earth.
    """
    checked_points(lon, lat)
    # Half a step off north, so that no corner lies on the meridian of the centre, where a circle
    # may touch a pole.
    azimuths = 360.0 - (np.arange(_N_VERTICES) + 0.5) * (360.0 / _N_VERTICES)
    start = np.full(_N_VERTICES, lon), np.full(_N_VERTICES, lat)
    lons, lats, _ = _WGS84.fwd(*start, azimuths, np.full(_N_VERTICES, radius_m))
    # Each corner on one side of the antimeridian, as outlines of cells have it.
    lons = np.where(np.abs(lons) == 180.0, -180.0 + 1e-10, lons)
    ring = np.column_stack([np.append(lons, lons[0]), np.append(lats, lats[0])])
    is_crossing = bool(np.any(np.abs(np.diff(ring[:, 0])) > 180.0))
    rings = cut_rings([ring]) if is_crossing else [ring]
    parts = [Polygon(part) for part in rings]
    return shapely.orient_polygons(parts[0] if len(parts) == 1 else MultiPolygon(parts))
