"""The cells of plans, also of drafts, and what they are summed up to at low zooms.

They are read from the packed alignment, which every plan has, and kept in the process: a version of
a plan never changes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, select

from app.db.alignment import Cells, Ordinals, unpack
from app.db.generation import PLANNING, Generations, generation_key
from app.db.heat_sums import COARSEST, FINEST
from app.db.prepared import Prepared, left_open
from app.db.scope import Scope
from app.db.session import AnyReader, rows
from app.db.tables import Plan
from app.tiles.plans import ShownPlan, find_plan
from geo.cell_sets import joined_siblings, owners_of
from geo.cells import ancestors, mean_area_km2, points_from_cells, resolutions
from geo.tiles import tile_bounds

KM_PER_DEGREE = 111.2
ALIGNMENT = Prepared(select(Plan.alignment).where(Plan.id == left_open("plan_id", BigInteger())))
# Cells kept per process, over all plans and levels; each takes some 60 bytes.
MOST_KEPT = 2_000_000
MOST_SHOWN = 1000


@dataclass(frozen=True)
class Level:
    """Cells (n,), the territory ordinal of each, how many cells of the plan it stands for."""

    cells: Cells
    ordinals: Ordinals
    n_cells: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    reach_deg: NDArray[np.float64]
    # Indices by latitude, and the latitudes in that order.
    from_south: NDArray[np.int64]
    northward: NDArray[np.float64]

    def near(self, z: int, x: int, y: int) -> NDArray[np.int64]:
        """Return the indices of the cells that may touch a tile, ascending."""
        bounds, last = tile_bounds(z, x, y), (1 << z) - 1
        south = -90.0 if y == last else bounds.south
        north = 90.0 if y == 0 else bounds.north
        farthest = self.reach_deg.max(initial=0.0)
        low, high = np.searchsorted(self.northward, [south - farthest, north + farthest])
        belt = self.from_south[low:high]
        lat, reach = self.northward[low:high], self.reach_deg[belt]
        middle, half = (bounds.west + bounds.east) / 2, (bounds.east - bounds.west) / 2
        reach_lon = reach / np.cos(np.radians(np.minimum(np.abs(lat) + reach, 89.9)))
        apart = np.abs((self.lon[belt] - middle + 180.0) % 360.0 - 180.0)
        is_near = (apart <= half + reach_lon) & (lat >= south - reach) & (lat <= north + reach)
        return np.sort(belt[is_near])


def level_of(cells: Cells, ordinals: Ordinals, resolution: int) -> Level:
    """Sum cells up to a resolution; coarser ones stay.

    A cell goes to the territory that most of its ground in the plan belongs to, on a draw to the
    one of the lower ordinal.
    """
    own = resolutions(cells)
    shown = cells.copy()
    is_finer = own > resolution
    shown[is_finer] = ancestors(cells[is_finer], resolution)
    # A cell has seven children: whole numbers keep draws exact.
    ground = 7 ** (own.max(initial=0) - own).astype(np.int64)
    order = np.lexsort((ordinals, shown))
    shown, owners, ground = shown[order], ordinals[order], ground[order]
    is_first = np.ones(len(shown), dtype=bool)
    is_first[1:] = (shown[1:] != shown[:-1]) | (owners[1:] != owners[:-1])
    starts = np.flatnonzero(is_first)
    shares = np.add.reduceat(ground, starts) if len(starts) else ground
    ranked = np.lexsort((owners[starts], -shares, shown[starts]))
    found, firsts = np.unique(shown[starts][ranked], return_index=True)
    _, n_cells = np.unique(shown, return_counts=True)
    lon, lat = points_from_cells(found)
    levels = resolutions(found)
    # A hexagon reaches 0.62 of the root of its area; cells deviate from the mean by a factor of 2.
    reach = np.array([np.sqrt(mean_area_km2(r)) / KM_PER_DEGREE for r in range(16)])
    winners = owners[starts][ranked][firsts]
    order = np.argsort(lat)
    return Level(found, winners, n_cells, lon, lat, reach[levels], order, lat[order])


@dataclass(frozen=True)
class Pieces:
    """What the cells of a level stand for, as few cells (m,) of which the rollups have sums.

    `shown` are the indices (m,) of the level's cells that they lie in. Those of which a part is too
    fine to have sums are untold (n,), and have no pieces.
    """

    cells: Cells
    shown: NDArray[np.int64]
    is_untold: NDArray[np.bool_]


def pieces_of(cells: Cells, level: Level, resolution: int) -> Pieces:
    """Return the pieces of a level, which is of this resolution."""
    pieces = joined_siblings(np.sort(cells), max(resolution, COARSEST))
    shown = owners_of(level.cells, pieces)
    is_untold = np.zeros(len(level.cells), dtype=np.bool_)
    is_untold[shown[resolutions(pieces) > FINEST]] = True
    is_told = ~is_untold[shown]
    return Pieces(pieces[is_told], shown[is_told], is_untold)


@dataclass
class PlanCells:
    """The cells of one version of a plan, its levels as they are asked for, its resolution."""

    cells: Cells
    ordinals: Ordinals
    levels: dict[int, Level] = field(default_factory=dict)
    known_pieces: dict[int, Pieces] = field(default_factory=dict)
    finest: int = field(init=False)

    def __post_init__(self) -> None:
        self.finest = int(resolutions(self.cells).max(initial=0))

    @property
    def n_kept(self) -> int:
        """How many cells are in memory."""
        shown = sum(len(level.cells) for level in self.levels.values())
        return len(self.cells) + shown + sum(len(p.cells) for p in self.known_pieces.values())

    async def level(self, resolution: int, ordinals: frozenset[int] | None = None) -> Level:
        """Return the cells at a resolution, of these territories only when they are given."""
        if ordinals is not None:
            is_own = np.isin(self.ordinals, list(ordinals))
            cells, owners = self.cells[is_own], self.ordinals[is_own]
            return await asyncio.to_thread(level_of, cells, owners, resolution)
        resolution = min(resolution, self.finest)
        if resolution not in self.levels:
            level = await asyncio.to_thread(level_of, self.cells, self.ordinals, resolution)
            self.levels[resolution] = level
        return self.levels[resolution]

    async def pieces(self, resolution: int) -> Pieces:
        """Return the pieces of the level at a resolution."""
        resolution = min(resolution, self.finest)
        if resolution not in self.known_pieces:
            level = await self.level(resolution)
            pieces = await asyncio.to_thread(pieces_of, self.cells, level, resolution)
            self.known_pieces[resolution] = pieces
        return self.known_pieces[resolution]


class KnownPlans:
    """The plans asked for last, by id and version, and which plan was shown to whom."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[int, int], PlanCells] = OrderedDict()
        self._shown: OrderedDict[Hashable, ShownPlan | None] = OrderedDict()

    async def find_shown(
        self,
        reader: AnyReader,
        scope: Scope,
        plan_id: int | None,
        layer_id: int | None,
        generations: Generations,
    ) -> ShownPlan | None:
        """Return what `find_plan` does, which generations of the reader's snapshot decide."""
        key = (scope, plan_id, layer_id, generation_key(generations, PLANNING))
        if key not in self._shown:
            self._shown[key] = await find_plan(reader, scope, plan_id, layer_id)
        self._shown.move_to_end(key)
        while len(self._shown) > MOST_SHOWN:
            self._shown.popitem(last=False)
        return self._shown[key]

    async def find(self, reader: AnyReader, plan_id: int, version: int) -> PlanCells:
        """Return the cells of a plan whose version the reader has read."""
        key = (plan_id, version)
        if key not in self._plans:
            found = await rows(reader, ALIGNMENT, plan_id=plan_id)
            packed = bytes(found[0][0]) if found else b""
            cells, ordinals = await asyncio.to_thread(unpack, packed)
            self._plans[key] = PlanCells(cells, ordinals)
        self._plans.move_to_end(key)
        while len(self._plans) > 1 and sum(p.n_kept for p in self._plans.values()) > MOST_KEPT:
            self._plans.popitem(last=False)
        return self._plans[key]
