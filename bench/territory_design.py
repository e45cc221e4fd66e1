"""Commercial territory design, published instances: `python -m bench.territory_design`.

Least sum of distances from units to their territory's centre, one of its members; three
activities within a tolerance of their mean. The objective and all else is recomputed from the
alignment. `--out` gets the first seed's plans.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from balancing import Instance, Parameters, Result
from bench import published

MEASURES = ("activity_1", "activity_2", "activity_3")


def main() -> None:
    """Run the benchmark asked for on the command line."""
    arguments = published.parse("territory_design", "territory_design", __doc__)
    published.load_kernels(make_parameters(2, 0.05))
    reports = [
        run(arguments.data, row, arguments.seeds, arguments.out)
        for row in published.wanted_rows(arguments.data, arguments.instances)
    ]
    published.show(reports, arguments.json)


def run(data: Path, row: published.Row, seeds: list[int], out: Path | None) -> published.Report:
    """Run one instance of the index."""
    tolerance = float(row["tolerance"])
    instance = load(data, row["instance"])
    return published.run_seeds(
        row["instance"],
        instance,
        make_parameters(int(row["p"]), tolerance),
        float(row["reference_total_distance"]),
        seeds,
        lambda result: check(instance, result, tolerance),
        out,
    )


def load(data: Path, name: str) -> Instance:
    """Read an instance; distances count every unit once."""
    units = published.read_units(data, name)
    return Instance(
        published.read_graph(data, name, len(units)),
        x_m=published.column(units, "x"),
        y_m=published.column(units, "y"),
        activity=np.stack([published.column(units, measure) for measure in MEASURES], axis=1),
        measure_names=MEASURES,
        weight=np.ones(len(units)),
    )


def make_parameters(n_territories: int, tolerance: float) -> Parameters:
    """Wishes of the published problem."""
    return Parameters(
        n_territories=n_territories,
        tolerances=(tolerance,) * len(MEASURES),
        objective="total_distance",
    )


def check(instance: Instance, result: Result, tolerance: float) -> tuple[bool, float]:
    """Return whether the plan keeps everything asked, and its sum of distances."""
    is_feasible = published.are_pieces_whole(instance, result)
    means = instance.activity.sum(axis=0) / result.n_territories
    total = 0.0
    for territory in range(result.n_territories):
        members = np.flatnonzero(result.alignment == territory)
        deviation = np.abs(instance.activity[members].sum(axis=0) / means - 1)
        centre = int(result.centre_unit[territory])
        is_feasible &= bool((deviation <= tolerance).all()) and centre in members
        x, y = instance.x_m[members], instance.y_m[members]
        total += float(np.hypot(x - instance.x_m[centre], y - instance.y_m[centre]).sum())
    return is_feasible, total


if __name__ == "__main__":
    main()
