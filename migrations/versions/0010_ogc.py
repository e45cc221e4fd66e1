"""Show curated views to OGC clients.

Revision ID: 0010
Revises: 0009
"""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

VIEWS = Path(__file__).parents[1] / "sql" / "ogc.sql"


def upgrade() -> None:
    _execute(VIEWS.read_text())


def downgrade() -> None:
    _execute("DROP SCHEMA ogc CASCADE")


def _execute(script: str) -> None:
    # See revision 0002: scripts go to the driver as they are.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script.encode())
