"""What a rebalance is made from, as one document and as the files its child reads."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.plans.demand import Demand
from app.plans.job import write_input

CHOSEN_TYPES = {
    "protected": np.uint64, "recent": np.uint64, "kept_ground": np.uint64,
    "kept_cells12": np.uint64, "kept_work": np.float64,
}  # fmt: skip


def write_folder(
    folder: Path, given: dict[str, Any], resolved: dict[str, Any], demand: Demand
) -> None:
    """Write what `app.plans.rebalance` reads.

    Parameters
    ----------
    given
        As `app.plans.rebalance_job.Inputs.given` returns it.
    resolved
        As `app.plans.lookups` returns it.
    demand
        Of all customers.
    """
    movable = given["movable"]
    if movable is not None:
        cells12 = np.array(movable["cells12"], dtype=np.uint64)
        demand = Demand(cells12, np.array(movable["activity"], dtype=np.float64).reshape(-1, 4))
    write_input(folder, {**given["document"], "resolved": resolved}, demand)
    plan = given["plan"]
    np.savez(
        folder / "plan.npz",
        cells=np.array(plan["cells"], dtype=np.uint64),
        ordinals=np.array(plan["ordinals"], dtype=np.int32),
    )
    chosen: dict[str, Any] = {
        name: np.array(given["chosen"][name], dtype=kind) for name, kind in CHOSEN_TYPES.items()
    }
    np.savez(folder / "chosen.npz", **chosen)
    (folder / "rebalance.json").write_bytes(orjson.dumps(given["wanted"]))
