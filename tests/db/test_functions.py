"""The SQL functions against their twins in Python."""

from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from geo.cells import ancestors, cells_from_points, descendant_range, resolutions

INACTIVE = "inactive"


def _random_cells(seed: int, resolution: int, n: int = 40) -> list[int]:
    random = np.random.default_rng(seed)
    lon = random.uniform(-180, 180, n)
    lat = np.degrees(np.arcsin(random.uniform(-1, 1, n)))
    cells: list[int] = cells_from_points(lon, lat, resolution).astype(np.int64).tolist()
    return cells


@pytest.mark.parametrize("resolution", range(16))
def test_cell_parent_is_the_logical_ancestor(
    connection: psycopg.Connection, resolution: int
) -> None:
    cells = _random_cells(1, resolution)

    for coarser in range(resolution + 1):
        rows = connection.execute(
            "SELECT cell_parent(cell, %s) FROM unnest(%s::bigint[]) AS cell", (coarser, cells)
        ).fetchall()
        expected = ancestors(np.array(cells, dtype=np.uint64), coarser)
        assert [cell for (cell,) in rows] == expected.astype(np.int64).tolist()


@pytest.mark.parametrize("resolution", range(13))
def test_the_customers_of_a_cell_are_one_range_of_cells(
    connection: psycopg.Connection, resolution: int
) -> None:
    cells = _random_cells(2, resolution)

    rows = connection.execute(
        "SELECT cell_first(cell), cell_last(cell), cell_resolution(cell) "
        "FROM unnest(%s::bigint[]) AS cell",
        (cells,),
    ).fetchall()

    first, last = descendant_range(np.array(cells, dtype=np.uint64), 12)
    expected = zip(first.tolist(), last.tolist(), strict=True)
    assert [(row[0], row[1]) for row in rows] == list(expected)
    assert {row[2] for row in rows} == set(resolutions(np.array(cells, np.uint64)).tolist())


@pytest.mark.parametrize(
    ("customer_filter", "customer", "is_accepted"),
    [
        ({}, ("A", "retail", [], "active"), True),
        ({}, ("A", "retail", [], "lead"), True),
        ({}, ("A", "retail", [], INACTIVE), False),
        ({"status": [INACTIVE]}, ("A", "retail", [], INACTIVE), True),
        ({"status": [INACTIVE]}, ("A", "retail", [], "active"), False),
        ({"class": ["A", "B"]}, ("B", "", [], "active"), True),
        ({"class": ["A", "B"]}, ("C", "", [], "active"), False),
        ({"class": ["A"]}, ("A", "", [], INACTIVE), False),
        ({"segment": ["education"]}, ("C", "education", [], "active"), True),
        ({"segment": ["education"]}, ("C", "Education", [], "active"), False),
        ({"segment": [""]}, ("C", "", [], "active"), True),
        ({"tag": ["key", "new"]}, ("C", "", ["old", "new"], "active"), True),
        ({"tag": ["key"]}, ("C", "", ["old"], "active"), False),
        ({"tag": ["key"]}, ("C", "", [], "active"), False),
        ({"class": ["A"], "segment": ["x"], "tag": ["t"]}, ("A", "x", ["t"], "lead"), True),
        ({"class": ["A"], "segment": ["x"], "tag": ["t"]}, ("A", "y", ["t"], "lead"), False),
    ],
)
def test_a_layer_accepts_what_each_key_of_its_filter_lists(
    connection: psycopg.Connection,
    customer_filter: dict[str, Any],
    customer: tuple[str, str, list[str], str],
    is_accepted: bool,
) -> None:
    row = connection.execute(
        "SELECT layer_accepts(%s, %s, %s, %s::text[], %s)", (Jsonb(customer_filter), *customer)
    ).fetchone()

    assert row == (is_accepted,)


def _partitions(connection: psycopg.Connection) -> set[str]:
    rows = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'plan_cell'::regclass"
    )
    return {name for (name,) in rows}


def test_a_plan_gets_a_partition_of_its_own_that_readers_see_once_it_is_attached(
    connection: psycopg.Connection,
) -> None:
    connection.execute("SELECT create_plan_partition(4000000041)")
    connection.execute("INSERT INTO plan_cell_4000000041 VALUES (4000000041, 7, 3)")
    assert "plan_cell_4000000041" not in _partitions(connection)

    connection.execute("SELECT attach_plan_partition(4000000041)")

    assert "plan_cell_4000000041" in _partitions(connection)
    rows = connection.execute("SELECT plan_id, cell, territory_id FROM plan_cell").fetchall()
    assert [row for row in rows if row[0] == 4000000041] == [(4000000041, 7, 3)]


def test_a_partition_refuses_a_cell_given_twice(connection: psycopg.Connection) -> None:
    connection.execute("SELECT create_plan_partition(4000000041)")
    connection.execute(
        "INSERT INTO plan_cell_4000000041 VALUES (4000000041, 7, 3), (4000000041, 7, 4)"
    )

    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("SELECT attach_plan_partition(4000000041)")


def test_a_partition_refuses_cells_of_another_plan(connection: psycopg.Connection) -> None:
    connection.execute("SELECT create_plan_partition(4000000041)")
    connection.execute("INSERT INTO plan_cell_4000000041 VALUES (4000000042, 7, 3)")

    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("SELECT attach_plan_partition(4000000041)")


def test_a_partition_goes_with_its_rows_and_goes_again_without_complaint(
    connection: psycopg.Connection,
) -> None:
    connection.execute("SELECT create_plan_partition(4000000041)")
    connection.execute("INSERT INTO plan_cell_4000000041 VALUES (4000000041, 7, 3)")
    connection.execute("SELECT attach_plan_partition(4000000041)")

    for _ in range(2):
        connection.execute("SELECT drop_plan_partition(4000000041)")

    assert "plan_cell_4000000041" not in _partitions(connection)
