"""Bring a database to the newest revision, with the application's role allowed to use it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

import migrations
from app.errors import SetupError

# Any number will do, as long as every upgrade takes the same one.
UPGRADE_LOCK = 7_236_441


def upgrade(owner_url: URL, application_role: str | None, revision: str = "head") -> str:
    """Upgrade to `revision` and grant `application_role` what it needs; return the revision.

    Two upgrades at once wait for each other. A failed upgrade leaves the database as it was.
    """
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        _prepare(connection)
        command.upgrade(_config(connection), revision)
        if application_role not in (None, owner_url.username):
            _grant(connection, application_role)
        current = MigrationContext.configure(connection).get_current_revision()
    return current or "base"


def downgrade(owner_url: URL, revision: str) -> None:
    """Go back to `revision`; `base` removes every table of ours."""
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.begin() as connection:
        _prepare(connection)
        command.downgrade(_config(connection), revision)


def newest_revision() -> str:
    """Return the revision that this code expects."""
    return ScriptDirectory.from_config(_config(None)).get_current_head() or "base"


def _prepare(connection: Connection) -> None:
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
    for schema in ("public", "jobs"):
        connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {name}"))
        connection.execute(
            text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}")
        )
        connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {name}"))


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config
