"""Let a first import build the indexes of customers in bulk.

Revision ID: 0012
Revises: 0011
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCRIPT = Path(__file__).parents[1] / "sql" / "bulk.sql"


def upgrade() -> None:
    op.create_table(
        "set_aside_index",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_set_aside_index")),
    )
    # The driver takes several statements at once only when none has parameters.
    op.get_bind().connection.cursor().execute(SCRIPT.read_text().encode())


def downgrade() -> None:
    op.execute("DROP FUNCTION build_next_index(), set_indexes_aside()")
    op.drop_table("set_aside_index")
