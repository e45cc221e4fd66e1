"""Bring a database to the newest revision, with the application's role allowed to use it."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

import migrations
from app.db.cluster import OGC_ROLE
from app.errors import SetupError

# Any number will do, as long as every upgrade takes the same one.
UPGRADE_LOCK = 7_236_441
# Who may call these, or have a trigger of his own call them, puts words into another's mouth. The
# triggers that are there need no right to.
FOR_NOBODY = ("write_audit(text, text, bigint, jsonb, jsonb)", "record_audit()")
# Functions that run as the owner of the tables, whoever calls them: for the application only. With
# them everybody else who can connect could write or empty events, and drop the cells of a plan.
FOR_THE_APPLICATION = (
    "record_bulk_audit(text, int8multirange, jsonb)",
    "erase_audit_of_customer(bigint)",
    "create_plan_partition(bigint)",
    "attach_plan_partition(bigint)",
    "drop_plan_partition(bigint)",
    "set_indexes_aside()",
    "build_next_index()",
)


def upgrade(owner_url: URL, application_role: str | None, revision: str = "head") -> str:
    """Upgrade to `revision` and grant `application_role` what it needs; return the revision.

    Two upgrades at once wait for each other. A failed upgrade leaves the database as it was.
    """
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        prepare(connection)
        return upgrade_within(connection, application_role, revision)


def upgrade_within(
    connection: Connection, application_role: str | None, revision: str = "head"
) -> str:
    """Upgrade in the transaction of `connection`, which `prepare` has made ready."""
    command.upgrade(_config(connection), revision)
    _close_to_public(connection)
    if application_role not in (None, connection.engine.url.username):
        _grant(connection, application_role)
    _open_views_to_ogc(connection)
    return MigrationContext.configure(connection).get_current_revision() or "base"


def downgrade(owner_url: URL, revision: str) -> None:
    """Go back to `revision`; `base` removes every table of ours."""
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        prepare(connection)
        command.downgrade(_config(connection), revision)


@cache
def newest_revision() -> str:
    """Return the revision that this code expects."""
    return ScriptDirectory.from_config(_config(None)).get_current_head() or "base"


def is_known(revision: str) -> bool:
    """Tell whether this code has the revision; it has not when a newer version wrote it."""
    known = ScriptDirectory.from_config(_config(None)).walk_revisions()
    return revision in {script.revision for script in known}


def prepare(connection: Connection) -> None:
    """Wait for other upgrades to end, and make the extensions that are missing.

    Raises
    ------
    SetupError
        When an extension is missing and this role may not make it.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
    present = {name for (name,) in connection.execute(text("SELECT extname FROM pg_extension"))}
    for extension in ("postgis", "btree_gist"):
        if extension in present:
            continue
        try:
            with connection.begin_nested():
                connection.execute(text(f"CREATE EXTENSION {extension}"))
        except DBAPIError as error:
            raise SetupError(
                f"The database lacks the extension {extension} and this role may not create it. "
                f"Ask its administrator to run: CREATE EXTENSION {extension};"
            ) from error


def _grant(connection: Connection, role: str | None) -> None:
    name = connection.dialect.identifier_preparer.quote(role or "")
    # Imports are staged in temporary tables.
    connection.execute(text(f"GRANT TEMPORARY ON DATABASE {_database(connection)} TO {name}"))
    for schema in ("public", "jobs"):
        connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {name}"))
        connection.execute(
            text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}")
        )
        connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {name}"))
    if connection.execute(text("SELECT to_regclass('public.audit_event')")).scalar() is not None:
        # Events are written by triggers, which run as the owner.
        connection.execute(text(f"REVOKE INSERT, UPDATE, DELETE ON audit_event FROM {name}"))
    if (
        connection.execute(text("SELECT to_regclass('public.set_aside_index')")).scalar()
        is not None
    ):
        # What stands there is executed as the owner.
        connection.execute(text(f"REVOKE ALL ON set_aside_index FROM {name}"))
    for signature in FOR_THE_APPLICATION:
        if _has(connection, signature):
            connection.execute(text(f"GRANT EXECUTE ON FUNCTION public.{signature} TO {name}"))


def _open_views_to_ogc(connection: Connection) -> None:
    """Let the role of `/ogc` read its views, where there are both."""
    present = text("SELECT to_regnamespace('ogc') IS NOT NULL AND to_regrole(:role) IS NOT NULL")
    if connection.execute(present, {"role": OGC_ROLE}).scalar():
        connection.execute(text(f"GRANT USAGE ON SCHEMA ogc TO {OGC_ROLE}"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA ogc TO {OGC_ROLE}"))


def _close_to_public(connection: Connection) -> None:
    """Say again what the migrations took from everybody: a restored function has lost it."""
    for signature in (*FOR_NOBODY, *FOR_THE_APPLICATION):
        if _has(connection, signature):
            connection.execute(text(f"REVOKE EXECUTE ON FUNCTION public.{signature} FROM PUBLIC"))
    # Tables of its own could fill the disk, and have triggers. PostgreSQL only warns whom the
    # database does not belong to.
    connection.execute(text(f"REVOKE TEMPORARY ON DATABASE {_database(connection)} FROM PUBLIC"))


def _database(connection: Connection) -> str:
    name = connection.execute(text("SELECT current_database()")).scalar_one()
    return connection.dialect.identifier_preparer.quote_identifier(str(name))


def _has(connection: Connection, signature: str) -> bool:
    found = text("SELECT to_regprocedure(:name)")
    return connection.execute(found, {"name": f"public.{signature}"}).scalar() is not None


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config
