"""Keep the certificate of each plan, and the front of plans around it.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_certificate",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("n_bytes", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_plan_certificate_plan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_plan_certificate")),
    )
    # It is compressed already; trying again costs time and wins nothing.
    op.execute("ALTER TABLE plan_certificate ALTER document SET STORAGE EXTERNAL")
    op.create_table(
        "plan_front",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("facts", JSONB(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f("fk_plan_front_plan_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_plan_front_run_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_plan_front")),
    )
    op.create_index("ix_plan_front_run_id", "plan_front", ["run_id"])
    op.create_table(
        "plan_front_point",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("member_plan_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scores", JSONB(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('plan', 'incumbent', 'member')", name=op.f("ck_plan_front_point_kind")
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["plan_front.plan_id"],
            name=op.f("fk_plan_front_point_plan_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["member_plan_id"],
            ["plan.id"],
            name=op.f("fk_plan_front_point_member_plan_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("plan_id", "position", name=op.f("pk_plan_front_point")),
    )
    op.create_index("ix_plan_front_point_member_plan_id", "plan_front_point", ["member_plan_id"])


def downgrade() -> None:
    op.drop_table("plan_front_point")
    op.drop_table("plan_front")
    op.drop_table("plan_certificate")
