"""Know by a number whether the data of a tile changed.

Revision ID: 0009
Revises: 0008
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

FUNCTIONS = Path(__file__).parents[1] / "sql" / "tiles.sql"
EFFECTIVE_DATED = ("publication", "territory_owner", "customer_override")


def upgrade() -> None:
    op.create_table(
        "data_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_change")),
    )
    op.create_table(
        "data_generation",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("folded", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_data_generation")),
    )
    for table in EFFECTIVE_DATED:
        for bound, function in (("starts", "lower"), ("ends", "upper")):
            op.create_index(f"ix_{table}_{bound}", table, [sa.text(f"{function}(during)")])
    _execute(FUNCTIONS.read_text())


def downgrade() -> None:
    # The triggers go with their function.
    _execute("DROP FUNCTION note_data_change() CASCADE")
    for table in EFFECTIVE_DATED:
        for bound in ("starts", "ends"):
            op.drop_index(f"ix_{table}_{bound}", table)
    op.drop_table("data_generation")
    op.drop_table("data_change")


def _execute(script: str) -> None:
    # See revision 0002: scripts go to the driver as they are.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script.encode())
