"""What a plan says about itself, in its own words."""

import numpy as np

from app.plans.solve import count_pieces, describe_violation
from balancing import Violation
from geo.adjacency import build_adjacency
from geo.cells import cell_from_point, cell_to_text, descendants

CELLS = descendants(np.array([cell_from_point(9.0, 50.0, 4)], dtype=np.uint64), 5)


def test_violations_name_the_codes_of_territories() -> None:
    given = Violation("tolerance_not_met", "territory 1 is off by +9.00%", {"territory": 1})
    order = np.array([2, 0, 1], dtype=np.int32)

    said = describe_violation(given, order, CELLS)

    assert said["message"] == "T01 is off by +9.00%"
    assert said["facts"]["territory"] == "T01"


def test_violations_name_the_cells_of_units() -> None:
    given = Violation("unit_too_heavy", "unit 4 carries 1.81 of the target", {"unit": 4})

    said = describe_violation(given, np.array([0], dtype=np.int32), CELLS)

    cell = cell_to_text(int(CELLS[4]))
    assert said["message"] == f"cell {cell} carries 1.81 of the target"
    assert said["facts"]["unit"] == cell


def test_pieces_of_territories_are_counted() -> None:
    adjacency = build_adjacency(np.sort(CELLS))
    # The centre of a flower of seven touches all others; two opposite petals touch only it.
    opposite = next(
        unit
        for unit in range(2, 7)
        if unit not in adjacency.indices[adjacency.indptr[1] : adjacency.indptr[2]]
    )
    ordinals = np.zeros(7, dtype=np.int32)
    ordinals[[1, opposite]] = 1

    assert count_pieces(adjacency, ordinals, 2).tolist() == [1, 2]
