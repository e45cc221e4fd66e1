"""Published instances as files, runs over seeds, and a check of each plan by separate code.

A folder holds `index.csv` and, per instance, `instances/NAME.units.csv` and
`instances/NAME.edges.csv` (`u`, `v`: two units that touch). See the folders' own README.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from balancing import Graph, Instance, Parameters, Result, design

Row = dict[str, str]
Score = Callable[[Result], tuple[bool, float]]


@dataclass(frozen=True)
class Report:
    """What the runs of one instance came to.

    Parameters
    ----------
    instance, n_units, n_territories
        Which problem.
    seeds
        One run each.
    n_feasible
        Runs whose plan passed the separate check.
    reference
        Published value of the objective.
    values
        Objective per seed, recomputed from the alignment.
    median, best, worst, ratio
        Of the values; the median's ratio to the reference.
    cpu_s
        Median of the CPU seconds of the runs.
    """

    instance: str
    n_units: int
    n_territories: int
    seeds: list[int]
    n_feasible: int
    reference: float
    values: list[float]
    median: float
    best: float
    worst: float
    ratio: float
    cpu_s: float


def parse(module: str, folder: str, description: str | None) -> argparse.Namespace:
    """Read the command line that both benches share."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{module}", description=description)
    parser.add_argument("--data", type=Path, default=shared_data() / folder)
    parser.add_argument("--out", type=Path, help="write the first seed's plans here, NAME.csv")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--instances", nargs="+", help="names; all in index.csv unless told")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def shared_data() -> Path:
    """Folder named by `BAILIWICK_SHARED_DATA`, else beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("BAILIWICK_SHARED_DATA", beside))


def read_rows(path: Path) -> list[Row]:
    """Read a CSV file with a header."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def wanted_rows(data: Path, names: Sequence[str] | None) -> list[Row]:
    """Rows of the index, those named or all."""
    rows = read_rows(data / "index.csv")
    unknown = set(names or ()) - {row["instance"] for row in rows}
    if unknown:
        raise SystemExit(f"not in {data / 'index.csv'}: {', '.join(sorted(unknown))}")
    return [row for row in rows if names is None or row["instance"] in names]


def read_units(data: Path, name: str) -> list[Row]:
    """Units of an instance in the order of their numbers."""
    return sorted(
        read_rows(data / "instances" / f"{name}.units.csv"), key=lambda row: int(row["unit"])
    )


def read_graph(data: Path, name: str, n_units: int) -> Graph:
    """Graph of an instance; the neighbours of a unit ascend."""
    edges = read_rows(data / "instances" / f"{name}.edges.csv")
    pairs = np.array([(int(edge["u"]), int(edge["v"])) for edge in edges])
    both = np.unique(np.concatenate((pairs, pairs[:, ::-1])), axis=0)
    degree = np.bincount(both[:, 0], minlength=n_units)
    return Graph(np.concatenate(([0], np.cumsum(degree))), both[:, 1])


def column(rows: Iterable[Row], name: str) -> NDArray[np.float64]:
    """One column as numbers."""
    return np.array([float(row[name]) for row in rows])


def run_seeds(
    name: str,
    instance: Instance,
    parameters: Parameters,
    reference: float,
    seeds: Sequence[int],
    score: Score,
    out: Path | None,
) -> Report:
    """Design once per seed, CPU time taken around each design only."""
    values, times, n_feasible = [], [], 0
    for seed in seeds:
        started = time.process_time()
        result = design(instance, parameters, seed)
        times.append(time.process_time() - started)
        is_feasible, value = score(result)
        n_feasible += is_feasible
        values.append(value)
        if out is not None and seed == seeds[0]:
            write_plan(out / f"{name}.csv", result)
    median = statistics.median(values)
    return Report(
        name,
        instance.n_units,
        parameters.n_territories,
        list(seeds),
        n_feasible,
        reference,
        values,
        median,
        min(values),
        max(values),
        median / reference,
        statistics.median(times),
    )


def are_pieces_whole(instance: Instance, result: Result) -> bool:
    """Whether every territory is there and in one piece, by scipy on the cut graph."""
    graph, alignment = instance.graph, result.alignment
    tails = np.repeat(np.arange(graph.n_units), np.diff(graph.indptr))
    is_inside = alignment[tails] == alignment[graph.indices]
    ends = (tails[is_inside], graph.indices[is_inside])
    inside = csr_array((np.ones(len(ends[0])), ends), shape=(graph.n_units, graph.n_units))
    n_pieces, _ = connected_components(inside, directed=False)
    territories = np.unique(alignment)
    return bool(n_pieces == result.n_territories) and np.array_equal(
        territories, np.arange(result.n_territories)
    )


def write_plan(path: Path, result: Result) -> None:
    """Write `unit,territory`, and `center` where the territories have a centre unit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    has_centres = bool((result.centre_unit >= 0).all())
    header = ["unit", "territory", "center"][: 2 + has_centres]
    alignment = result.alignment
    columns = np.stack((np.arange(len(alignment)), alignment, result.centre_unit[alignment]), 1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(columns[:, : len(header)].tolist())


def show(reports: Sequence[Report], is_json: bool) -> None:
    """Print the reports as one JSON document or as Markdown tables."""
    summary = summarise(reports)
    if is_json:
        document = {"instances": [asdict(report) for report in reports], "summary": summary}
        print(json.dumps(document, indent=1))
        return
    print("| instance | n | k | feasible | reference | median | ratio | best | worst | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for report in reports:
        values = _cells(report.reference, report.median)
        extremes = _cells(report.best, report.worst)
        print(
            f"| {report.instance} | {report.n_units} | {report.n_territories} "
            f"| {report.n_feasible}/{len(report.seeds)} | {values} | {report.ratio:.4f} "
            f"| {extremes} | {report.cpu_s:.2f} |"
        )
    print("\n| " + " | ".join(summary) + " |\n" + "|---" * len(summary) + "|")
    print("| " + " | ".join(f"{value:.4g}" for value in summary.values()) + " |")


def _cells(*values: float) -> str:
    return " | ".join(f"{value:.1f}".removesuffix(".0") for value in values)


def summarise(reports: Sequence[Report]) -> dict[str, float]:
    """Return what the targets speak of, over all instances."""
    ratios = [report.ratio for report in reports]
    return {
        "n_instances": len(reports),
        "n_runs": sum(len(report.seeds) for report in reports),
        "n_feasible": sum(report.n_feasible for report in reports),
        "mean_ratio": statistics.fmean(ratios),
        "worst_ratio": max(ratios),
        "n_at_most_reference": sum(ratio <= 1 + 1e-6 for ratio in ratios),
        "median_cpu_s": statistics.median(report.cpu_s for report in reports),
        "worst_cpu_s": max(report.cpu_s for report in reports),
    }


def load_kernels(parameters: Parameters) -> None:
    """Design a tiny chain, so that compiled kernels are loaded before the clock runs."""
    n_units = 8
    rows = [[j for j in (i - 1, i + 1) if 0 <= j < n_units] for i in range(n_units)]
    graph = Graph(np.cumsum([0, *map(len, rows)]), np.concatenate(rows))
    n_measures = len(parameters.tolerances)
    names = tuple(f"activity_{number + 1}" for number in range(n_measures))
    places = np.arange(n_units, dtype=np.float64)
    activity = np.ones((n_units, n_measures))
    design(Instance(graph, places, 0 * places, activity, names), parameters, 0)
