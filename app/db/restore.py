"""A backup back into the database: all of it, or nothing and the old data stays.

Dropping, restoring, upgrading and granting are one transaction of one connection. pg_restore only
turns the file into SQL, which is replayed here: so it needs no superuser and no other program, and
whoever is killed in the middle takes the whole transaction along.
"""

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from sqlalchemy import Connection, NullPool, create_engine, literal, select, table, text
from sqlalchemy.exc import DBAPIError, OperationalError

from app.db.access import Access
from app.db.archive import END_OF_ROWS, Archive
from app.db.backup import server_version
from app.db.generation import RENEW, renewal
from app.db.migrate import is_known, newest_revision, prepare, upgrade_within
from app.db.programs import Programs
from app.db.tables import Base
from app.errors import Conflict, InvalidInput, ServiceError

# Tables of ours that no class declares.
UNDECLARED = re.compile(r"alembic_version|plan_cell_\d+")
ROW_OF_COPY = re.compile(rb"COPY .* FROM stdin;\n")
# Written by newer pg_dumps for psql alone.
FOR_PSQL = re.compile(rb"\\(un)?restrict \w+\n")
PIECE_BYTES = 2**18
LOCK_ATTEMPTS = 10

RELATIONS = text("""
    -- Everything in `public` that belongs to no extension and to no table.
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e'
                            AND classid = 'pg_class'::regclass)
    ORDER BY relname
""")
ROUTINES = text("""
    -- Functions of this role that belong to no extension.
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND pg_has_role(proowner, 'USAGE')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e'
                            AND classid = 'pg_proc'::regclass)
""")
FORGOTTEN = text("""
    -- Jobs that were being done: their worker, alive or not, knows nothing of them any more.
    UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE status = 'doing'
""")
OTHER_SESSIONS = text("""
    -- Sessions of this role in this database; ending one's own needs no superuser.
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
        AND pid NOT IN (pg_backend_pid(), :kept)
""")


class RestoreFailed(ServiceError):
    """The restore was undone; the database is as it was."""

    title = "The restore failed"
    code = "restore-failed"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has brought back."""

    file: Path
    made_at_revision: str
    revision: str
    seconds: float


# What a migrated database has before anybody uses it. Whoever changes a policy leaves an event in
# the audit, which is looked at.
BROUGHT = frozenset({"alembic_version", "policy", "policy_version"})


def restore(access: Access, programs: Programs, file: Path, *, replaces: bool = False) -> Restored:
    """Make the database what it was when `file` was written, at the newest revision.

    Raises
    ------
    InvalidInput
        When the file is no backup of ours, or one by a newer version.
    Damaged
        When the file cannot be read to its end.
    Conflict
        When the database holds data that may not be replaced, or tables that are not ours.
    SetupError
        When the server does not let us in or lacks an extension.
    RestoreFailed
        When the database refuses the data. In every case the old data stays.
    """
    began = time.monotonic()
    archive = Archive(file, programs)
    made_at = archive.revision
    if not is_known(made_at):
        raise InvalidInput(
            f"{file} was made at revision {made_at} by a newer version of Bailiwick; this one "
            f"knows revisions up to {newest_revision()}."
        )
    archive.check()
    server_version(access)
    engine = create_engine(access.owner_url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            prepare(connection)
            _refuse_what_would_be_lost(connection, archive, replaces)
            _lock_everybody_out(connection, access)
            _drop(connection)
            _replay(connection, archive)
            connection.execute(text("SET LOCAL search_path TO public, jobs"))
            connection.execute(FORGOTTEN)
            revision = upgrade_within(connection, access.url.username)
            # What was read before the restore may bear a number that comes again.
            connection.execute(RENEW, renewal())
    except (psycopg.Error, DBAPIError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()
        raise RestoreFailed(f"The database says: {' '.join(reason[:2])}") from error
    # Sessions from before know tables and types that are gone; a new one is a matter of course.
    _end_sessions(access)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return Restored(file, made_at, revision, time.monotonic() - began)


def _refuse_what_would_be_lost(connection: Connection, archive: Archive, replaces: bool) -> None:
    names = list(connection.scalars(RELATIONS))
    ours = {table.name for table in Base.metadata.sorted_tables} | archive.tables
    foreign = [name for name in names if name not in ours and not UNDECLARED.fullmatch(name)]
    if foreign:
        raise Conflict(
            f"The schema public holds what is not Bailiwick's: {', '.join(foreign[:5])}. "
            "Restore into a database of its own."
        )
    for name in () if replaces else names:
        found = select(literal(1)).select_from(table(name, schema="public")).limit(1)
        if name not in BROUGHT and connection.execute(found).first() is not None:
            raise Conflict(
                f"The database holds data (table {name}); --force replaces all of it by the backup."
            )


def _lock_everybody_out(connection: Connection, access: Access) -> None:
    """Take every table before the first is dropped; who holds one is disconnected.

    Taken one by one they would meet the locks of others in another order.
    """
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(f"public.{quote(name)}" for name in connection.scalars(RELATIONS))
    if not names:
        return
    kept = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    for attempt in range(LOCK_ATTEMPTS):
        _end_sessions(access, kept)
        try:
            with connection.begin_nested():
                connection.execute(text("SET LOCAL lock_timeout = '2s'"))
                connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                return
        except OperationalError:
            # Lock timeout or deadlock: somebody was quicker.
            if attempt == LOCK_ATTEMPTS - 1:
                raise


def _end_sessions(access: Access, kept: int = 0) -> None:
    """End the sessions of the application's role, which API and workers open anew by themselves."""
    engine = create_engine(access.url, poolclass=NullPool)
    # A role that cannot come in has no sessions to end.
    with suppress(OperationalError), engine.connect() as connection:
        connection.execute(OTHER_SESSIONS, {"kept": kept})


def _drop(connection: Connection) -> None:
    quote = connection.dialect.identifier_preparer.quote
    connection.execute(text("DROP SCHEMA IF EXISTS jobs, ogc CASCADE"))
    for name in connection.scalars(RELATIONS).all():
        connection.execute(text(f"DROP TABLE IF EXISTS public.{quote(name)} CASCADE"))
    for signature in connection.scalars(ROUTINES).all():
        connection.execute(text(f"DROP ROUTINE IF EXISTS {signature} CASCADE"))


def _replay(connection: Connection, archive: Archive) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        with archive.sql("pre-data") as script:
            _execute(cursor, script)
        with archive.sql("data") as script:
            _replay_data(cursor, script)
        with archive.sql("post-data") as script:
            _execute(cursor, script)
        # The scripts change search path, time limits and more for the session.
        cursor.execute("RESET ALL")
        cursor.execute("NOTIFY bailiwick_access")


def _replay_data(cursor: psycopg.Cursor, script: IO[bytes]) -> None:
    statements: list[bytes] = []
    for line in script:
        if ROW_OF_COPY.fullmatch(line):
            _execute(cursor, statements)
            statements.clear()
            with cursor.copy(line) as copy:
                for piece in _rows(script):
                    copy.write(piece)
        else:
            statements.append(line)
    _execute(cursor, statements)


def _rows(script: IO[bytes]) -> Iterable[bytes]:
    """Yield the rows up to their end in pieces of some size."""
    piece = bytearray()
    for line in script:
        if line == END_OF_ROWS:
            break
        piece += line
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _execute(cursor: psycopg.Cursor, lines: Iterable[bytes]) -> None:
    script = b"".join(line for line in lines if not FOR_PSQL.fullmatch(line))
    if script.strip():
        cursor.execute(script)
