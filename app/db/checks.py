"""What `bailiwick doctor` looks at in the server: versions, rights, definitions, clock, room."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from app.db.cluster import OGC_ROLE
from app.db.migrate import newest_revision

State = Literal["ok", "warning", "failed"]

OLDEST_POSTGRES = 14
OLDEST_POSTGIS = (3, 3)
CROWDED = 0.8
CLOCK_WARNING_S, CLOCK_FAILED_S = 2.0, 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of one thing, and what to do about it."""

    name: str
    state: State
    seen: str
    cure: str = ""

    def document(self) -> dict[str, str]:
        """Return the finding as JSON members."""
        return asdict(self)


Check = Callable[[psycopg.Connection], Finding]

GRANTS = """
    -- Tables that the role may not use as it must; partitions are reached through their parent.
    SELECT relname FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, to_regnamespace('jobs'))
        AND relkind IN ('r', 'p') AND NOT relispartition
        AND relname NOT IN ('audit_event', 'set_aside_index', 'alembic_version')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
             AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
    ORDER BY relname
"""
MAY_STAGE = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
OWNED = """
    SELECT count(*) FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, to_regnamespace('jobs'))
        AND relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')
"""
FORGING = """
    -- What would let the role rewrite who did what, or have the owner execute what it likes.
    SELECT right_name FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS right_name
    WHERE has_table_privilege('public.audit_event', right_name)
        OR has_table_privilege('public.set_aside_index', right_name)
    UNION ALL
    SELECT 'EXECUTE ' || proname || ' and so forge' FROM pg_proc
    WHERE proname IN ('write_audit', 'record_audit') AND has_function_privilege(oid, 'EXECUTE')
"""
OGC_VIEWS_CLOSED = f"""
    -- Views of /ogc that its role may not read.
    SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('ogc') AND relkind = 'v'
        AND NOT (has_schema_privilege('{OGC_ROLE}', relnamespace, 'USAGE')
             AND has_table_privilege('{OGC_ROLE}', oid, 'SELECT'))
    ORDER BY relname
"""  # noqa: S608
OGC_TOO_MUCH = f"""
    -- What the role of /ogc may do beyond reading its views.
    SELECT 'is a superuser' FROM pg_roles WHERE rolname = '{OGC_ROLE}' AND rolsuper
    UNION ALL
    SELECT 'may use ' || relname FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, to_regnamespace('jobs'))
        AND relkind IN ('r', 'p', 'v', 'm')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        AND has_table_privilege('{OGC_ROLE}', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
    UNION ALL
    SELECT 'may call ' || proname FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND prosecdef
        AND has_function_privilege('{OGC_ROLE}', oid, 'EXECUTE')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    UNION ALL
    SELECT 'may make temporary tables' WHERE
        has_database_privilege('{OGC_ROLE}', current_database(), 'TEMPORARY')
    ORDER BY 1
"""  # noqa: S608
INVALID = """
    SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready)
    UNION ALL
    SELECT conrelid::regclass::text || '.' || conname FROM pg_constraint WHERE NOT convalidated
    ORDER BY 1
"""
CONNECTIONS = """
    SELECT count(*) FILTER (WHERE backend_type = 'client backend'),
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
    FROM pg_stat_activity
"""
SAFETY = """
    SELECT name FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'data_checksums') AND setting <> 'on' ORDER BY name
"""


def look(name: str, check: Check, connection: psycopg.Connection) -> Finding:
    """Return what a check has found; one that cannot look has failed."""
    try:
        return check(connection)
    except psycopg.Error as error:
        connection.rollback()
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        return Finding(name, "failed", f"cannot be looked at: {reason}", "see the other findings")


def versions(connection: psycopg.Connection) -> Finding:
    """PostgreSQL, PostGIS and the other extension are there and new enough."""
    present: dict[str, str] = dict(
        connection.execute("SELECT extname, extversion FROM pg_extension").fetchall()
    )
    postgres = connection.info.server_version // 10_000
    postgis = present.get("postgis", "0.0")
    seen = f"PostgreSQL {postgres}, PostGIS {postgis}"
    if postgres < OLDEST_POSTGRES:
        return Finding("versions", "failed", seen, f"use PostgreSQL {OLDEST_POSTGRES} or newer")
    if tuple(int(part) for part in postgis.split(".")[:2]) < OLDEST_POSTGIS:
        return Finding("versions", "failed", seen, "install PostGIS 3.3 or newer")
    if "btree_gist" not in present:
        return Finding(
            "versions", "failed", f"{seen}, no btree_gist", "run: CREATE EXTENSION btree_gist;"
        )
    return Finding("versions", "ok", f"{seen}, btree_gist {present['btree_gist']}")


def revision(connection: psycopg.Connection) -> Finding:
    """The tables are those that this code expects."""
    found = value(connection, "SELECT max(version_num) FROM public.alembic_version")
    if found != newest_revision():
        return Finding(
            "revision", "failed", f"{found}, this version expects {newest_revision()}",
            "run: bailiwick db upgrade (or install the version that made the tables)",
        )  # fmt: skip
    return Finding("revision", "ok", str(found))


