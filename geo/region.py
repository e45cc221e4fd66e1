"""The ground a plan covers: given as a polygon, or the land around customers."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely

from geo.antimeridian import Polygonal, onto_one_map
from geo.cells import (
    CUSTOMER_RESOLUTION,
    CellArray,
    ancestors,
    as_cells,
    mean_area_km2,
    points_from_cells,
)
from geo.errors import RegionError, TooManyCellsError
from geo.fill import fill
from geo.pieces import Pieces
from geo.sphere import FloatArray
from geo.surroundings import Surroundings

StoppedBy = Literal["max_cells", "max_distance"]

# Where pieces cannot be joined up, as in an archipelago, a distance is not stretched to gain
# less than this share of the work.
_NEGLIGIBLE_SHARE = 0.002

# How much farther than needed the region reaches, if there is room.
_MARGIN = 2

# How many cells, sea included, are walked over for one that may be kept.
_EXPLORED_PER_CELL = 4

# How many resolutions coarser the search for a distance starts.
_HEAD_START = 4


@dataclass(frozen=True, slots=True)
class RegionLimits:
    """What an automatic region may cost to leave few customers cut off.

    Attributes
    ----------
    max_small_share
        Share of the work that pieces smaller than half a territory may hold.
    max_distance_m
        Farthest distance from customers that is tried.
    max_cells
        Most cells a region may have.
    """

    max_small_share: float = 0.01
    max_distance_m: float = 500_000.0
    max_cells: int = 300_000


DEFAULT_LIMITS = RegionLimits()


@dataclass(frozen=True, slots=True)
class Region:
    """Cells to be divided among territories.

    Attributes
    ----------
    cells : (n_cells,) uint64
        Sorted, of one resolution.
    resolution
        That resolution.
    distance_m
        Land up to this far from a customer is in: from the centre of a cell to the centre of
        the nearest cell with customers, along a great circle. None for a region that was given.
    small_piece_share
        Share of the work in connected pieces holding less than half a territory's. None for a
        region that was given.
    n_pieces
        Connected pieces. None for a region that was given.
    stopped_by
        Why the distance was not stretched further although small pieces hold more than wanted:
        farther land would be too many cells, or no distance tried joins the pieces up.
    """

    cells: CellArray
    resolution: int
    distance_m: float | None = None
    small_piece_share: float | None = None
    n_pieces: int | None = None
    stopped_by: StoppedBy | None = None


def automatic_region(
    cells12: npt.ArrayLike,
    work: npt.ArrayLike,
    n_territories: int,
    resolution: int,
    limits: RegionLimits = DEFAULT_LIMITS,
) -> Region:
    """The land within a distance of customers that leaves few of them cut off.

    The distance is twice the shortest, of two significant digits and at least one cell, for which
    connected pieces with less than half a territory's work hold at most
    ``limits.max_small_share`` of all: the shortest itself leaves holes and ragged rims wherever
    customers are sparse. Where there is none, twice the shortest that comes close to the best, and
    the answer says so. Cells with customers are always in, at sea too; pieces without customers
    are left out, since no territory could own them.

    Parameters
    ----------
    cells12 : (n_customers,) uint64
        The customers' cells of resolution 12.
    work : (n_customers,)
        At least 0, in any unit.
    n_territories
        How many territories share the work.
    resolution
        0 to 12.
    limits
        Where to stop stretching the distance.

    Raises
    ------
    RegionError
        ``no_customers``, ``bad_work``, ``bad_number_of_territories``.
    TooManyCellsError
        ``too_many_cells`` when the cells with customers alone are more than allowed.
    """
    levels = range(max(0, resolution - _HEAD_START), resolution + 1)
    *_, region = automatic_regions(cells12, work, n_territories, levels, limits)
    return region


def automatic_regions(
    cells12: npt.ArrayLike,
    work: npt.ArrayLike,
    n_territories: int,
    levels: range,
    limits: RegionLimits = DEFAULT_LIMITS,
) -> Iterator[Region]:
    """The automatic region at several resolutions, rising; see `automatic_region`.

    Coarse cells bridge more water than fine ones. So where a coarse resolution cannot join the
    pieces up, the finer ones do not try distances far beyond its, which saves walking the sea.
    """
    customers, workload = gathered_work(cells12, work, n_territories)
    half_territory = float(workload.sum()) / n_territories / 2.0
    for resolution in levels:
        region = _connected(customers, workload, half_territory, resolution, limits)
        yield region
        if region.stopped_by is not None and region.distance_m is not None:
            hopeless_m = region.distance_m + 2.0 * _cell_spacing_m(resolution)
            limits = replace(limits, max_distance_m=min(limits.max_distance_m, hopeless_m))


def region_from_geometry(
    geometry: Polygonal,
    resolution: int,
    cells12: npt.ArrayLike = (),
    max_cells: int = DEFAULT_LIMITS.max_cells,
) -> Region:
    """The cells whose centre lies in a polygon, and those of the customers who do.

    A customer just inside the border may belong to a cell whose centre is just outside; with
    ``cells12``, the customers' cells of resolution 12, such cells are in too.

    Raises
    ------
    TooManyCellsError
        ``too_many_cells``, before anything is enumerated.
    RegionError
        ``empty_region`` when the polygon is smaller than a cell and holds no centre of one.
    """
    filled = fill(geometry, resolution, max_cells)
    customers = as_cells(cells12)
    occupied = ancestors(customers[are_inside(geometry, customers)], resolution)
    cells = np.union1d(filled, occupied)
    if len(cells) == 0:
        raise RegionError(
            "empty_region", f"no cell of resolution {resolution} has its centre in the polygon"
        )
    return Region(cells, resolution)


def are_inside(geometry: Polygonal, cells: CellArray) -> npt.NDArray[np.bool_]:
    """Which cells have their centre inside a polygon."""
    within = onto_one_map(geometry)
    return np.asarray(shapely.contains_xy(within, *points_from_cells(cells)), dtype=np.bool_)


def gathered_work(
    cells12: npt.ArrayLike, work: npt.ArrayLike, n_territories: int
) -> tuple[CellArray, FloatArray]:
    """The distinct cells of customers, sorted, and the sum of work in each.

    Raises
    ------
    RegionError
        ``no_customers``, ``bad_work``, ``bad_number_of_territories``.
    """
    customers = as_cells(cells12)
    workload = np.atleast_1d(np.asarray(work, dtype=np.float64))
    if len(customers) == 0:
        raise RegionError("no_customers", "a region is made from customers: there are none")
    if n_territories < 1:
        raise RegionError(
            "bad_number_of_territories", f"{n_territories} territories: at least one is needed"
        )
    if workload.shape != customers.shape or not np.all(np.isfinite(workload) & (workload >= 0)):
        raise RegionError(
            "bad_work", f"{len(customers)} finite amounts of work of at least 0 are needed"
        )
    order = np.argsort(customers)
    return work_by_ancestor(customers[order], workload[order], CUSTOMER_RESOLUTION)


def work_by_ancestor(
    cells: CellArray, work: FloatArray, resolution: int
) -> tuple[CellArray, FloatArray]:
    """The distinct ancestors of sorted cells of one resolution, and the sum of work in each."""
    # Ancestors keep the order of the ids, so equal ones stand together without another sort.
    parents = ancestors(cells, resolution)
    firsts = np.flatnonzero(np.append(True, parents[1:] != parents[:-1]))
    return parents[firsts], np.add.reduceat(work, firsts)


def _connected(
    customers: CellArray,
    workload: FloatArray,
    half_territory: float,
    resolution: int,
    limits: RegionLimits,
) -> Region:
    """The region at one resolution, by doubling the distance and then halving the interval."""
    occupied, work = work_by_ancestor(customers, workload, resolution)
    if len(occupied) > limits.max_cells:
        raise TooManyCellsError(
            "too_many_cells",
            f"customers lie in {len(occupied):,} cells of resolution {resolution}, "
            f"{limits.max_cells:,} are allowed",
            n_estimated=len(occupied),
            max_cells=limits.max_cells,
        )
    around = Surroundings(occupied, _EXPLORED_PER_CELL * limits.max_cells + len(occupied))
    shortest_m = reach_m = _cell_spacing_m(resolution)
    while True:
        is_complete = around.extend(reach_m)
        pieces = Pieces(around, work, half_territory)
        is_joined = pieces.small_share(around.reach_m) <= limits.max_small_share
        is_full = pieces.n_within(around.reach_m) > limits.max_cells
        is_far = not is_complete or reach_m >= limits.max_distance_m
        if is_joined or is_full or is_far:
            break
        reach_m = _next_distance_m(2 * reach_m)
    tried_m = _distances_m(shortest_m, around.reach_m)
    possible_m = [d for d in tried_m if pieces.n_within(d) <= limits.max_cells] or [0]
    best_share = pieces.small_share(possible_m[-1])
    stopped_by: StoppedBy | None = None
    enough = limits.max_small_share
    if best_share > limits.max_small_share:
        stopped_by = "max_cells" if is_full else "max_distance"
        enough = best_share + _NEGLIGIBLE_SHARE
    first = bisect_left(possible_m, True, key=lambda d: pieces.small_share(d) <= enough)
    around.extend(_MARGIN * possible_m[first])
    return _region(
        Pieces(around, work, half_territory),
        resolution,
        _widened(around, possible_m[first], limits),
        stopped_by,
    )


def _widened(around: Surroundings, distance_m: int, limits: RegionLimits) -> int:
    """The largest distance up to the margin's for which the region has room."""
    wider_m = [
        d
        for d in _distances_m(distance_m, min(_MARGIN * distance_m, around.reach_m))
        if np.count_nonzero(around.distances_m <= d) <= limits.max_cells
    ]
    return wider_m[-1] if wider_m else distance_m


def _region(
    pieces: Pieces, resolution: int, distance_m: int, stopped_by: StoppedBy | None
) -> Region:
    cells, n_pieces = pieces.inhabited(distance_m)
    return Region(
        cells=cells,
        resolution=resolution,
        distance_m=float(distance_m),
        small_piece_share=pieces.small_share(distance_m),
        n_pieces=n_pieces,
        stopped_by=stopped_by,
    )


def _cell_spacing_m(resolution: int) -> int:
    """Mean distance between neighbouring cell centres, rounded up to two significant digits."""
    spacing_m = math.sqrt(mean_area_km2(resolution) * 1e6 * 2.0 / math.sqrt(3.0))
    return _next_distance_m(math.ceil(spacing_m) - 1)


def _next_distance_m(distance_m: int) -> int:
    """The next larger number of metres with at most two significant digits."""
    step = int(10 ** max(len(str(distance_m)) - 2, 0))
    return (distance_m // step + 1) * step


def _distances_m(shortest_m: int, longest_m: float) -> list[int]:
    """Distances of two significant digits in a range, rising."""
    distances_m = []
    distance_m = shortest_m
    while distance_m <= longest_m:
        distances_m.append(distance_m)
        distance_m = _next_distance_m(distance_m)
    return distances_m
