"""Make the sums of a first import from its customers, not from a change for nearly each of them.

Revision ID: 0016
Revises: 0015
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    op.add_column(
        "heat_state", sa.Column("is_stale", sa.Boolean(), nullable=False, server_default="false")
    )
    _execute((SQL / "sums_anew.sql").read_text())


def downgrade() -> None:
    before = (SQL / "bulk.sql").read_text().replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    _execute(before)
    op.drop_column("heat_state", "is_stale")


def _execute(script: str) -> None:
    # The driver takes several statements at once only when none has parameters.
    op.get_bind().connection.cursor().execute(script.encode())
