"""Time one design: `python -m bench.solver --instance FILE.npz`.

Prints imbalance, torn territories, inertia, cut edges, CPU and wall seconds. Reading the
instance, and loading compiled kernels by a tiny design beforehand, are timed separately.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from balancing import Graph, Instance, Parameters, Result, design
from bench.instances import load_instance

Outcome = TypeVar("Outcome")
Report = dict[str, str | int | float | bool | list[str]]


def main() -> None:
    """Run the benchmark asked for on the command line."""
    arguments = _parse()
    loading_cpu_s, _, _ = _timed(_load_kernels)
    reading_cpu_s, _, (instance, usual) = _timed(lambda: load_instance(arguments.instance))
    n_territories = arguments.territories or usual
    parameters = Parameters(n_territories=n_territories, tolerances=(arguments.tolerance,))
    cpu_s, wall_s, result = _timed(lambda: design(instance, parameters, arguments.seed))
    report: Report = {
        "instance": arguments.instance.stem,
        "n_units": instance.n_units,
        "n_territories": n_territories,
        "tolerance": arguments.tolerance,
        "seed": arguments.seed,
        "imbalance": float(result.worst_imbalance[0]),
        "is_feasible": result.is_feasible,
        "n_torn": count_torn(instance.graph, result.alignment),
        "inertia_km2": result.total_moment_of_inertia / 1e6,
        "cut_edges": result.cut_edges,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "reading_cpu_s": reading_cpu_s,
        "loading_kernels_cpu_s": loading_cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "stop_reason": result.stop_reason,
        "violations": [violation.message for violation in result.violations],
    }
    if arguments.out:
        np.save(arguments.out, result.alignment)
    print(json.dumps(report) if arguments.json else _readable(report))


def count_torn(graph: Graph, alignment: NDArray[np.int32]) -> int:
    """Number of territories in more than one piece, by a search of its own."""
    tails = np.repeat(np.arange(graph.n_units), np.diff(graph.indptr))
    is_inside = alignment[tails] == alignment[graph.indices]
    ends = (tails[is_inside], graph.indices[is_inside])
    inside = csr_array((np.ones(len(ends[0])), ends), shape=(graph.n_units, graph.n_units))
    _, piece = connected_components(inside, directed=False)
    pieces = np.unique(np.column_stack((alignment, piece)), axis=0)
    return int(np.count_nonzero(np.bincount(pieces[:, 0]) > 1))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.solver", description=__doc__)
    parser.add_argument("--instance", type=Path, required=True)
    parser.add_argument("--territories", type=int)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the alignment here (.npy)")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _timed(work: Callable[[], Outcome]) -> tuple[float, float, Outcome]:
    cpu, wall = time.process_time(), time.perf_counter()
    outcome = work()
    return time.process_time() - cpu, time.perf_counter() - wall, outcome


def _load_kernels() -> Result:
    """Run every phase once on a chain, one cell of which makes balance hard."""
    n_units = 40
    chain = np.arange(n_units)
    rows = [[j for j in (i - 1, i + 1) if 0 <= j < n_units] for i in chain]
    graph = Graph(np.cumsum([0, *map(len, rows)]), np.concatenate(rows), is_ring_ordered=True)
    activity = np.where(chain == 7, 9.0, 1.0)[:, None]
    x_m = chain.astype(np.float64)
    instance = Instance(graph, x_m, np.zeros(n_units), activity)
    return design(instance, Parameters(n_territories=5, n_starts=1), 0)


def _readable(report: Report) -> str:
    width = max(map(len, report))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in report.items())


if __name__ == "__main__":
    main()
