"""Solver instances as files: `cell`, `x_km`, `y_km`, `work`, `k` (see their README)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from balancing import Graph, Instance
from geo.adjacency import build_adjacency
from geo.cell_ids import descendant_range
from geo.cells import points_from_cells
from geo.membership import units_of
from geo.projection import local_equal_area
from geo.splitting import split_heavy_cells


def shared_instances() -> Path:
    """Folder of the instances: below `BAILIWICK_SHARED_DATA`, else beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("BAILIWICK_SHARED_DATA", beside)) / "solver_instances"


def load_instance(path: Path) -> tuple[Instance, int]:
    """Read an instance and its usual number of territories."""
    with np.load(path) as file:
        adjacency = build_adjacency(file["cell"])
        instance = Instance(
            Graph(adjacency.indptr, adjacency.indices, is_ring_ordered=True),
            x_m=1000 * file["x_km"],
            y_m=1000 * file["y_km"],
            activity=file["work"][:, None],
            measure_names=("work",),
        )
        return instance, int(file["k"])


def split_instance(
    path: Path, finer: Path, n_territories: int, largest_share: float
) -> tuple[float, NDArray[np.uint64], Instance]:
    """Read an instance with its heavy cells split; also the CPU seconds of that, and the cells.

    The children's work is that of the finer instance, scaled to add up to the cell's own: cells
    do not nest geometrically, so customers near an edge would be counted elsewhere.
    """
    with np.load(path) as file:
        cells, work = file["cell"], file["work"]
    with np.load(finer) as file:
        children, children_work = file["cell"], file["work"]
    owner = units_of(children, cells)
    is_inside = owner >= 0
    children, children_work, owner = (
        array[is_inside] for array in (children, children_work, owner)
    )
    sums = np.bincount(owner, children_work, len(cells))
    scale = np.divide(work, sums, out=np.zeros_like(work), where=sums > 0)
    # Cells whose customers all lie across the edge keep their work in their own middle.
    lost = np.flatnonzero((sums == 0) & (work > 0))
    places = np.concatenate([descendant_range(ids, 12)[0] for ids in (children, cells[lost])])
    children_work = np.concatenate((children_work * scale[owner], work[lost]))
    order = np.argsort(places)
    started = time.process_time()
    largest = largest_share * float(work.sum()) / n_territories
    split = split_heavy_cells(cells, places[order], children_work[order], largest)
    adjacency = build_adjacency(split.cells)
    x_m, y_m = local_equal_area(*points_from_cells(split.cells))
    instance = Instance(
        Graph(adjacency.indptr, adjacency.indices, is_ring_ordered=True),
        x_m,
        y_m,
        split.work[:, None],
        ("work",),
    )
    return time.process_time() - started, split.cells, instance
