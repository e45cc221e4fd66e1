"""What a plan says about itself, in its own words and in the fields of the request."""

from typing import Any

import numpy as np
import pytest

from app.plans.drawing import count_pieces
from app.plans.task import Task, build_task
from app.plans.violations import describe_violation
from balancing import Graph, Violation
from geo.adjacency import build_adjacency
from geo.cells import cell_from_point, cell_to_text, descendants

FLOWER = descendants(np.array([cell_from_point(9.0, 50.0, 4)], dtype=np.uint64), 5)
CODES = ("T03", "T01", "T02")


def task_of(**request: Any) -> Task:
    """A task on customers in each of the cells around a place."""
    places = descendants(FLOWER, 7)[::7]
    cells12 = np.array([descendants([place], 12)[0] for place in places.tolist()], dtype=np.uint64)
    activity = np.tile([60.0, 1.0, 5.0, 0.0], (len(cells12), 1))
    wanted = {"layer_id": 1, "n_territories": 3, "resolution": 5, **request}
    return build_task(wanted, cells12, activity)


def test_violations_name_the_codes_of_territories() -> None:
    given = Violation("tolerance_not_met", "territory 1 is off by +9.00%", {"territory": 1})

    said = describe_violation(given, task_of(), CODES)

    assert said["message"] == "T01 is off by +9.00%"
    assert said["facts"]["territory"] == "T01"


def test_violations_name_the_cells_of_units() -> None:
    facts = {"unit": 4, "ratio": 1.81}
    given = Violation("unit_too_heavy", "unit 4 carries 1.81 of the target", facts)
    task = task_of(split_heavy_cells=False)

    said = describe_violation(given, task, CODES)

    cell = cell_to_text(int(task.cells[4]))
    assert said["message"] == f"cell {cell} carries 1.81 of the target"
    assert said["facts"] == {
        "unit": cell, "ratio": 1.81, "is_single_place": False, "reachable_tolerance": 0.8101,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "request_", "expected"),
    [
        ({"field": "tolerances", "index": 1, "value": 0.16667}, {},
         {"field": "/tolerances/customers", "value": 0.1667}),
        ({"field": "tolerances", "index": 0, "value": 1.2}, {}, {}),
        ({"field": "tolerances", "index": 1, "value": 1.2}, {},
         {"field": "/tolerances/customers", "value": None}),
        ({"field": "least", "index": 0, "value": 1000.00017},
         {"limits": {"work_minutes": {"min": 2000}}},
         {"field": "/limits/work_minutes/min", "value": 1000.0001}),
        ({"field": "max_radius_m", "value": 1234.56}, {},
         {"field": "/max_radius_km", "value": 1.2346}),
        ({"field": "n_territories", "value": 2}, {}, {"field": "/n_territories", "value": 2}),
        ({"field": "n_territories", "value": 2},
         {"n_territories": None, "shares": [0.5, 0.3, 0.2]},
         {"field": "/shares", "n_territories": 2}),
    ],
)  # fmt: skip
def test_relaxations_are_changes_of_the_request(
    given: dict[str, Any], request_: dict[str, Any], expected: dict[str, Any]
) -> None:
    violation = Violation("tolerance_not_met", "", {}, given)

    said = describe_violation(violation, task_of(**request_), CODES)

    assert said["relaxation"] == expected


def test_pieces_of_territories_are_counted() -> None:
    adjacency = build_adjacency(np.sort(FLOWER))
    # The centre of a flower of seven touches all others; two opposite petals touch only it.
    opposite = next(
        unit
        for unit in range(2, 7)
        if unit not in adjacency.indices[adjacency.indptr[1] : adjacency.indptr[2]]
    )
    ordinals = np.zeros(7, dtype=np.int32)
    ordinals[[1, opposite]] = 1

    graph = Graph(adjacency.indptr, adjacency.indices)

    assert count_pieces(graph, ordinals, 2).tolist() == [1, 2]
