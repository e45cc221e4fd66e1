"""Databases of a test's own in the cluster of the session, and all that is in one."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from app.db.access import Access
from app.db.cluster import ADMIN_ROLE, APPLICATION_ROLE, OGC_ROLE, OWNER_ROLE, Cluster
from app.db.migrate import upgrade
from app.settings import Settings
from tests.jobs.processes import environment

NewDatabase = Callable[..., Settings]

TABLES = """
    SELECT quote_ident(nspname) || '.' || quote_ident(relname) FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('public', 'jobs') AND relkind IN ('r', 'p')
        AND relname NOT IN ('spatial_ref_sys')
    ORDER BY 1
"""
# A restore leaves a number of its own, by which no client takes an older tile for a newer one.
OURS = {
    "public.data_generation": "(SELECT * FROM public.data_generation WHERE subject <> 'restored')"
}
# Each row as text; a sum does not ask for their order.
ROWS = """
    SELECT count(*), coalesce(sum(hashtextextended(line::text, 0)), 0)::text FROM {} AS line
"""
SEQUENCES = "SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences"
# What stands beside the rows: definitions of everything that is ours, and who may do what.
DEFINITIONS = """
    WITH spaces AS (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'jobs', 'ogc'))
    SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE relnamespace IN (TABLE spaces)
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text || ' ' || conname || ' '
        || pg_get_constraintdef(oid) || convalidated::text
        FROM pg_constraint WHERE connamespace IN (TABLE spaces)
    UNION ALL
    SELECT 'trigger', pg_get_triggerdef(pg_trigger.oid) || tgenabled::text FROM pg_trigger
        JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace IN (TABLE spaces) AND NOT tgisinternal
    UNION ALL
    SELECT 'function', pg_get_functiondef(pg_proc.oid) || proowner::regrole::text || coalesce((
            SELECT string_agg(item::text, ' ' ORDER BY item::text) FROM unnest(proacl) AS item
        ), '')
        FROM pg_proc WHERE pronamespace IN (TABLE spaces) AND prokind <> 'a' AND NOT EXISTS (
            SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    UNION ALL
    SELECT 'relation', relname::text || relkind::text || relowner::regrole::text
        || has_table_privilege('bailiwick', pg_class.oid, 'SELECT')
        || has_table_privilege('bailiwick', pg_class.oid, 'INSERT')
        || has_table_privilege('bailiwick', pg_class.oid, 'DELETE')
        FROM pg_class WHERE relnamespace IN (TABLE spaces) AND relkind IN ('r', 'p')
            -- Rights on a table go before those on its partitions, which each upgrade widens.
            AND relname <> 'spatial_ref_sys' AND NOT relispartition
    UNION ALL
    SELECT 'view', relname::text || pg_get_viewdef(oid) || relowner::regrole::text
        || has_table_privilege('bailiwick_ogc', oid, 'SELECT')
        FROM pg_class WHERE relkind = 'v' AND relnamespace = to_regnamespace('ogc')
    UNION ALL
    SELECT 'column', attrelid::regclass::text || '.' || attname || ' '
        || atttypid::regtype::text || attnotnull || attidentity::text || attgenerated::text
        || coalesce((SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
                     WHERE adrelid = attrelid AND adnum = attnum), '')
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace IN (TABLE spaces) AND relkind IN ('r', 'p') AND attnum > 0
            AND NOT attisdropped
"""


@pytest.fixture
def new_database(settings: Settings) -> Iterator[NewDatabase]:
    """Make a database with the extensions, and with our tables unless told otherwise."""
    cluster = Cluster(settings.home)
    names: list[str] = []

    def make(revision: str | None = "head") -> Settings:
        name = f"own{len(names)}"
        with admin(settings) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(OWNER_ROLE)
                )
            )
        names.append(name)
        with admin(settings, name) as connection:
            connection.execute("CREATE EXTENSION postgis; CREATE EXTENSION btree_gist")
        urls = [
            make_url(cluster.url(role)).set(database=name).render_as_string(hide_password=False)
            for role in (APPLICATION_ROLE, OWNER_ROLE, OGC_ROLE)
        ]
        made = Settings(
            home=settings.home,
            auth="off",
            database_url=urls[0],
            owner_database_url=urls[1],
            ogc_database_url=urls[2],
        )
        if revision is not None:
            upgrade(Access.of(made).owner_url, APPLICATION_ROLE, revision)
        return made

    yield make
    with admin(settings) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def urls_of(settings: Settings) -> dict[str, str]:
    """Return the variables by which a process finds the database."""
    urls = {
        "DATABASE_URL": settings.database_url,
        "OWNER_DATABASE_URL": settings.owner_database_url,
    }
    return {f"BAILIWICK_{name}": url.get_secret_value() for name, url in urls.items() if url}


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """Return the surroundings of a process on the database."""
    return environment(settings, **urls_of(settings), **more)


def admin(settings: Settings, database: str = "postgres") -> psycopg.Connection:
    """Connect as the superuser of the private cluster."""
    socket = str(Cluster(settings.home).places.socket)
    return psycopg.connect(host=socket, user=ADMIN_ROLE, dbname=database, autocommit=True)


def owner(settings: Settings) -> psycopg.Connection:
    """Connect as the owner of the tables."""
    return psycopg.connect(Access.of(settings).owner_conninfo_without_password, autocommit=True)


def contents(settings: Settings) -> dict[str, tuple[int, str]]:
    """Return the number of rows of each table, and a sum over all columns of all rows."""
    with owner(settings) as connection:
        # Hashes are of the text of the rows, so that must not depend on the session.
        connection.execute("SET timezone TO UTC")
        found = {}
        for (name,) in connection.execute(TABLES).fetchall():
            row = connection.execute(ROWS.format(OURS.get(name, name)).encode()).fetchone()
            assert row is not None
            found[name] = row
        return found


def sequences(settings: Settings) -> dict[str, int | None]:
    """Return where each sequence stands."""
    with owner(settings) as connection:
        return dict(connection.execute(SEQUENCES).fetchall())


def definitions(settings: Settings) -> set[tuple[str, str]]:
    """Return every definition of ours, and who may do what."""
    with owner(settings) as connection:
        return set(connection.execute(DEFINITIONS).fetchall())


def programs_of_path(folder: Path, script: str) -> Path:
    """Make a folder of programs in which pg_restore is `script`; `$REAL` is the real one."""
    folder.mkdir()
    real = Path(shutil.which("pg_dump") or "")
    (folder / "pg_dump").symlink_to(real)
    program = folder / "pg_restore"
    program.write_text(f"#!/bin/bash\nREAL={real.with_name('pg_restore')}\n{script}\n")
    program.chmod(0o755)
    return folder
