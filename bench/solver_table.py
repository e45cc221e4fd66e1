"""Medians over seeds as a Markdown table: `python -m bench.solver_table`.

Each run is a process of its own (`bench.solver --json`), one after another.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from bench.instances import shared_instances

HEADER = (
    "| instance | cells | k | tolerance | feasible | torn | imbalance | inertia (work km²) "
    "| cut edges | CPU s | wall s | peak MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Print a row per instance and tolerance."""
    parser = argparse.ArgumentParser(prog="python -m bench.solver_table", description=__doc__)
    parser.add_argument("--instances", nargs="+", default=["oh4k", "oh28k", "yd100k"])
    parser.add_argument("--tolerances", nargs="+", type=float, default=[0.05, 0.01])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    print(HEADER)
    for name in arguments.instances:
        for tolerance in arguments.tolerances:
            runs = [_run(name, tolerance, seed) for seed in arguments.seeds]
            print(_row(runs), flush=True)


def _run(name: str, tolerance: float, seed: int) -> dict[str, Any]:
    path = shared_instances() / f"{name}.npz"
    command = [sys.executable, "-m", "bench.solver", "--json", "--instance", str(path)]
    command += ["--tolerance", str(tolerance), "--seed", str(seed)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def _row(runs: Sequence[dict[str, Any]]) -> str:
    first = runs[0]

    def median(key: str) -> float:
        return float(statistics.median(run[key] for run in runs))

    n_feasible = sum(run["is_feasible"] for run in runs)
    cells = (
        first["instance"],
        f"{first['n_units']:,}",
        first["n_territories"],
        f"{first['tolerance']:.0%}",
        f"{n_feasible}/{len(runs)}",
        max(run["n_torn"] for run in runs),
        f"{median('imbalance'):.2%}",
        f"{median('inertia_km2'):.4g}",
        f"{median('cut_edges'):.0f}",
        f"{median('cpu_s'):.2f}",
        f"{median('wall_s'):.2f}",
        f"{median('peak_mb'):.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
