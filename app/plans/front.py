"""The heavy part of a front, run in a child process: one request over a ladder of tolerances.

Reads from its folder what `app.plans.solve` reads, the cells and ordinals of the plan and of the
one in force as `plan.npz` and `incumbent.npz`, and `front.json`; writes `points.json` and a folder
`member-N` with a whole plan for each design that no other dominates.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from app.jobs.child_main import report
from app.plans.digest import input_digest
from app.plans.front_scores import (
    NOBODY,
    Floats,
    Ground,
    Owners,
    Scored,
    disruption,
    match,
    score_owners,
    undominated,
)
from app.plans.places import Places
from app.plans.request import MEASURES
from app.plans.solve import order_of, write_plan
from app.plans.task import Task, build_task, pointing
from balancing import BalancingError, Progress, Result, design
from balancing.measures import cut_edges
from geo.cells import points_from_cells
from geo.errors import GeoError
from geo.membership import units_of
from geo.projection import local_equal_area

# Parts of the whole progress: what comes before the designs, and after them.
PREPARED, DESIGNED = 0.05, 0.9


@dataclass(frozen=True, slots=True)
class Known:
    """A plan that exists: its cells, the territory of each, and the targets it was made for."""

    cells: NDArray[np.uint64]
    ordinals: Owners
    targets: list[dict[str, float]]


@dataclass(slots=True)
class Point:
    """A plan on the front."""

    kind: str
    owners: Owners
    scored: Scored
    n_territories: int
    n_cut: int | None
    tolerance: float | None = None
    made: tuple[Task, Result] | None = None


def main(folder: Path) -> None:
    """Compute the front that `front.json` asks for."""
    document = orjson.loads((folder / "request.json").read_bytes())
    wanted = orjson.loads((folder / "front.json").read_bytes())
    cells12, activity = np.load(folder / "cells12.npy"), np.load(folder / "activity.npy")
    try:
        report("reading the plan", 0.0)
        plan = _known(folder / "plan.npz", wanted["plan"])
        task = build_task(document, cells12, activity, plan.cells)
        front = Front(task, cells12, activity, plan)
        if wanted["incumbent"] is not None:
            front.compare_with(_known(folder / "incumbent.npz", wanted["incumbent"]))
        elif wanted["is_in_force"]:
            front.compare_with_itself()
        for place, tolerance in enumerate(wanted["ladder"]):
            front.add(tolerance, place / len(wanted["ladder"]), 1 / len(wanted["ladder"]))
        report("drawing outlines", DESIGNED)
        front.write(folder, input_digest(cells12, activity))
    except GeoError as error:
        fault = Fault(error.code.replace("_", "-"), error.message)
        raise InvalidInput(error.message, [fault]) from error
    except BalancingError as error:
        raise InvalidInput(str(error), [Fault(type(error).__name__, str(error))]) from error


class Front:
    """Plans of one request, compared on the customers of today."""

    def __init__(
        self,
        task: Task,
        cells12: NDArray[np.uint64],
        activity: Floats,
        plan: Known,
    ) -> None:
        self._task, self._cells12 = task, cells12
        self._unit = units_of(cells12, task.cells)
        self._ground = _ground(task, cells12, activity)
        k = max(task.n_territories, len(plan.targets))
        self._pull, self._places = _given_centres(task, k)
        owners = self._owners_of(plan)
        self._plan = self._point("plan", owners, plan, np.arange(len(plan.targets)))
        self._incumbent: Point | None = None
        self._designs: list[Point] = []

    def compare_with(self, incumbent: Known) -> None:
        """Take a plan in force as what disruption is measured from."""
        before, work = self._owners_of(incumbent), self._ground.activity[:, 0]
        k = self._plan.n_territories
        known_as = match(self._plan.owners, before, work, k, len(incumbent.targets))
        self._incumbent = self._point("incumbent", before, incumbent, known_as)

    def compare_with_itself(self) -> None:
        """Take the plan asked about as the one in force."""
        self._incumbent = self._plan

    def add(self, tolerance: float, start: float, part: float) -> None:
        """Design the request at another tolerance of the first measure."""
        task = _at_tolerance(self._task, tolerance)

        def tell(progress: Progress) -> bool:
            done = PREPARED + (DESIGNED - PREPARED) * (start + part * progress.fraction)
            report(f"designing at {tolerance:.2%}: {progress.phase}", done)
            return False

        result = pointing(
            task.sources,
            lambda: design(task.instance, task.parameters, task.request.seed, tell),
        )
        ordinals = order_of(task, result)[result.alignment]
        owners = np.where(self._unit >= 0, ordinals[self._unit], NOBODY).astype(np.int32)
        known = [point.owners for point in (self._plan, *self._designs)]
        if any(np.array_equal(owners, other) for other in known):
            return
        targets = np.empty_like(result.targets)
        targets[order_of(task, result)] = result.targets
        columns = [task.sources.measures.index(name) for name in self._ground.measures]
        k = result.n_territories
        scored = score_owners(
            self._ground, owners, targets[:, columns], self._pull[:k], self._places[:k]
        )
        point = Point("member", owners, scored, k, result.cut_edges, tolerance, (task, result))
        self._designs.append(point)

    def write(self, folder: Path, digest: str) -> None:
        """Write the points, the best balanced first, and every member that is not dominated."""
        existing = [self._plan]
        if self._incumbent is not None and self._incumbent is not self._plan:
            existing.append(self._incumbent)
        points = [*existing, *self._designs]
        is_compared = [self._value(point) is not None for point in points]
        axes = np.array([self._axes(point) for point in points])
        is_best = np.ones(len(points), dtype=np.bool_)
        is_best[is_compared] = undominated(axes[is_compared])
        listed = [n for n, point in enumerate(points) if is_best[n] or point.kind != "member"]
        listed.sort(key=lambda n: (axes[n][0], axes[n][1], n))
        rows = []
        for place, number in enumerate(listed):
            point = points[number]
            row = {**self._row(point), "is_dominated": not bool(is_best[number])}
            if point.made is not None:
                row["folder"] = f"member-{place}"
                (folder / row["folder"]).mkdir()
                write_plan(folder / row["folder"], *point.made, digest)
            rows.append(row)
        facts = {
            "axes": ["imbalance", "objective", *(["disruption"] if self._incumbent else [])],
            "objective": self._ground.objective,
            "n_designed": len(self._designs),
            "n_dominated": sum(
                not best and point.kind == "member"
                for best, point in zip(is_best.tolist(), points, strict=True)
            ),
        }
        body = orjson.dumps({"facts": facts, "points": rows}, option=orjson.OPT_SERIALIZE_NUMPY)
        (folder / "points.json").write_bytes(body)

    def _owners_of(self, plan: Known) -> Owners:
        unit = units_of(self._cells12, plan.cells)
        return np.where(unit >= 0, plan.ordinals[unit], NOBODY).astype(np.int32)

    def _point(self, kind: str, owners: Owners, plan: Known, known_as: Any) -> Point:
        """Score a plan that exists; `known_as` is where each territory's given centre is found."""
        k = len(plan.targets)
        targets = np.array(
            [[row.get(name, 1.0) for name in self._ground.measures] for row in plan.targets]
        )
        pull = np.where(known_as >= 0, self._pull[known_as], 0.0)
        scored = score_owners(self._ground, owners, targets, pull, self._places[known_as])
        return Point(kind, owners, scored, k, self._n_cut(plan))

    def _n_cut(self, plan: Known) -> int | None:
        """Links between territories; None for a plan of other cells."""
        if not np.array_equal(plan.cells, self._task.cells):
            return None
        links = self._task.links
        graph = self._task.instance.graph.edited(links.bridges, links.forbidden)
        return cut_edges(graph, plan.ordinals)

    def _value(self, point: Point) -> float | None:
        return (
            point.n_cut if self._ground.objective == "cut_edges" else point.scored.objective_value
        )

    def _axes(self, point: Point) -> list[float]:
        """Imbalance of the first measure, objective and, beside one in force, work that moves."""
        value = self._value(point)
        axes = [
            point.scored.imbalance[self._ground.measures[0]],
            np.inf if value is None else value,
        ]
        if self._incumbent is not None:
            axes.append(self._between(self._incumbent, point)["work_minutes"])
        return axes

    def _between(self, before: Point, after: Point) -> dict[str, Any]:
        return disruption(
            self._ground, before.owners, after.owners, before.n_territories, after.n_territories
        )

    def _row(self, point: Point) -> dict[str, Any]:
        value, of_plan = self._value(point), self._value(self._plan)
        moved = None if self._incumbent is None else self._between(self._incumbent, point)
        return {
            "kind": point.kind,
            "tolerance": point.tolerance,
            "n_territories": point.n_territories,
            "imbalance": point.scored.imbalance,
            "objective_value": value,
            "objective_ratio": value / of_plan if value is not None and of_plan else None,
            "cut_edges": point.n_cut,
            "territories_changed": self._between(self._plan, point)["territories"],
            "disruption": moved,
        }


