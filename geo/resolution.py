"""How fine the cells of a plan must be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy.typing as npt

from geo.antimeridian import Polygonal
from geo.cells import CUSTOMER_RESOLUTION, CellArray, mean_area_km2
from geo.errors import RegionError, TooManyCellsError
from geo.region import (
    DEFAULT_LIMITS,
    Region,
    RegionLimits,
    are_inside,
    automatic_regions,
    gathered_work,
    region_from_geometry,
    work_by_ancestor,
)
from geo.sphere import FloatArray, polygon_area_km2

MAX_HEAVIEST_SHARE = 0.25

# A finer region for lack of room may leave this much more of the work cut off than a coarser one.
_BEARABLE_SHARE = 0.02

# Of the seven children of a region's cells, about half can be left out at best, because a finer
# grid can do with a shorter distance.
_FEWEST_CHILDREN_KEPT = 3.5


@dataclass(frozen=True, slots=True)
class ResolutionChoice:
    """The resolution to design with, and what balance to expect of it.

    Attributes
    ----------
    resolution
        0 to 12.
    heaviest_share_of_target
        Work of the heaviest cell over that of an average territory.
    n_cells
        Cells of the region.
    reachable_tolerance
        Imbalance to expect without splitting cells, an estimate: see `reachable_tolerance`.
    is_within_bounds
        Whether the heaviest cell is as light as wanted.
    region
        The region at that resolution.
    """

    resolution: int
    heaviest_share_of_target: float
    n_cells: int
    reachable_tolerance: float
    is_within_bounds: bool
    region: Region


def choose_resolution(
    cells12: npt.ArrayLike,
    work: npt.ArrayLike,
    n_territories: int,
    region: Polygonal | None = None,
    max_heaviest_share: float = MAX_HEAVIEST_SHARE,
    limits: RegionLimits = DEFAULT_LIMITS,
) -> ResolutionChoice:
    """The coarsest resolution whose heaviest cell is light enough, with its region.

    Light enough is ``max_heaviest_share`` of an average territory's work. Where no resolution
    whose region keeps to the limits has that, the finest that does keep to them serves, but none
    finer than lightens the heaviest cell; ``is_within_bounds`` is then false, and
    ``reachable_tolerance`` says what to expect. Heavy cells of the region can then be split, see
    `largest_share` and `geo.splitting`; the choice does not count on it, since a coarse region
    also draws the rim and the borders between light cells coarsely.

    Parameters
    ----------
    cells12 : (n_customers,) uint64
        The customers' cells of resolution 12.
    work : (n_customers,)
        At least 0, in any unit.
    n_territories
        How many territories share the work.
    region
        The polygon to divide; customers outside do not count. By default the automatic region.
    max_heaviest_share
        See above.
    limits
        Of the region; of a polygon only ``max_cells`` counts.

    Raises
    ------
    RegionError
        As `automatic_region`; ``no_customers`` also when none is in the polygon; ``no_region``
        when even resolution 0 has too many cells.
    """
    customers, workload = gathered_work(cells12, work, n_territories)
    if region is not None:
        inside = are_inside(region, customers)
        customers, workload = gathered_work(customers[inside], workload[inside], n_territories)
    target = max(float(workload.sum()) / n_territories, 1e-300)
    levels = range(CUSTOMER_RESOLUTION + 1)
    heaviest = [_heaviest_cell(customers, workload, level) / target for level in levels]
    # Where even single addresses are too heavy, cells finer than those that show it are no use.
    enough = max(max_heaviest_share, heaviest[-1])
    wanted = next(level for level in levels if heaviest[level] <= enough)
    if region is None:
        found = _finest_automatic(customers, workload, n_territories, wanted, limits)
    else:
        found = _finest_within(region, customers, wanted, limits.max_cells)
    share = heaviest[found.resolution]
    return ResolutionChoice(
        resolution=found.resolution,
        heaviest_share_of_target=share,
        n_cells=len(found.cells),
        reachable_tolerance=reachable_tolerance(share),
        is_within_bounds=share <= max_heaviest_share,
        region=found,
    )


def reachable_tolerance(heaviest_share: float) -> float:
    """Imbalance to expect when the heaviest cell has a share of a territory's target; a rule.

    Half the square of the share, as measured on real cities with undivided cells: 0.10 gave
    0.5 %, 0.15 gave 1 %, 0.20 gave 1.8 to 3.7 % (research/published_instances.md §4). Above one,
    where the cell alone overfills a territory, half a target more than that surplus.
    """
    return heaviest_share**2 / 2.0 if heaviest_share <= 1.0 else heaviest_share - 0.5


def largest_share(tolerance: float) -> float:
    """Share of a territory's target above which cells are to be split to reach an imbalance.

    The square root of the tolerance: 0.10 for 1 %, where 0.15 was enough on a real city (same
    source), so there is room for less kind ones. Then `reachable_tolerance` is half of what is
    asked, unless single addresses are heavier.

    Raises
    ------
    RegionError
        ``bad_tolerance`` unless it is above 0.
    """
    if not tolerance > 0.0:
        raise RegionError("bad_tolerance", f"a tolerance is above 0, this is {tolerance:g}")
    return math.sqrt(tolerance)


def _finest_automatic(
    customers: CellArray,
    workload: FloatArray,
    n_territories: int,
    wanted: int,
    limits: RegionLimits,
) -> Region:
    """The automatic region at the wanted resolution, or at the finest that does no harm."""
    regions = automatic_regions(customers, workload, n_territories, range(wanted + 1), limits)
    found = next(regions)
    while found.resolution < wanted:
        if len(found.cells) * _FEWEST_CHILDREN_KEPT > limits.max_cells:
            break
        try:
            finer = next(regions)
        except TooManyCellsError:
            break
        # Pieces cut off by water are so at any resolution that sees it; this is about land that
        # would join them up, had the region room for it.
        if finer.stopped_by == "max_cells" and _share_lost(finer, found) > _BEARABLE_SHARE:
            break
        found = finer
    return found


def _share_lost(finer: Region, coarser: Region) -> float:
    return (finer.small_piece_share or 0.0) - (coarser.small_piece_share or 0.0)


def _finest_within(
    geometry: Polygonal, customers: CellArray, wanted: int, max_cells: int
) -> Region:
    """The region of a polygon at the wanted resolution, or at the finest within the bound."""
    area_km2 = polygon_area_km2(geometry)
    for resolution in range(wanted, -1, -1):
        if area_km2 / mean_area_km2(resolution) <= max_cells:
            return region_from_geometry(geometry, resolution, customers, max_cells)
    raise RegionError("no_region", f"no region of the polygon has at most {max_cells} cells")


def _heaviest_cell(customers: CellArray, workload: FloatArray, resolution: int) -> float:
    return float(work_by_ancestor(customers, workload, resolution)[1].max())
