"""Keep what is done by the clock, and what came of each night.

Revision ID: 0021
Revises: 0020
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def _now(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("layer_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("rebalance", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("publish_within", JSONB()),
        _now("since"),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.CheckConstraint("kind IN ('rebalance', 'review')", name=op.f("ck_schedule_kind")),
        sa.ForeignKeyConstraint(
            ["layer_id"], ["layer.id"], name=op.f("fk_schedule_layer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    op.create_index("ix_schedule_layer_id", "schedule", ["layer_id"])
    op.create_table(
        "schedule_night",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("schedule_id", sa.BigInteger(), nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.BigInteger()),
        sa.Column("new_plan_id", sa.BigInteger()),
        sa.Column("decision", sa.Text()),
        sa.Column("report", JSONB()),
        _now("created_at"),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedule.id"],
            name=op.f("fk_schedule_night_schedule_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_schedule_night_run_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["new_plan_id"],
            ["plan.id"],
            name=op.f("fk_schedule_night_new_plan_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_night")),
        sa.UniqueConstraint("run_id", name=op.f("uq_schedule_night_run_id")),
    )
    op.create_index(
        "uq_schedule_night_schedule_id_local_date",
        "schedule_night",
        ["schedule_id", "local_date"],
        unique=True,
    )
    op.create_index("ix_schedule_night_new_plan_id", "schedule_night", ["new_plan_id"])
    op.execute(
        "CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON schedule "
        "FOR EACH ROW EXECUTE FUNCTION record_audit()"
    )


def downgrade() -> None:
    op.drop_table("schedule_night")
    op.drop_table("schedule")
