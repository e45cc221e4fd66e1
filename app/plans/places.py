"""From what a request names (cells, points, polygons) to the units of a plan."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.antimeridian import Polygonal, onto_one_map
from geo.cell_ids import descendant_range
from geo.cell_sets import distinct_resolutions, positions_in
from geo.cells import (
    CUSTOMER_RESOLUTION,
    ancestors,
    area_km2,
    cell_from_point,
    cells_from_text,
    points_from_cells,
    resolutions,
)
from geo.distance import great_circle_m
from geo.sphere import spherical_centroid

Cells = NDArray[np.uint64]
Units = NDArray[np.int32]

# A harbour lies on the rim of the land, where cells end: it may miss them by this many cells.
MOST_CELLS_AWAY = 2.0


@dataclass(frozen=True, slots=True)
class Places:
    """Finds units among the sorted cells (n_units,) of a plan."""

    cells: Cells

    @property
    def middle(self) -> tuple[float, float]:
        """lon, lat of the middle of the units: where the plan's projection touches the sphere."""
        return spherical_centroid(*points_from_cells(self.cells))

    def of_cells(self, texts: Sequence[str]) -> tuple[Units, list[int]]:
        """Return the units that cells stand for, rising, and the indices of cells outside.

        A cell finer than its unit stands for that unit, a coarser one for all units inside it.
        """
        wanted = cells_from_text(texts)
        owners = self._owners(wanted)
        found = [owners[owners >= 0]]
        is_missing = owners < 0
        for level in distinct_resolutions(self.cells):
            coarser = np.flatnonzero(resolutions(wanted) < level)
            low, high = descendant_range(wanted[coarser], level)
            starts = np.searchsorted(self.cells, low)
            ends = np.searchsorted(self.cells, high, side="right")
            found += [np.arange(*pair) for pair in zip(starts, ends, strict=True)]
            is_missing[coarser[ends > starts]] = False
        units = np.unique(np.concatenate(found)).astype(np.int32)
        return units, np.flatnonzero(is_missing).tolist()

    def _owners(self, wanted: Cells) -> NDArray[np.int64]:
        """(n,) the unit that each cell is or lies in, else -1."""
        own = resolutions(wanted)
        owners = np.full(len(wanted), -1, dtype=np.int64)
        for level in distinct_resolutions(self.cells):
            fine = own >= level
            above = positions_in(self.cells, ancestors(wanted[fine], level))
            owners[fine] = np.maximum(owners[fine], above)
        return owners

    def of_point(self, lon: float, lat: float) -> int | None:
        """Return the unit that a point belongs to, as a customer there would."""
        cell = np.array([cell_from_point(lon, lat, CUSTOMER_RESOLUTION)], dtype=np.uint64)
        owner = int(self._owners(cell)[0])
        return owner if owner >= 0 else None

    def near_point(self, lon: float, lat: float) -> int | None:
        """Return the unit of a point, or the nearest if a point outside is about two cells away."""
        unit = self.of_point(lon, lat)
        if unit is not None:
            return unit
        here = np.array([lon]), np.array([lat])
        away_m = great_circle_m(*points_from_cells(self.cells), *here)
        nearest = int(np.argmin(away_m))
        width_m = 1000.0 * float(np.sqrt(area_km2(self.cells[nearest : nearest + 1])[0]))
        return nearest if away_m[nearest] <= (MOST_CELLS_AWAY + 0.5) * width_m else None

    def in_areas(self, areas: Sequence[Polygonal]) -> list[Units]:
        """Return the units with their centre in, or on the border of, each polygon."""
        tree = shapely.STRtree(np.asarray(shapely.points(*points_from_cells(self.cells))))
        on_map = np.array([onto_one_map(area) for area in areas], dtype=object)
        area, unit = tree.query(on_map, predicate="intersects")
        return [np.sort(unit[area == number]).astype(np.int32) for number in range(len(areas))]
