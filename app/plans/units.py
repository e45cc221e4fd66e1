"""The units of a plan: the cells of its region, heavy ones split, kept ones as they are."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.plans.request import MEASURES, PlanRequest
from geo.cell_sets import positions_in
from geo.cells import ancestors, descendants, resolutions
from geo.geojson import polygon_from_geojson
from geo.membership import activity_per_cell
from geo.region import Region, automatic_region, region_from_geometry
from geo.resolution import (
    MAX_HEAVIEST_SHARE,
    ResolutionChoice,
    choose_resolution,
    largest_share,
    reachable_tolerance,
)
from geo.splitting import Splitting, split_heavy_cells

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]

MOST_UNITS = 300_000


@dataclass(frozen=True, slots=True)
class Kept:
    """Cells of territories taken over from another plan, and the number of the territory of each.

    Both (n,), cells rising; of any resolutions.
    """

    cells: Cells
    territories: NDArray[np.int32]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The territories."""
        return tuple(np.unique(self.territories).tolist())


def choose_cells(
    request: PlanRequest, n_territories: int, cells12: Cells, work: Floats
) -> ResolutionChoice:
    """Return the cells to divide: of the wanted region and resolution, or found."""
    geometry = None if request.region is None else polygon_from_geojson(request.region)
    if request.resolution is None:
        return choose_resolution(cells12, work, n_territories, geometry)
    region: Region
    if geometry is None:
        region = automatic_region(cells12, work, n_territories, request.resolution)
    else:
        region = region_from_geometry(geometry, request.resolution, cells12)
    inside = activity_per_cell(cells12, work, region.cells)
    heaviest = float(inside.max() / max(inside.sum() / n_territories, 1e-300))
    return ResolutionChoice(
        resolution=request.resolution,
        heaviest_share_of_target=heaviest,
        n_cells=len(region.cells),
        reachable_tolerance=reachable_tolerance(heaviest),
        is_within_bounds=True,
        region=region,
    )


def given_units(
    cells: Cells, n_territories: int, cells12: Cells, work: Floats
) -> tuple[ResolutionChoice, Splitting]:
    """Return what is said of units that were not chosen but taken from another plan."""
    per_unit = activity_per_cell(cells12, work, cells)
    heaviest = int(np.argmax(per_unit))
    share = float(per_unit[heaviest] / max(per_unit.sum() / n_territories, 1e-300))
    resolution = int(resolutions(cells).min())
    choice = ResolutionChoice(
        resolution=resolution,
        heaviest_share_of_target=share,
        n_cells=len(cells),
        reachable_tolerance=reachable_tolerance(share),
        is_within_bounds=True,
        region=Region(cells, resolution),
    )
    splitting = Splitting(
        cells=cells,
        work=per_unit,
        n_split=0,
        n_added=0,
        heaviest_work=float(per_unit[heaviest]),
        heaviest_cell=int(cells[heaviest]),
        n_too_heavy=0,
        is_limited=False,
    )
    return choice, splitting


def largest_loads(request: PlanRequest, totals: Floats, smallest_share: float) -> dict[int, float]:
    """Return for each balanced measure's column the load above which a cell is split.

    A share of the smallest territory's target; `totals` (4,) are the sums over all customers.
    """
    if not request.split_heavy_cells:
        return {}
    found = {}
    for name in request.balanced:
        column = MEASURES.index(name)
        share = min(largest_share(getattr(request.tolerances, name)), MAX_HEAVIEST_SHARE)
        found[column] = share * smallest_share * float(totals[column])
    return {column: load for column, load in found.items() if load > 0}


def split_cells(
    cells: Cells, kept: Kept, cells12: Cells, activity: Floats, loads: dict[int, float]
) -> tuple[Cells, Splitting]:
    """Return the units, sorted: kept cells, and around them the others, heavy ones split.

    Cells are split by one measure after the other; `loads` are those of `largest_loads`. The
    counts of the splitting are sums over the measures.
    """
    around = without(cells, kept.cells)
    is_elsewhere = ~_are_within(cells12, kept.cells)
    customers, activity = cells12[is_elsewhere], activity[is_elsewhere]
    done = split_heavy_cells(around, customers, activity[:, 0], np.inf)
    for column, load in loads.items():
        room = max(MOST_UNITS - len(done.cells), 0)
        further = split_heavy_cells(done.cells, customers, activity[:, column], load, room)
        done = replace(
            further,
            n_split=done.n_split + further.n_split,
            n_added=done.n_added + further.n_added,
            n_too_heavy=done.n_too_heavy + further.n_too_heavy,
            is_limited=done.is_limited or further.is_limited,
        )
    return np.sort(np.concatenate([done.cells, kept.cells])), done


def without(cells: Cells, taken: Cells) -> Cells:
    """Return sorted cells less the ground of others; cells that lie across it are divided."""
    left = cells
    while len(taken):
        left = left[~_are_within(left, taken)]
        holds = np.isin(left, _all_ancestors(taken))
        if not holds.any():
            break
        parts = left[holds]
        finer = [
            descendants(parts[resolutions(parts) == level], level + 1)
            for level in np.unique(resolutions(parts)).tolist()
        ]
        left = np.sort(np.concatenate([left[~holds], *finer]))
    return left


def _are_within(cells: Cells, outer: Cells) -> NDArray[np.bool_]:
    """Which cells are, or lie inside, any of some sorted others."""
    own = resolutions(cells)
    is_within = np.zeros(len(cells), dtype=np.bool_)
    for level in np.unique(resolutions(outer)).tolist():
        fine = own >= level
        is_within[fine] |= positions_in(outer, ancestors(cells[fine], level)) >= 0
    return is_within


def _all_ancestors(cells: Cells) -> Cells:
    own = resolutions(cells)
    found = [ancestors(cells[own > level], level) for level in range(int(own.max(initial=0)))]
    return np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *found]))
