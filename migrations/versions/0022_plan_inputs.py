"""Keep what each plan was made from, so that it can be made again.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_input",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("n_cells", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column(
            "used_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_plan_input")),
    )
    op.create_table(
        "plan_source",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("input_sha256", sa.Text(), nullable=False),
        sa.Column("given", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_plan_source_plan_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["input_sha256"], ["plan_input.sha256"], name=op.f("fk_plan_source_input_sha256")
        ),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_plan_source")),
    )
    op.create_index("ix_plan_source_input_sha256", "plan_source", ["input_sha256"])
    # Both are compressed already.
    op.execute("ALTER TABLE plan_input ALTER data SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE plan_source ALTER given SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("plan_source")
    op.drop_table("plan_input")
