"""Solver instances as files: `cell`, `x_km`, `y_km`, `work`, `k` (see their README)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from balancing import Graph, Instance
from geo.adjacency import build_adjacency


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
