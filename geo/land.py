"""Where there is land: Natural Earth's countries at 1:50 million, dissolved into one shape."""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib import resources
from typing import cast

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon

from geo.sphere import FloatArray


@lru_cache(maxsize=1)
def land() -> MultiPolygon:
    """The world's land in degrees, cut at the antimeridian; read on first use, then kept.

    The coast is simplified by some kilometres and small islands are missing, so a point outside
    may well stand on dry ground. Source and licence: ``geo/data/README.md``.
    """
    packed = resources.files("geo").joinpath("data", "land.wkb.gz").read_bytes()
    shape = shapely.from_wkb(gzip.decompress(packed))
    shapely.prepare(shape)
    return cast("MultiPolygon", shape)


def is_land(lon: FloatArray, lat: FloatArray) -> npt.NDArray[np.bool_]:
    """Which points lie on land."""
    return np.asarray(shapely.contains_xy(land(), lon, lat), dtype=np.bool_)
