"""Distances on the Earth in metres."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo.sphere import EARTH_RADIUS_M, FloatArray


def great_circle_m(
    from_lon: npt.ArrayLike, from_lat: npt.ArrayLike, to_lon: npt.ArrayLike, to_lat: npt.ArrayLike
) -> FloatArray:
    """Great-circle distance in metres, by broadcasting; off the ellipsoid by up to 0.56 %.

    The haversine form, which keeps its digits for points metres apart.
    """
    lon_1, lat_1 = np.radians(from_lon), np.radians(from_lat)
    lon_2, lat_2 = np.radians(to_lon), np.radians(to_lat)
    haversine = (
        np.sin((lat_2 - lat_1) / 2) ** 2
        + np.cos(lat_1) * np.cos(lat_2) * np.sin((lon_2 - lon_1) / 2) ** 2
    )
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(haversine, 1.0))))


def arcs_m(chords: FloatArray) -> FloatArray:
    """Great-circle metres between points whose unit vectors are a chord apart."""
    return np.asarray(2.0 * EARTH_RADIUS_M * np.arcsin(np.minimum(chords / 2.0, 1.0)))