def _known(path: Path, facts: dict[str, Any]) -> Known:
    with np.load(path) as file:
        return Known(file["cells"], file["ordinals"], facts["targets"])


def _ground(task: Task, cells12: NDArray[np.uint64], activity: Floats) -> Ground:
    x_m, y_m = local_equal_area(*points_from_cells(cells12), Places(task.cells).middle)
    columns = [MEASURES.index(name) for name in task.request.balanced]
    return Ground(
        x_m=x_m,
        y_m=y_m,
        activity=np.ascontiguousarray(activity[:, columns]),
        measures=task.request.balanced,
        customers=activity[:, MEASURES.index("customers")],
        objective=task.request.objective,
    )


def _given_centres(task: Task, n_territories: int) -> tuple[Floats, Floats]:
    """(k,) pull and (k, 2) places of the centres a request names."""
    pull, places = np.zeros(n_territories), np.zeros((n_territories, 2))
    for centre in task.parameters.requirements.centres:
        pull[centre.territory] = centre.pull
        places[centre.territory] = centre.x_m, centre.y_m
    return pull, places


def _at_tolerance(task: Task, tolerance: float) -> Task:
    tolerances = task.request.tolerances.model_copy(update={"work_minutes": tolerance})
    return replace(
        task,
        request=task.request.model_copy(update={"tolerances": tolerances}),
        parameters=replace(
            task.parameters, tolerances=(tolerance, *task.parameters.tolerances[1:])
        ),
    )
