"""Trade areas by gravity: the probability that demand in a cell goes to each of several anchors.

Huff's model: the pull of anchor j on cell i is attraction_j / distance_ij ** exponent, and its
probability is its share of all pulls on the cell.

References
----------
Huff, D. L. (1963). A probabilistic analysis of shopping center trade areas. Land Economics 39(1).
Huff, D. L. (1964). Defining and estimating a trading area. Journal of Marketing 28(3), eq. 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import shapely

from geo.antimeridian import Polygonal
from geo.cells import CellArray, IntArray, mean_area_km2, points_from_cells
from geo.circle import circle_outline
from geo.distance import arcs_m
from geo.errors import TooManyCellsError
from geo.fill import fill
from geo.sphere import EARTH_RADIUS_M, FloatArray, unit_vectors

# A geodesic circle and one on the sphere differ by up to 0.56 %, and the ring drawn of it leaves
# out 0.04 %: what is filled is a little larger, and every cell is measured afterwards.
_SAFETY = 1.01


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Of demand in cells to go to anchors; pairs beyond the cap have none and are not listed.

    Attributes
    ----------
    cell, anchor : (n_pairs,)
        Rows of the cells and of the anchors, sorted by cell, then anchor.
    probability : (n_pairs,)
        They sum to 1 over the pairs of a cell.
    """

    cell: IntArray
    anchor: IntArray
    probability: FloatArray


def cells_within(
    lon: FloatArray, lat: FloatArray, max_distance_m: float, resolution: int, max_cells: int
) -> CellArray:
    """Cells whose centres lie near anchors, sorted: all within the distance, a few a bit beyond.

    Raises
    ------
    TooManyCellsError
        ``too_many_cells``, from the area, before any cell is enumerated.
    """
    circles = [
        circle_outline(x, y, max_distance_m * _SAFETY)
        for x, y in zip(lon.tolist(), lat.tolist(), strict=True)
    ]
    ground = shapely.union_all(np.array(circles, dtype=object))
    return fill(cast("Polygonal", ground), resolution, max_cells)


def refuse_too_many_pairs(
    n_anchors: int, max_distance_m: float, resolution: int, max_pairs: int
) -> None:
    """Refuse a model of too many pairs of a cell and an anchor, before any is made.

    Raises
    ------
    TooManyCellsError
        ``too_many_pairs``.
    """
    cap_km2 = np.pi * (max_distance_m / 1000.0) ** 2
    n_pairs = n_anchors * cap_km2 / mean_area_km2(resolution)
    if n_pairs > max_pairs:
        raise TooManyCellsError(
            "too_many_pairs",
            f"about {n_pairs:,.0f} pairs of a cell and an anchor, {max_pairs:,} are allowed: take "
            "a coarser resolution, a smaller distance or fewer anchors",
            n_estimated=round(n_pairs),
            max_pairs=max_pairs,
        )


def huff_probabilities(
    cells: CellArray,
    lon: FloatArray,
    lat: FloatArray,
    attraction: FloatArray,
    exponent: float,
    max_distance_m: float,
) -> Probabilities:
    """Probabilities of each cell's demand to go to each anchor within the cap.

    Distances are great circles from the centres of the cells. None counts as shorter than half a
    mean cell edge: within its cell an anchor's place says nothing, and zero would pull without
    limit.

    Parameters
    ----------
    cells : (n_cells,) uint64
        Of one resolution.
    lon, lat, attraction : (n_anchors,)
        Degrees; attractions are positive, of any unit.
    """
    # Takes half a second of every start, and few starts need it.
    from scipy.spatial import cKDTree

    centres = unit_vectors(*points_from_cells(cells))
    anchors = unit_vectors(lon, lat)
    chord = 2.0 * np.sin(min(max_distance_m / EARTH_RADIUS_M, np.pi) / 2.0)
    near = cKDTree(anchors).query_ball_point(centres, chord, return_sorted=True)
    counts = np.fromiter((len(found) for found in near), np.int64, len(near))
    cell = np.repeat(np.arange(len(cells)), counts)
    anchor = np.fromiter((j for found in near for j in found), np.int64, int(counts.sum()))
    distance_m = arcs_m(np.linalg.norm(centres[cell] - anchors[anchor], axis=1))
    # As logarithms, less the strongest of each cell: no power overflows or vanishes.
    log_pull = np.log(attraction[anchor]) - exponent * np.log(
        np.maximum(distance_m, _shortest_m(cells))
    )
    strongest = np.full(len(cells), -np.inf)
    np.maximum.at(strongest, cell, log_pull)
    pull = np.exp(log_pull - strongest[cell])
    total = np.bincount(cell, pull, len(cells))
    return Probabilities(cell, anchor, pull / total[cell])


def most_likely(found: Probabilities, n_cells: int) -> IntArray:
    """The anchor of the largest probability of each cell, (n_cells,); the first of equals.

    -1 where no anchor is within the cap.
    """
    winners = np.full(n_cells, -1, dtype=np.int64)
    # The last one written stays: smallest probabilities first, and of equals the last anchor.
    order = np.lexsort((-found.anchor, found.probability))
    winners[found.cell[order]] = found.anchor[order]
    return winners


def expected_demand(found: Probabilities, demand: FloatArray, n_anchors: int) -> FloatArray:
    """Sums of probability times demand per anchor, (n_anchors,); ``demand`` is per cell."""
    weights = found.probability * demand[found.cell]
    return np.bincount(found.anchor, weights, n_anchors).astype(np.float64)


def _shortest_m(cells: CellArray) -> float:
    """Half the edge of a regular hexagon of the cells' mean area."""
    if len(cells) == 0:
        return 1.0
    resolution = int((int(cells[0]) >> 52) & 15)
    area_m2 = mean_area_km2(resolution) * 1e6
    return float(np.sqrt(area_m2 / (1.5 * np.sqrt(3.0))) / 2.0)
