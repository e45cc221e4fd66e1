"""Dividing one territory of a draft by the solver, in a process of its own.

Compiling or loading the solver's machine code holds up every thread of a process, which an API
cannot have. `main` reads `territory.npz` and `wishes.json` and writes `parts.npy`.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.db.alignment import Ordinals
from app.errors import Fault, InvalidInput, TookTooLong
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.plans.edit_changes import FREE, bound_units
from app.plans.edit_ground import Ground
from app.plans.edit_state import EditState
from app.plans.ground_demand import Floats
from app.plans.request import MEASURES
from app.settings import Settings
from balancing import Graph, Instance, Parameters, Requirements, design
from geo.cells import points_from_cells
from geo.projection import local_equal_area

# With machine code at hand it is a few seconds; compiling it first, once, takes a minute or two.
LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class _Request:
    """A request waits for the child; nobody follows how far it is."""

    settings: Settings

    def report(self, phase: str, progress: float) -> None:
        """Take no note of it."""


async def divide(
    settings: Settings,
    state: EditState,
    ground: Ground,
    activity: Floats,
    parameters: dict[str, Any],
    code: str,
    parts: int,
) -> Ordinals:
    """Return the part of each cell of a territory, (n_cells,); locked ones are in the first.

    Parameters
    ----------
    activity
        (n_units, 4) of the plan's cells, in the order of `MEASURES`.
    parameters
        The plan's, for tolerances, weights, objective and seed.

    Raises
    ------
    InvalidInput
        When there are more parts than cells.
    TookTooLong
        When the solver does not end in time.
    """
    place = state.place(code, "/territory")
    units = state.units(place)
    if parts > len(units):
        fault = Fault("more-parts-than-cells", f"{parts} parts of {len(units)} cells", "/parts")
        raise InvalidInput(f"{code} cannot be split into so many parts.", [fault])
    async with work_folder() as folder:
        await asyncio.to_thread(
            _write, folder, state, ground, activity, parameters, units, place, parts
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                await run_child(_Request(settings), "app.plans.splitting", folder, 0.0, 1.0)
        except TimeoutError:
            raise TookTooLong(f"To split {code} took longer than {LONGEST_S:.0f} s.") from None
        labels: Ordinals = np.load(folder / "parts.npy")
    return labels


def main(folder: Path) -> None:
    """Divide the territory that is described in the folder."""
    wishes = orjson.loads((folder / "wishes.json").read_bytes())
    given = np.load(folder / "territory.npz")
    graph = Graph(given["indptr"], given["indices"], is_ring_ordered=True)
    names = tuple(wishes["tolerances"])
    instance = Instance(graph, given["x_m"], given["y_m"], given["activity"], names)
    locks = given["locks"] if np.any(given["locks"] != FREE) else None
    parameters = Parameters(
        n_territories=wishes["parts"],
        tolerances=tuple(wishes["tolerances"].values()),
        weights=tuple(wishes["weights"].get(name, 1.0) for name in names),
        objective=wishes["objective"],
        requirements=Requirements(locks=locks),
    )
    np.save(folder / "parts.npy", design(instance, parameters, wishes["seed"]).alignment)


def _write(
    folder: Path,
    state: EditState,
    ground: Ground,
    activity: Floats,
    parameters: dict[str, Any],
    units: Ordinals,
    place: int,
    parts: int,
) -> None:
    given = parameters["tolerances"]
    tolerances = {name: given[name] for name in MEASURES if given.get(name) is not None}
    own = activity[units]
    if not own[:, 0].any():
        # Nobody is visited there: the parts are even in ground.
        own = np.ones_like(own)
    graph = ground.graph.restricted_to(units)
    x_m, y_m = local_equal_area(*points_from_cells(state.cells[units]))
    np.savez(
        folder / "territory.npz",
        indptr=graph.indptr,
        indices=graph.indices,
        x_m=x_m,
        y_m=y_m,
        activity=np.ascontiguousarray(own[:, [MEASURES.index(name) for name in tolerances]]),
        locks=np.where(bound_units(state, place, units), 0, FREE).astype(np.int32),
    )
    wishes = {
        "parts": parts,
        "tolerances": tolerances,
        "weights": parameters.get("weights") or {},
        "objective": parameters.get("objective", "moment_of_inertia"),
        "seed": int(parameters.get("seed", 1)),
    }
    (folder / "wishes.json").write_bytes(orjson.dumps(wishes))
