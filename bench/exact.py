"""Tiny instances against the exact Hess model: `python -m bench.exact [--json]`.

Ohio's cells summed up to resolution 4, divided into 3 to 6 territories. The model of Hess et al.
(Operations Research 13, 1965) chooses centre cells and assigns every cell to one, squared
distance weighted by work, within the tolerance; HiGHS (through SciPy) solves it to proven
optimality. It does not ask for contiguity, so where its plan is torn it is a bound that no
connected plan may reach. Compared are both the model's own cost, with our territories given
their best centre cells, and the moment of inertia about centroids, which we minimise.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, eye_array, kron, vstack

from balancing import Graph, Instance, Parameters, design
from balancing.measures import moments_of_inertia
from bench.instances import shared_instances
from bench.solver import count_torn
from geo.adjacency import build_adjacency
from geo.cells import ancestors, points_from_cells
from geo.projection import local_equal_area

RESOLUTION, TOLERANCE = 4, 0.10
TERRITORIES = (3, 4, 5, 6)
Floats = NDArray[np.float64]


def main() -> None:
    """Print a row for each number of territories."""
    parser = argparse.ArgumentParser(prog="python -m bench.exact", description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    instance = _tiny_ohio()
    design(instance, Parameters(n_territories=3), 0)  # loads the kernels
    rows = [_row(instance, n_territories, arguments.seeds) for n_territories in TERRITORIES]
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{instance.n_units} cells, tolerance {TOLERANCE:.0%}")
    print("| k | feasible | ours / exact, model | ours / exact, inertia | torn in exact "
          "| CPU s ours | CPU s exact |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for row in rows:
        print(
            f"| {row['n_territories']} | {row['n_feasible']}/{len(arguments.seeds)} "
            f"| {row['model_ratio']:.4f} | {row['inertia_ratio']:.4f} | {row['n_torn_exact']} "
            f"| {row['cpu_s']:.2f} | {row['exact_cpu_s']:.1f} |"
        )


def _row(instance: Instance, n_territories: int, seeds: list[int]) -> dict[str, Any]:
    squares = _squares(instance)
    started = time.process_time()
    exact = solve_hess(squares, instance.activity[:, 0], n_territories, TOLERANCE)
    exact_cpu_s = time.process_time() - started
    least, least_inertia = _model_cost(squares, instance, exact), _inertia(instance, exact)
    parameters = Parameters(n_territories=n_territories, tolerances=(TOLERANCE,))
    runs = []
    for seed in seeds:
        started = time.process_time()
        result = design(instance, parameters, seed)
        cpu_s = time.process_time() - started
        cost = _model_cost(squares, instance, result.alignment)
        inertia = _inertia(instance, result.alignment)
        runs.append((result.is_feasible, cost / least, inertia / least_inertia, cpu_s))
    return {
        "n_territories": n_territories,
        "n_feasible": sum(run[0] for run in runs),
        "model_ratio": statistics.median(run[1] for run in runs),
        "inertia_ratio": statistics.median(run[2] for run in runs),
        "n_torn_exact": count_torn(instance.graph, exact),
        "cpu_s": statistics.median(run[3] for run in runs),
        "exact_cpu_s": exact_cpu_s,
    }


def solve_hess(
    squares: Floats, work: Floats, n_territories: int, tolerance: float
) -> NDArray[np.int32]:
    """Return (n,) the optimal alignment of the Hess model, without contiguity.

    Raises
    ------
    ValueError
        When HiGHS proves no optimum.
    """
    n_units = len(work)
    target = work.sum() / n_territories
    identity, ones = eye_array(n_units), np.ones((1, n_units))
    # x[i, j]: unit i belongs to centre j; flat index i * n_units + j.
    diagonal = np.arange(n_units) * (n_units + 1)
    is_centre = coo_array(
        (np.ones(n_units), (np.arange(n_units), diagonal)), shape=(n_units, n_units**2)
    )
    loads = kron(work[None, :], identity)
    assigned = kron(identity, ones)
    opened = eye_array(n_units**2) - kron(np.ones((n_units, 1)), is_centre)
    constraints = [
        LinearConstraint(assigned, 1, 1),
        LinearConstraint(is_centre.sum(axis=0)[None, :], n_territories, n_territories),
        LinearConstraint(opened, -np.inf, 0),
        LinearConstraint(
            vstack(
                (
                    loads - (1 + tolerance) * target * is_centre,
                    (1 - tolerance) * target * is_centre - loads,
                )
            ),
            -np.inf,
            0,
        ),
    ]
    found = milp(
        (squares * work[:, None]).ravel(),
        integrality=np.ones(n_units**2),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"mip_rel_gap": 1e-6},
    )
    if found.status != 0:
        raise ValueError(f"HiGHS found no proven optimum: {found.message}")
    centre = found.x.reshape(n_units, n_units).argmax(axis=1)
    return np.unique(centre, return_inverse=True)[1].astype(np.int32)


def _tiny_ohio() -> Instance:
    with np.load(shared_instances() / "oh28k.npz") as file:
        cells, owner = np.unique(ancestors(file["cell"], RESOLUTION), return_inverse=True)
        work = np.bincount(owner, file["work"]).astype(np.float64)
    adjacency = build_adjacency(cells)
    x_m, y_m = local_equal_area(*points_from_cells(cells))
    graph = Graph(adjacency.indptr, adjacency.indices, is_ring_ordered=True)
    return Instance(graph, x_m, y_m, work[:, None], ("work",))


def _squares(instance: Instance) -> Floats:
    """(n, n) squared kilometres between units."""
    dx = instance.x_m[:, None] - instance.x_m[None]
    dy = instance.y_m[:, None] - instance.y_m[None]
    squares: Floats = (dx**2 + dy**2) / 1e6
    return squares


def _model_cost(squares: Floats, instance: Instance, alignment: NDArray[np.int32]) -> float:
    cost = 0.0
    for territory in np.unique(alignment):
        mine = np.flatnonzero(alignment == territory)
        cost += float((instance.activity[mine, 0] @ squares[np.ix_(mine, mine)]).min())
    return cost


def _inertia(instance: Instance, alignment: NDArray[np.int32]) -> float:
    work, n_territories = instance.activity[:, 0], int(alignment.max()) + 1
    return float(
        moments_of_inertia(instance.x_m, instance.y_m, work, alignment, n_territories).sum()
    )


if __name__ == "__main__":
    main()