def role(connection: psycopg.Connection) -> Finding:
    """The application's role may do what it needs and nothing that would hide its doing."""
    name = value(connection, "SELECT current_user::text")
    if value(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        return Finding("role", "failed", f"{name} is a superuser", "connect as a role that is none")
    if value(connection, OWNED):
        return Finding(
            "role", "warning", f"{name} owns the tables and could drop them or alter the audit",
            "give the owner's URL as BAILIWICK_OWNER_DATABASE_URL, another role's in DATABASE_URL",
        )  # fmt: skip
    if not value(connection, MAY_STAGE):
        return Finding(
            "role", "failed", f"{name} may make no temporary tables, which imports need",
            f"run as the database's owner: GRANT TEMPORARY ON DATABASE … TO {name};",
        )  # fmt: skip
    missing, forging = names(connection, GRANTS), names(connection, FORGING)
    if missing or forging:
        seen = f"{name} lacks rights on {missing[0]}" if missing else f"{name} may {forging[0]}"
        return Finding(
            "role", "failed", seen + ("" if missing else " the audit"), "run: bailiwick db upgrade"
        )
    return Finding("role", "ok", f"{name} owns nothing and may do what it must")


def ogc(connection: psycopg.Connection) -> Finding:
    """The role of `/ogc` may read its views and nothing else."""
    if value(connection, "SELECT to_regrole(%s)", OGC_ROLE) is None:
        return Finding("ogc", "warning", f"/ogc is off: there is no role {OGC_ROLE}", MAKE_ROLE)
    too_much, closed = names(connection, OGC_TOO_MUCH), names(connection, OGC_VIEWS_CLOSED)
    if too_much:
        return Finding(
            "ogc", "failed", f"{OGC_ROLE} {too_much[0]}",
            "take this right from it, or from PUBLIC; for temporary tables see docs/operations.md",
        )  # fmt: skip
    if closed:
        return Finding(
            "ogc", "failed", f"{OGC_ROLE} may not read {closed[0]}", "run: bailiwick db upgrade"
        )
    return Finding("ogc", "ok", f"{OGC_ROLE} reads its views and nothing else")


def ogc_off(connection: psycopg.Connection) -> Finding:
    """No role is named for `/ogc`."""
    return Finding(
        "ogc", "warning", "/ogc is off: BAILIWICK_OGC_DATABASE_URL is not set", MAKE_ROLE
    )


def validity(connection: psycopg.Connection) -> Finding:
    """No constraint or index is only half there."""
    invalid = names(connection, INVALID)
    if invalid:
        return Finding(
            "validity", "failed", f"invalid: {', '.join(invalid[:5])}",
            "REINDEX the index, or VALIDATE the constraint",
        )  # fmt: skip
    return Finding("validity", "ok", "every constraint and index is valid")


def connections(connection: psycopg.Connection) -> Finding:
    """There is room for more connections."""
    row = connection.execute(CONNECTIONS).fetchone()
    used, allowed = row or (0, 1)
    seen = f"{used} of {allowed} in use"
    if used >= CROWDED * allowed:
        return Finding(
            "connections", "warning", seen,
            "raise max_connections, or lower BAILIWICK_POOL_SIZE or the number of processes",
        )  # fmt: skip
    return Finding("connections", "ok", seen)


def safety(connection: psycopg.Connection) -> Finding:
    """What is committed survives a power cut, and damage is noticed."""
    off = names(connection, SAFETY)
    if set(off) & {"fsync", "full_page_writes"}:
        return Finding(
            "safety", "failed", f"off: {', '.join(off)}", "turn them on: a crash would lose data"
        )
    if off:
        return Finding("safety", "warning", "data_checksums off", "stop it, run pg_checksums -e")
    return Finding("safety", "ok", "fsync, full_page_writes and data_checksums are on")


def clock(connection: psycopg.Connection) -> Finding:
    """The clocks of this machine and the database agree."""
    before = now()
    there = value(connection, "SELECT clock_timestamp()")
    # Half of the way there and back is the best guess of when it looked at its clock.
    difference_s = abs((there - (before + (now() - before) / 2)).total_seconds())
    states: tuple[State, ...] = ("ok", "warning", "failed")
    state = states[(difference_s > CLOCK_WARNING_S) + (difference_s > CLOCK_FAILED_S)]
    cure = "" if state == "ok" else "synchronise the clocks of both machines (NTP)"
    return Finding("clock", state, f"{difference_s:.2f} s apart", cure)


def now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def value(connection: psycopg.Connection, statement: str, *values: Any) -> Any:
    """Return the first column of the first row."""
    row = connection.execute(statement.encode(), values or None).fetchone()
    return None if row is None else row[0]


def names(connection: psycopg.Connection, statement: str) -> list[str]:
    """Return the first column."""
    return [row[0] for row in connection.execute(statement.encode()).fetchall()]


MAKE_ROLE = "to have /ogc, see docs/operations.md#ogc"
SERVER_CHECKS: dict[str, Check] = {
    "versions": versions,
    "revision": revision,
    "role": role,
    "ogc": ogc,
    "validity": validity,
    "connections": connections,
    "safety": safety,
    "clock": clock,
}
