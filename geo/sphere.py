"""The Earth as a sphere: unit vectors, centroids, and areas of longitude-latitude polygons.

The radius is that of the sphere with the Earth's surface area, the one H3 uses for cell areas,
so that areas computed here and there can be compared.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from geo.errors import CoordinateError

FloatArray = npt.NDArray[np.float64]

EARTH_RADIUS_M = 6_371_007.180918475
"""Authalic radius of WGS 84, as in H3 (``EARTH_RADIUS_KM`` in its constants)."""

EARTH_AREA_KM2 = 4.0 * math.pi * (EARTH_RADIUS_M / 1000.0) ** 2

_REPORTED_INDICES = 10


def checked_points(lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Coordinates as two float arrays of one length, known to be on Earth.

    Raises
    ------
    CoordinateError
        ``coordinates_differ_in_length``, ``coordinates_not_finite`` or
        ``coordinates_out_of_range``; the latter two name how many and the first indices, and
        say so when swapping longitude and latitude would bring every bad point into range.
    """
    lon = np.atleast_1d(np.asarray(lon, dtype=np.float64))
    lat = np.atleast_1d(np.asarray(lat, dtype=np.float64))
    if lon.shape != lat.shape or lon.ndim != 1:
        raise CoordinateError(
            "coordinates_differ_in_length",
            f"longitudes {lon.shape} and latitudes {lat.shape} must be two lists of one length",
        )
    _refuse(~(np.isfinite(lon) & np.isfinite(lat)), "coordinates_not_finite", lon, lat)
    _refuse((np.abs(lon) > 180.0) | (np.abs(lat) > 90.0), "coordinates_out_of_range", lon, lat)
    return lon, lat


def _refuse(bad: npt.NDArray[np.bool_], code: str, lon: FloatArray, lat: FloatArray) -> None:
    indices = np.flatnonzero(bad)
    if len(indices) == 0:
        return
    first = int(indices[0])
    would_swap = bool(np.all((np.abs(lat[indices]) <= 180.0) & (np.abs(lon[indices]) <= 90.0)))
    hint = "; swapping longitude and latitude would fix it" if would_swap else ""
    raise CoordinateError(
        code,
        f"{len(indices)} of {len(lon)} points: {code.replace('_', ' ')}, first at index {first} "
        f"(lon {lon[first]}, lat {lat[first]}){hint}",
        n_bad=len(indices),
        indices=indices[:_REPORTED_INDICES].tolist(),
        would_swap=would_swap,
    )


def unit_vectors(lon: FloatArray, lat: FloatArray) -> FloatArray:
    """Points as (n, 3) vectors of length one from the Earth's centre."""
    lon_rad, lat_rad = np.radians(lon), np.radians(lat)
    across = np.cos(lat_rad)
    return np.stack([across * np.cos(lon_rad), across * np.sin(lon_rad), np.sin(lat_rad)], axis=-1)


def spherical_centroid(lon: FloatArray, lat: FloatArray) -> tuple[float, float]:
    """Longitude and latitude of the mean direction of the points.

    The mean of longitudes would put points on both sides of the antimeridian on the wrong side
    of the globe. Points that cancel out (two antipodes) have no mean direction; the first point
    then serves, since any place is as good.
    """
    mean = unit_vectors(lon, lat).mean(axis=0)
    if np.linalg.norm(mean) < 1e-9:
        return float(lon[0]), float(lat[0])
    return (
        float(np.degrees(np.arctan2(mean[1], mean[0]))),
        float(np.degrees(np.arctan2(mean[2], np.hypot(mean[0], mean[1])))),
    )


def ring_area_km2(lon: FloatArray, lat: FloatArray) -> float:
    """Signed area of a closed ring whose edges are straight in longitude and latitude.

    Positive when counter-clockwise. By Green's theorem the area is minus R² times the integral of
    sin(lat) dlon along the ring, and the mean of sin(lat) along a straight edge is
    (cos(lat1) - cos(lat2)) / (lat2 - lat1), so this is exact.
    """
    phi = np.radians(lat)
    delta_phi = np.diff(phi)
    level = np.abs(delta_phi) < 1e-12
    mean_sine = np.where(
        level,
        np.sin(phi[:-1]),
        (np.cos(phi[:-1]) - np.cos(phi[1:])) / np.where(level, 1.0, delta_phi),
    )
    return float(-np.sum(np.radians(np.diff(lon)) * mean_sine) * (EARTH_RADIUS_M / 1000.0) ** 2)


def polygon_area_km2(geometry: BaseGeometry) -> float:
    """Area of a polygon or multipolygon, holes taken off, edges straight in lon and lat."""
    area_km2 = 0.0
    for polygon in shapely.get_parts(geometry):
        for hole in polygon.interiors:
            area_km2 -= abs(ring_area_km2(*shapely.get_coordinates(hole).T))
        area_km2 += abs(ring_area_km2(*shapely.get_coordinates(polygon.exterior).T))
    return area_km2


def border_km(geometry: BaseGeometry) -> float:
    """Length of all rings of a polygon, each edge measured as if at its middle latitude."""
    length_rad = 0.0
    for ring in shapely.get_rings(geometry):
        lon, lat = np.radians(shapely.get_coordinates(ring)).T
        middle = (lat[1:] + lat[:-1]) / 2.0
        length_rad += float(np.hypot(np.diff(lat), np.diff(lon) * np.cos(middle)).sum())
    return length_rad * EARTH_RADIUS_M / 1000.0


def cap_boxes(
    lon: FloatArray, lat: FloatArray, radius_rad: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Boxes around spherical caps; all longitudes where the cap holds a pole."""
    radius_deg = np.degrees(radius_rad)
    ratio = np.sin(radius_rad) / np.maximum(np.cos(np.radians(lat)), 1e-12)
    polar = (np.abs(lat) + radius_deg >= 90.0) | (ratio >= 1.0)
    half_width = np.degrees(np.arcsin(np.minimum(ratio, 1.0)))
    return (
        np.where(polar, -180.0, lon - half_width),
        np.maximum(lat - radius_deg, -90.0),
        np.where(polar, 180.0, lon + half_width),
        np.minimum(lat + radius_deg, 90.0),
    )
