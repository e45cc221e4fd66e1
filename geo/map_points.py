"""Where a point is on the map: once, or at both of its edges, or along all of its top."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from geo.sphere import FloatArray


def points_on_map(lon: FloatArray, lat: FloatArray) -> npt.NDArray[np.object_]:
    """Each point as a geometry of every place the map has for it, (n,).

    Longitudes -180 and 180 are the same ground, and at a pole all longitudes are: a polygon of the
    map holds such a point when it intersects any of these places.
    """
    shapes = np.asarray(shapely.points(lon, lat), dtype=np.object_)
    for index in np.flatnonzero((np.abs(lon) == 180.0) | (np.abs(lat) == 90.0)).tolist():
        ends = [(-180.0, float(lat[index])), (180.0, float(lat[index]))]
        is_pole = abs(lat[index]) == 90.0
        shapes[index] = shapely.LineString(ends) if is_pole else shapely.MultiPoint(ends)
    return shapes
