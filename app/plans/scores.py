"""What a plan comes to: activity per territory, balance, compactness, how it was made."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.plans.request import MEASURES
from app.plans.task import Task
from balancing import Result
from geo.cells import cells_to_text
from geo.resolution import reachable_tolerance

Ordinals = NDArray[np.int32]


def score_territories(
    territories: list[dict[str, Any]], order: Ordinals, task: Task, result: Result
) -> list[dict[str, Any]]:
    """Add activity, target and imbalance to each territory, in the order of their codes."""
    ordinals = order[result.alignment]
    sums = {
        name: np.bincount(ordinals, task.activity[:, column], result.n_territories)
        for column, name in enumerate(MEASURES)
    }
    own = np.argsort(order)
    for ordinal, territory in enumerate(territories):
        row = own[ordinal]
        territory["activity"] = {name: float(sums[name][ordinal]) for name in MEASURES}
        territory["target"] = _by_measure(task, result.targets[row])
        territory["imbalance"] = _by_measure(task, result.imbalance[row])
        territory["radius_km"] = float(result.radius_m[row]) / 1000
    return territories


def score_plan(task: Task, result: Result) -> dict[str, Any]:
    """Return the scores of the plan as a whole, and how its units and number were found."""
    region = task.choice.region
    share = heaviest_share(task)
    return {
        "max_imbalance": _by_measure(task, result.worst_imbalance),
        "moment_of_inertia": float(result.total_moment_of_inertia),
        "cut_edges": int(result.cut_edges),
        "objective": {"name": result.objective, "value": float(result.objective_value)},
        "sizing": task.sizing.document(),
        "heaviest_cell_share_of_target": task.choice.heaviest_share_of_target,
        "reachable_tolerance": reachable_tolerance(share),
        "splitting": {
            "n_split": task.splitting.n_split,
            "n_added": task.splitting.n_added,
            "n_too_heavy": task.splitting.n_too_heavy,
            "heaviest_unit_share_of_target": share,
        },
        "bridges": _bridges(task, result),
        "region": {
            "distance_m": region.distance_m,
            "small_piece_share": region.small_piece_share,
            "n_pieces": region.n_pieces,
            "stopped_by": region.stopped_by,
            "first_cell": cells_to_text(region.cells[:1])[0],
        },
    }


def heaviest_share(task: Task) -> float:
    """Return the work of the heaviest unit over that of an average territory."""
    work = task.activity[:, 0]
    return float(work.max() / max(work.sum() / task.n_territories, 1e-300))


def _by_measure(task: Task, values: NDArray[np.float64]) -> dict[str, float]:
    """Values of the measures that are balanced; those that only have limits are left out."""
    named = zip(task.sources.measures, values.tolist(), strict=True)
    return {name: value for name, value in named if name in task.request.balanced}


def _bridges(task: Task, result: Result) -> list[dict[str, Any]]:
    """Every bridge of the request, and whether a territory reaches across it."""
    used = {tuple(pair) for pair in result.bridges.tolist()}
    across = {
        number
        for pair, number in zip(task.links.bridges.tolist(), task.links.bridge_numbers, strict=True)
        if tuple(pair) in used
    }
    return [
        {"name": bridge.name, "is_used": number in across}
        for number, bridge in enumerate(task.request.bridges)
    ]
