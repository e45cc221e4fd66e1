"""Where values are high or low together: the statistic Gi* of Getis and Ord."""

import numpy as np
from numpy.typing import NDArray

from geo.bbox import BoundingBox
from geo.cells import disks, mean_area_km2

Floats = NDArray[np.float64]

KM_PER_DEGREE = 111.2
# Cells of a resolution differ in area by up to two, and so do their widths by up to half as much.
WIDEST = 1.5


def gi_star(cells: NDArray[np.uint64], values: Floats, rings: int) -> Floats:
    """Return the z-score of each cell: how far the sum around it is from what chance would give.

    The study area is exactly these cells: those with customers. Cells without any are not zeros
    but outside, as sea and desert are; a cell's neighbourhood is itself and the given cells within
    `rings` steps, with weight 1 each. Where all values are equal, or the neighbourhood is the
    whole study area, nothing stands out: 0.

    Parameters
    ----------
    cells
        (n,) distinct cells of one resolution, ascending.
    values
        (n,) their values.
    rings
        Reach of the neighbourhood, from 1.

    References
    ----------
    Ord and Getis (1995), Local spatial autocorrelation statistics, Geographical Analysis 27 (4),
    equation 14.b for Gi*; Getis and Ord (1992) introduced it.
    """
    n = len(cells)
    if n < 2:
        return np.zeros(n)
    members, centres = disks(cells, rings)
    places = np.minimum(np.searchsorted(cells, members), n - 1)
    is_inside = cells[places] == members
    places, centres = places[is_inside], centres[is_inside]
    # Deviations from the mean: the numerator is then their sum, without cancellation.
    deviations = values - values.mean()
    sums = np.bincount(centres, weights=deviations[places], minlength=n)
    sizes = np.bincount(centres, minlength=n).astype(np.float64)
    variance = float((deviations**2).mean())
    spread = np.sqrt(variance * sizes * (n - sizes) / (n - 1))
    # Rounding alone makes equal values differ by about this.
    is_flat = spread <= 1e-12 * max(1.0, float(np.abs(values).max()))
    return np.where(is_flat, 0.0, sums / np.where(is_flat, 1.0, spread))


def with_margin(bbox: BoundingBox, resolution: int, rings: int) -> BoundingBox:
    """Return the box with the neighbourhoods of the cells at its border."""
    # A hexagon of area A is sqrt(8 A / sqrt(27)) from corner to corner.
    width_km = WIDEST * np.sqrt(8 * mean_area_km2(resolution) / np.sqrt(27))
    margin = float((rings + 1) * width_km / KM_PER_DEGREE)
    south, north = max(-90.0, bbox.south - margin), min(90.0, bbox.north + margin)
    narrowest = float(np.cos(np.radians(max(abs(south), abs(north)))))
    width = bbox.east - bbox.west + (360 if bbox.crosses_antimeridian else 0)
    if narrowest <= 0 or width + 2 * margin / narrowest >= 360:
        return BoundingBox(-180, south, 180, north)
    west, east = bbox.west - margin / narrowest, bbox.east + margin / narrowest
    return BoundingBox(
        west + 360 if west < -180 else west, south, east - 360 if east > 180 else east, north
    )
