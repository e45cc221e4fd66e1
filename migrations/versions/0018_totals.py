"""Keep the sums of coarse cells over all classes and segments, too.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Nobody folds meanwhile (app/activity/rollup.py).
FOLD_LOCK = "SELECT pg_advisory_xact_lock(7236442)"
FILL = """
    INSERT INTO activity_total
        (resolution, cell, customers, work_minutes, potential, revenue, overdue)
    SELECT resolution, cell, sum(customers), sum(work_minutes), sum(potential), sum(revenue),
        sum(overdue)
    FROM activity_cell WHERE resolution <= 6 GROUP BY 1, 2 ORDER BY 1, 2
"""


def upgrade() -> None:
    op.create_table(
        "activity_total",
        sa.Column("resolution", sa.SmallInteger(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("work_minutes", sa.Double(), nullable=False),
        sa.Column("potential", sa.Double(), nullable=False),
        sa.Column("revenue", sa.Double(), nullable=False),
        sa.Column("overdue", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("resolution", "cell", name=op.f("pk_activity_total")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_activity_total_empty",
        "activity_total",
        ["cell"],
        postgresql_where=sa.text("customers <= 0"),
    )
    op.execute(FOLD_LOCK)
    op.execute(FILL)
    op.execute("ANALYZE activity_total")


def downgrade() -> None:
    op.drop_table("activity_total")
