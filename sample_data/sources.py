"""The real inputs of the sample data: places and land, cut from larger open data sets."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
PLACES = FOLDER / "places.csv"
US_CITIES = FOLDER / "us_cities.csv.gz"
LAND = FOLDER / "land.geojson.gz"

# West, south, east, north: the Yangtze delta.
BOX_LON_LAT = (118.0, 29.5, 122.5, 33.0)
KM_PER_DEGREE = 111.195  # on the sphere of radius 6371.0088 km


def read_delta_places() -> pl.DataFrame:
    """Return the delta's populated places that have a population, in order of geonameid."""
    return pl.read_csv(PLACES, schema_overrides={"admin1": pl.String}).filter(
        pl.col("population") > 0
    )


def read_us_cities() -> pl.DataFrame:
    """Return all places of the United States; lon and lat stay text, so no digit changes."""
    return pl.read_csv(US_CITIES, schema_overrides={"lon": pl.String, "lat": pl.String})


def read_land() -> shapely.Geometry:
    """Return the land of the four provinces inside the box, without the water of Lake Tai."""
    land = shapely.from_geojson(gzip.decompress(LAND.read_bytes()))
    shapely.prepare(land)
    return land


def is_on_land(land: shapely.Geometry, lon_lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each (lon, lat) row whether it lies on `land`."""
    inside: NDArray[np.bool_] = shapely.contains_xy(land, lon_lat[:, 0], lon_lat[:, 1])
    return inside


def moved_by_km(
    lon_lat: NDArray[np.float64], offset_km: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Return `lon_lat` moved east and north by `offset_km`, rounded to 6 decimals."""
    lat = lon_lat[:, 1] + offset_km[:, 1] / KM_PER_DEGREE
    lon = lon_lat[:, 0] + offset_km[:, 0] / (KM_PER_DEGREE * np.cos(np.radians(lon_lat[:, 1])))
    return np.round(np.column_stack([lon, lat]), 6)


def distances_km(
    from_lon_lat: NDArray[np.float64], to_lon_lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n, m) distances in a plane touching the box's middle; errors stay below 2 %."""
    scale = KM_PER_DEGREE * np.array([np.cos(np.radians(31.25)), 1.0])
    offset = (from_lon_lat[:, None, :] - to_lon_lat[None, :, :]) * scale
    distance: NDArray[np.float64] = np.hypot(offset[..., 0], offset[..., 1])
    return distance
