"""Political districting, published instances: `python -m bench.political_districting`.

Fewest cut edges; connected districts, populations within the whole numbers given. All is
recounted from the alignment. `--out` gets the first seed's plans.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from balancing import Instance, Parameters, Requirements, Result
from bench import published

TOLERANCE = 0.005
METRES_PER_DEGREE = 111_195.0


def main() -> None:
    """Run the benchmark asked for on the command line."""
    arguments = published.parse("political_districting", "political_districting", __doc__)
    published.load_kernels(make_parameters(2, 0, 8))
    reports = [
        run(arguments.data, row, arguments.seeds, arguments.out)
        for row in published.wanted_rows(arguments.data, arguments.instances)
    ]
    published.show(reports, arguments.json)


def run(data: Path, row: published.Row, seeds: list[int], out: Path | None) -> published.Report:
    """Run one instance of the index."""
    least, most = int(row["population_min"]), int(row["population_max"])
    instance = load(data, row["instance"])
    return published.run_seeds(
        row["instance"],
        instance,
        make_parameters(int(row["k"]), least, most),
        float(row["best_cut_edges"]),
        seeds,
        lambda result: check(instance, result, least, most),
        out,
    )


def load(data: Path, name: str) -> Instance:
    """Read an instance; places are degrees flattened about the middle latitude."""
    units = published.read_units(data, name)
    lon, lat = published.column(units, "lon"), published.column(units, "lat")
    narrowing = math.cos(math.radians(float(lat.mean())))
    return Instance(
        published.read_graph(data, name, len(units)),
        x_m=lon * narrowing * METRES_PER_DEGREE,
        y_m=lat * METRES_PER_DEGREE,
        activity=published.column(units, "population")[:, None],
        measure_names=("population",),
    )


def make_parameters(n_territories: int, least: int, most: int) -> Parameters:
    """Wishes of the published problem: the limits are half a per cent, in whole people."""
    return Parameters(
        n_territories=n_territories,
        tolerances=(TOLERANCE,),
        objective="cut_edges",
        requirements=Requirements(least=(least,), most=(most,)),
    )


def check(instance: Instance, result: Result, least: int, most: int) -> tuple[bool, float]:
    """Return whether the plan keeps everything asked, and its number of cut edges."""
    population = np.bincount(
        result.alignment, instance.activity[:, 0], minlength=result.n_territories
    )
    is_feasible = bool(((population >= least) & (population <= most)).all())
    tails = np.repeat(np.arange(instance.n_units), np.diff(instance.graph.indptr))
    is_cut = result.alignment[tails] != result.alignment[instance.graph.indices]
    n_cut = float(np.count_nonzero(is_cut & (tails < instance.graph.indices)))
    return is_feasible and published.are_pieces_whole(instance, result), n_cut


if __name__ == "__main__":
    main()
