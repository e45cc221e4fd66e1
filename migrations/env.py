"""How Alembic reaches the database and which tables are ours."""

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection

from app.db.access import Access
from app.db.tables import Base
from app.settings import load_settings


def is_ours(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out PostGIS tables and the partitions, which are data rather than schema."""
    if kind == "table" and reflected and name is not None and name not in Base.metadata.tables:
        return False
    return bool(alembic_helpers.include_object(item, name, kind, reflected, compare_to))


def migrate(connection: Connection) -> None:
    """Run the revisions that the command asked for in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=is_ours,
        process_revision_directives=alembic_helpers.writer,
        render_item=alembic_helpers.render_item,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    # Called as plain `alembic`, by a maintainer writing the next revision.
    with create_engine(Access.of(load_settings()).owner_url).connect() as own:
        migrate(own)
