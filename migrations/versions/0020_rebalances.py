"""Keep what rebalances found, and why each part of a plan moved.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rebalance",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.BigInteger()),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("new_plan_id", sa.BigInteger()),
        sa.Column("request", JSONB(), nullable=False),
        sa.Column("outcome", JSONB(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_rebalance_run_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_rebalance_plan_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["new_plan_id"], ["plan.id"], name=op.f("fk_rebalance_new_plan_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rebalance")),
        sa.UniqueConstraint("run_id", name=op.f("uq_rebalance_run_id")),
    )
    op.create_index("ix_rebalance_plan_id", "rebalance", ["plan_id", "id"])
    op.create_index("ix_rebalance_new_plan_id", "rebalance", ["new_plan_id"])
    op.create_table(
        "plan_move",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("from_code", sa.Text(), nullable=False),
        sa.Column("to_code", sa.Text(), nullable=False),
        sa.Column("cells", ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("work_minutes", sa.Double(), nullable=False),
        sa.Column("potential", sa.Double(), nullable=False),
        sa.Column("revenue", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("evidence", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_plan_move_plan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan_id", "position", name=op.f("pk_plan_move")),
    )


def downgrade() -> None:
    op.drop_table("plan_move")
    op.drop_table("rebalance")
