"""Many seeds of one design: `python -m bench.seeds --instances oh28k yd100k --seeds 30`.

Prints the share of feasible runs and the spread of inertia over seeds, in one process per
instance with warm kernels.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from balancing import Parameters, design
from bench.instances import load_instance, shared_instances
from bench.solver import count_torn


def main() -> None:
    """Print a row per instance."""
    parser = argparse.ArgumentParser(prog="python -m bench.seeds", description=__doc__)
    parser.add_argument("--instances", nargs="+", default=["oh4k", "oh28k", "yd100k"])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--tolerance", type=float, default=0.01)
    arguments = parser.parse_args()
    print(
        "| instance | k | seeds | feasible | torn | inertia, median (work km²) | worst / median "
        "| best / median | CPU s, median | CPU s, worst |\n|" + "---|" * 10
    )
    for name in arguments.instances:
        print(_row(name, arguments.seeds, arguments.tolerance), flush=True)


def _row(name: str, n_seeds: int, tolerance: float) -> str:
    instance, n_territories = load_instance(shared_instances() / f"{name}.npz")
    parameters = Parameters(n_territories=n_territories, tolerances=(tolerance,))
    design(instance, parameters, n_seeds)  # loads the kernels
    n_feasible, n_torn, inertia, cpu_s = 0, 0, [], []
    for seed in range(n_seeds):
        started = time.process_time()
        result = design(instance, parameters, seed)
        cpu_s.append(time.process_time() - started)
        n_feasible += result.is_feasible
        n_torn += count_torn(instance.graph, result.alignment)
        inertia.append(result.total_moment_of_inertia / 1e6)
    middle = float(np.median(inertia))
    return (
        f"| {name} | {n_territories} | {n_seeds} | {n_feasible / n_seeds:.0%} | {n_torn} "
        f"| {middle:.4g} | {max(inertia) / middle:.4f} | {min(inertia) / middle:.4f} "
        f"| {np.median(cpu_s):.2f} | {max(cpu_s):.2f} |"
    )


if __name__ == "__main__":
    main()
