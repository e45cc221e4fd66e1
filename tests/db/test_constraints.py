"""What the tables refuse, whoever writes."""

import psycopg
import pytest

from tests.db.test_migrations import CELL, POINT, ROWS

PUBLICATION = """INSERT INTO publication (layer_id, plan_id, during, published_by)
    VALUES ({layer}, 1, {during}, 'me')"""
OWNER = "INSERT INTO territory_owner (territory_id, rep_id, during) VALUES (1, {rep}, {during})"
OVERRIDE = """INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
    VALUES ({layer}, 1, 'T09', {during}, 'named')"""
NOW = "tstzrange(now(), NULL)"
OVERLAPPING = "tstzrange(now() + interval '59 minutes', NULL)"
ADJACENT = "tstzrange(now() + interval '1 hour', NULL)"
EMPTY = "tstzrange(now(), now())"


@pytest.fixture
def filled(empty_database: None, connection: psycopg.Connection) -> psycopg.Connection:
    """A plan in force for an hour, owned for an hour, with a named account for an hour."""
    for statement in ROWS:
        if "plan_cell" not in statement:
            connection.execute(statement.encode())
    connection.execute("INSERT INTO layer (name, title) VALUES ('other', 'Other')")
    connection.execute("INSERT INTO rep (external_id, name) VALUES ('r2', 'R2')")
    return connection


@pytest.mark.parametrize("statement", [PUBLICATION, OWNER, OVERRIDE])
def test_ranges_of_one_subject_may_not_overlap(filled: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.ExclusionViolation):
        filled.execute(statement.format(layer=1, rep=2, during=OVERLAPPING).encode())


@pytest.mark.parametrize("statement", [PUBLICATION, OWNER, OVERRIDE])
def test_a_range_may_begin_where_another_ends(filled: psycopg.Connection, statement: str) -> None:
    filled.execute(statement.format(layer=1, rep=2, during=ADJACENT).encode())


@pytest.mark.parametrize("statement", [PUBLICATION, OVERRIDE])
def test_ranges_of_different_layers_may_overlap(filled: psycopg.Connection, statement: str) -> None:
    filled.execute(statement.format(layer=2, during=NOW).encode())


@pytest.mark.parametrize("statement", [PUBLICATION, OWNER, OVERRIDE])
def test_an_empty_range_is_refused(filled: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        filled.execute(statement.format(layer=2, rep=2, during=EMPTY).encode())


@pytest.mark.parametrize("value", ["'NaN'", "'Infinity'", "'-Infinity'", "-1"])
@pytest.mark.parametrize(
    "column", ["potential", "revenue", "visits_per_year", "service_minutes", "work_minutes"]
)
def test_customers_hold_no_amount_that_is_not_finite_and_positive(
    connection: psycopg.Connection, column: str, value: str
) -> None:
    statement = f"""INSERT INTO customer (external_id, name, geom, cell, {column})
        VALUES ('c', 'C', {POINT}, {CELL}, {value})"""

    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(statement.encode())


@pytest.mark.parametrize("value", ["'NaN'", "'Infinity'", "0", "-1"])
@pytest.mark.parametrize(
    "column", ["days_per_year", "hours_per_day", "field_share", "ability", "fte"]
)
def test_reps_hold_no_part_of_capacity_that_is_not_finite_and_positive(
    connection: psycopg.Connection, column: str, value: str
) -> None:
    statement = f"INSERT INTO rep (external_id, name, {column}) VALUES ('r', 'R', {value})"

    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(statement.encode())


def test_the_capacity_of_a_rep_is_the_product_of_its_parts(connection: psycopg.Connection) -> None:
    row = connection.execute(
        "INSERT INTO rep (external_id, name, days_per_year, hours_per_day, field_share, ability, "
        "fte) VALUES ('r', 'R', 200, 7.5, 0.5, 0.9, 2) RETURNING capacity_minutes"
    ).fetchone()

    assert row is not None
    assert row[0] == pytest.approx(200 * 7.5 * 60 * 0.5 * 0.9 * 2)


@pytest.mark.parametrize("column", ["class", "status"])
def test_customers_have_a_class_and_a_status_of_the_lists(
    connection: psycopg.Connection, column: str
) -> None:
    statement = f"""INSERT INTO customer (external_id, name, geom, cell, {column})
        VALUES ('c', 'C', {POINT}, {CELL}, 'X')"""

    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["rep", "manager"])
def test_a_key_of_a_limited_role_names_its_rep(connection: psycopg.Connection, role: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO api_key (name, prefix, sha256, role) VALUES ('k', 'p', 'x', %s)", (role,)
        )


def test_a_layer_has_one_active_run(connection: psycopg.Connection) -> None:
    layer = connection.execute(
        "INSERT INTO layer (name, title) VALUES ('busy', 'Busy') RETURNING id"
    ).fetchone()
    assert layer is not None
    run = """INSERT INTO run (kind, layer_id, parameters, requested_by, state)
        VALUES ('design', %s, '{}', 'me', %s)"""
    for state in ("succeeded", "failed", "cancelled", "running"):
        connection.execute(run, (layer[0], state))

    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(run, (layer[0], "queued"))


def test_the_place_for_metres_follows_the_place_in_degrees(connection: psycopg.Connection) -> None:
    statement = f"""INSERT INTO customer (external_id, name, geom, cell)
        VALUES ('moved', 'C', {POINT}, 1)"""
    connection.execute(statement.encode())

    row = connection.execute(
        "UPDATE customer SET geom = ST_SetSRID(ST_MakePoint(-70.5, -33.25), 4326) "
        "WHERE external_id = 'moved' RETURNING ST_AsText(geog)"
    ).fetchone()

    assert row == ("POINT(-70.5 -33.25)",)
