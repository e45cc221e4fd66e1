"""Remember which plan another was made from, and how.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plan", sa.Column("parent_id", sa.BigInteger()))
    op.add_column("plan", sa.Column("origin", sa.Text(), server_default="design", nullable=False))
    op.create_foreign_key(
        op.f("fk_plan_parent_id"), "plan", "plan", ["parent_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index("ix_plan_parent_id", "plan", ["parent_id"])
    op.create_check_constraint(
        op.f("ck_plan_origin"),
        "plan",
        "origin IN ('design', 'front', 'rebalance', 'copy', 'split', 'merge', 'edit')",
    )
    # Members of fronts that were made before are known by their manifest.
    op.execute("""
        UPDATE plan SET origin = 'front', parent_id = (
            SELECT id FROM plan AS origin
            WHERE origin.id = (plan.manifest -> 'front' ->> 'plan_id')::bigint
        ) WHERE manifest ? 'front'
    """)


def downgrade() -> None:
    op.drop_column("plan", "origin")
    op.drop_column("plan", "parent_id")
