"""The role of `/ogc` reads its views and nothing else, whatever it is brought to say."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from app.db.access import Access
from app.db.migrate import FOR_THE_APPLICATION, upgrade
from app.ogc.views import SCHEMA, VIEWS
from app.settings import Settings
from tests.db.databases import NewDatabase, admin, new_database

__all__ = ["new_database"]

ROLE = "bailiwick_ogc"
TABLES = """
    SELECT format('%I.%I', nspname, relname) FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('public', 'jobs') AND relkind IN ('r', 'p', 'v', 'm', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
    ORDER BY 1
"""
COLUMNS = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = format('ogc.%%I', %s::text)::regclass AND attnum > 0 ORDER BY attnum
"""
OWNERS_FUNCTIONS = """
    -- What runs as its owner and may be called by a role.
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE prosecdef AND has_function_privilege(%s, oid, 'EXECUTE')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
"""
SHORT = {"timestamp with time zone": "timestamptz"}
WRITES = (
    "INSERT INTO ogc.geofences (name) VALUES ('x')",
    "UPDATE ogc.customers SET name = 'x'",
    "DELETE FROM ogc.geofences",
    "CREATE TABLE ogc.mine (x int)",
    "CREATE TABLE public.mine (x int)",
    "CREATE SCHEMA mine",
    "ALTER VIEW ogc.customers RENAME TO mine",
    "CREATE TEMP TABLE customer (id bigint)",
)
CALLS = (
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "COPY ogc.customers TO PROGRAM 'true'",
    "COPY ogc.customers TO '/tmp/customers'",
    "SELECT drop_plan_partition(1)",
    "SELECT create_plan_partition(1)",
    "SELECT attach_plan_partition(1)",
    "SELECT set_indexes_aside()",
    "SELECT build_next_index()",
    "SELECT record_bulk_audit('customer', '{}', '{}')",
    "SELECT erase_audit_of_customer(1)",
    "SELECT write_audit('a', 'b', 1, '{}', '{}')",
    "SET ROLE bailiwick_owner",
    "SELECT rolpassword FROM pg_authid",
)


@pytest.fixture
def as_ogc(settings: Settings) -> Iterator[psycopg.Connection]:
    """A plain connection of the role, without anything that the service says for itself."""
    url = Access.of(settings).ogc_url
    assert url is not None
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def test_the_role_sees_no_table(settings: Settings, as_ogc: psycopg.Connection) -> None:
    with psycopg.connect(Access.of(settings).conninfo) as connection:
        tables = [name for (name,) in connection.execute(TABLES).fetchall()]
    assert {"public.customer", "public.api_key", "jobs.procrastinate_jobs"} <= set(tables)

    for name in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_ogc.execute(f"SELECT * FROM {name}".encode())


def test_the_role_sees_its_views(as_ogc: psycopg.Connection) -> None:
    for name in VIEWS:
        as_ogc.execute(f"SELECT * FROM {SCHEMA}.{name}".encode())


@pytest.mark.parametrize("statement", WRITES)
@pytest.mark.parametrize("is_insisting", [False, True])
def test_the_role_writes_nothing(
    as_ogc: psycopg.Connection, statement: str, is_insisting: bool
) -> None:
    if is_insisting:
        as_ogc.execute("SET default_transaction_read_only TO off")
    refusal = psycopg.errors.InsufficientPrivilege
    expected = refusal if is_insisting else (refusal, psycopg.errors.ReadOnlySqlTransaction)

    with pytest.raises(expected):
        as_ogc.execute(statement.encode())


@pytest.mark.parametrize("statement", CALLS)
def test_the_role_calls_nothing_that_reads_or_does_more(
    as_ogc: psycopg.Connection, statement: str
) -> None:
    as_ogc.execute("SET default_transaction_read_only TO off")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_ogc.execute(statement.encode())


def test_only_the_application_calls_what_runs_as_the_owner(settings: Settings) -> None:
    may_call = {}
    with admin(settings, Access.of(settings).url.database or "") as connection:
        for role in (ROLE, "bailiwick"):
            found = connection.execute(OWNERS_FUNCTIONS, (role,)).fetchall()
            may_call[role] = {name.replace(",", ", ") for (name,) in found}

    assert may_call == {ROLE: set(), "bailiwick": set(FOR_THE_APPLICATION)}


def test_a_statement_of_the_role_ends_after_five_seconds(as_ogc: psycopg.Connection) -> None:
    began = time.monotonic()

    with pytest.raises(psycopg.errors.QueryCanceled):
        as_ogc.execute("SELECT pg_sleep(60)")

    assert 4 < time.monotonic() - began < 15


def test_the_role_has_few_connections(settings: Settings) -> None:
    with admin(settings) as connection:
        row = connection.execute(
            "SELECT rolconnlimit, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles "
            "WHERE rolname = %s",
            (ROLE,),
        ).fetchone()

    assert row == (20, False, False, False, False)


@pytest.mark.parametrize("name", VIEWS)
def test_what_the_code_says_of_a_view_is_what_the_database_has(
    as_ogc: psycopg.Connection, name: str
) -> None:
    found = dict(as_ogc.execute(COLUMNS, (name,)).fetchall())

    said = {column.name: column.type for column in VIEWS[name].table_columns}
    assert {column: SHORT.get(kind, kind) for column, kind in found.items()} == said
    row = as_ogc.execute(
        "SELECT type, srid FROM public.geometry_columns WHERE f_table_schema = 'ogc' "
        "AND f_table_name = %s",
        (name,),
    ).fetchone()
    geometry = VIEWS[name].geometry_column
    assert geometry is not None
    assert row == (geometry.geometry_type.upper(), geometry.srid)


def test_no_view_has_personal_or_free_data() -> None:
    columns = {column.name for column in VIEWS["customers"].table_columns}

    assert not columns & {"attributes", "tags", "phone", "email", "contact"}


def test_an_upgrade_opens_the_views_where_the_role_was_made_later(
    new_database: NewDatabase,
) -> None:
    made = new_database()
    access = Access.of(made)
    with admin(made, access.url.database or "") as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(ROLE)))

    upgrade(access.owner_url, access.url.username)

    assert access.ogc_url is not None
    address = access.ogc_url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("SELECT * FROM ogc.customers")
