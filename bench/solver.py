"""Time one design: `python -m bench.solver --instance FILE.npz`.

Prints imbalance, torn territories, inertia, cut edges, CPU and wall seconds. Reading the
instance, and loading compiled kernels by a tiny design beforehand, are timed separately.
`--peers` runs other methods on the same instance (see `bench.peers`). `--finer FINER.npz`
splits the cells heavier than `--split` of a target into their children, whose work is spread as
in FINER, the same customers one resolution finer; the time of splitting and of the mixed graph
is then part of the design's. `--homes` fixes every territory's centre at a cell drawn by the
root of its work and draws unequal shares, lognormal(0, 0.3).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from balancing import Centre, Graph, Instance, Parameters, Requirements, Result, design
from balancing.bounds import transport_bound
from bench.instances import load_instance, split_instance
from bench.peers import PEERS

Outcome = TypeVar("Outcome")
Report = dict[str, Any]


def main() -> None:
    """Run the benchmark asked for on the command line."""
    arguments = _parse()
    loading_cpu_s, _, _ = _timed(_load_kernels)
    reading_cpu_s, _, (instance, usual) = _timed(lambda: load_instance(arguments.instance))
    n_territories = arguments.territories or usual
    splitting_cpu_s, n_before = 0.0, instance.n_units
    if arguments.finer:
        splitting_cpu_s, cells, instance = split_instance(
            arguments.instance, arguments.finer, n_territories, arguments.split
        )
        if arguments.out:
            np.save(arguments.out.with_suffix(".cells.npy"), cells)
    parameters = Parameters(n_territories=n_territories, tolerances=(arguments.tolerance,))
    if arguments.homes:
        parameters = _with_homes(instance, parameters, arguments.seed)
    cpu_s, wall_s, result = _timed(lambda: design(instance, parameters, arguments.seed))
    bounding_cpu_s, _, bound = _timed(lambda: _bound(instance, result))
    report: Report = {
        "instance": arguments.instance.stem,
        "n_units": instance.n_units,
        "n_units_added": instance.n_units - n_before,
        "n_territories": n_territories,
        "tolerance": arguments.tolerance,
        "seed": arguments.seed,
        **_measured(instance, result.alignment, result.targets[:, 0]),
        "is_feasible": result.is_feasible,
        "objective_by_bound": result.objective_value / bound,
        "cpu_s": cpu_s + splitting_cpu_s,
        "splitting_cpu_s": splitting_cpu_s,
        "wall_s": wall_s,
        "bounding_cpu_s": bounding_cpu_s,
        "reading_cpu_s": reading_cpu_s,
        "loading_kernels_cpu_s": loading_cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "stop_reason": result.stop_reason,
        "violations": [violation.message for violation in result.violations],
    }
    for name in arguments.peers or ():
        report[name] = _peer(name, instance, n_territories, arguments.tolerance, result)
    if arguments.out:
        np.save(arguments.out, result.alignment)
    print(json.dumps(report) if arguments.json else _readable(report))


def _measured(
    instance: Instance, alignment: NDArray[np.int32], targets: NDArray[np.float64]
) -> Report:
    """Return the scores of any alignment, computed here and not by the solver."""
    work = instance.activity[:, 0]
    sums = np.bincount(alignment, work, len(targets))
    inertia = 0.0
    for values in (instance.x_m, instance.y_m):
        moment = np.bincount(alignment, work * values, len(targets))
        centre = np.divide(moment, sums, out=np.zeros_like(moment), where=sums > 0)
        inertia += float(np.sum(work * (values - centre[alignment]) ** 2))
    tails = np.repeat(alignment, np.diff(instance.graph.indptr))
    return {
        "imbalance": float(np.abs(sums / targets - 1).max()),
        "n_torn": count_torn(instance.graph, alignment),
        "inertia_km2": inertia / 1e6,
        "cut_edges": int(np.count_nonzero(tails != alignment[instance.graph.indices])) // 2,
    }


def _peer(
    name: str, instance: Instance, n_territories: int, tolerance: float, ours: Result
) -> Report:
    """Return a peer's scores, and ours in parts of them."""
    cpu_s, wall_s, alignment = _timed(lambda: PEERS[name](instance, n_territories, tolerance))
    targets = np.full(n_territories, instance.activity[:, 0].sum() / n_territories)
    scores = _measured(instance, alignment, targets)
    return {
        **scores,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "our_inertia": ours.total_moment_of_inertia / 1e6 / scores["inertia_km2"],
        "our_cut_edges": ours.cut_edges / scores["cut_edges"],
    }


def _with_homes(instance: Instance, parameters: Parameters, seed: int) -> Parameters:
    """Fix centres and draw unequal shares, as in research/solver.md, section 3."""
    generator = np.random.default_rng(seed)
    n_territories = parameters.n_territories
    chances = np.sqrt(instance.activity[:, 0])
    homes = generator.choice(
        instance.n_units, n_territories, replace=False, p=chances / chances.sum()
    )
    shares = generator.lognormal(0, 0.3, n_territories)
    centres = tuple(
        Centre(territory, float(instance.x_m[unit]), float(instance.y_m[unit]))
        for territory, unit in enumerate(homes)
    )
    return Parameters(
        n_territories=n_territories,
        tolerances=parameters.tolerances,
        shares=tuple(shares / shares.sum()),
        requirements=Requirements(centres=centres),
    )


def _bound(instance: Instance, result: Result) -> float:
    """Return the least cost of the plan's own centres and loads."""
    centres = (result.centre_x_m, result.centre_y_m)
    weight = instance.compactness_weight
    loads = np.bincount(result.alignment, weight, result.n_territories).astype(np.float64)
    bound = transport_bound(
        instance.x_m, instance.y_m, weight, *centres, loads, "moment_of_inertia"
    )
    assert bound is not None
    return bound.value


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
    parser.add_argument("--peers", nargs="*", choices=PEERS, help="all of them without a name")
    parser.add_argument("--finer", type=Path, help="the same customers one resolution finer")
    parser.add_argument("--split", type=float, default=0.1, help="heaviest cell, of a target")
    parser.add_argument("--homes", action="store_true")
    parser.add_argument("--instance", type=Path, required=True)
    parser.add_argument("--territories", type=int)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the alignment here (.npy)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.peers == []:
        arguments.peers = list(PEERS)
    return arguments


def _timed(work: Callable[[], Outcome]) -> tuple[float, float, Outcome]:
    cpu, wall = time.process_time(), time.perf_counter()
    outcome = work()
    return time.process_time() - cpu, time.perf_counter() - wall, outcome


def _load_kernels() -> None:
    """Run every phase of either engine once, on chains in which one cell makes balance hard."""
    for n_units in (40, 2000):
        _divide_chain(n_units)


def _divide_chain(n_units: int) -> Result:
    chain = np.arange(n_units)
    rows = [[j for j in (i - 1, i + 1) if 0 <= j < n_units] for i in chain]
    graph = Graph(np.cumsum([0, *map(len, rows)]), np.concatenate(rows), is_ring_ordered=True)
    activity = np.where(chain == 7, 9.0, 1.0)[:, None]
    x_m = chain.astype(np.float64)
    instance = Instance(graph, x_m, np.zeros(n_units), activity)
    return design(instance, Parameters(n_territories=5, n_starts=1), 0)


def _readable(report: Report) -> str:
    width = max(map(len, report))
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {part:.4g}" for key, part in value.items())
        lines.append(f"{name:<{width}}  {value}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
