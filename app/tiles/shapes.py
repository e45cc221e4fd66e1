"""Cells as they are drawn on tiles."""

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.cells import CellArray
from geo.outlines import cell_outlines
from geo.tiles import MAX_LATITUDE, WEB_MERCATOR_RADIUS_M


def mercator_outlines(cells: CellArray) -> list[bytes]:
    """Return the outline of each cell on the map of the tiles, as WKB."""
    outlines = np.array(cell_outlines(cells), dtype=object)
    drawn: list[bytes] = shapely.to_wkb(shapely.transform(outlines, _mercator)).tolist()
    return drawn


def _mercator(lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return web mercator metres (n, 2) of degrees (n, 2); the map ends at 85.05 degrees."""
    lat = np.radians(np.clip(lon_lat[:, 1], -MAX_LATITUDE, MAX_LATITUDE))
    return WEB_MERCATOR_RADIUS_M * np.column_stack(
        (np.radians(lon_lat[:, 0]), np.arcsinh(np.tan(lat)))
    )
