"""Keep what happens to plans, what people say of them, and edits that can be undone.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_event",
        *_of_plan(),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.func.clock_timestamp(),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", JSONB(), nullable=False),
        *_keys("plan_event"),
    )
    op.create_table(
        "plan_comment",
        *_of_plan(),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("territory_code", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.CheckConstraint("length(text) BETWEEN 1 AND 2000", name=op.f("ck_plan_comment_text")),
        *_keys("plan_comment"),
    )
    op.create_table(
        "plan_edit",
        *_of_plan(),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("is_undone", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("alignment", sa.LargeBinary(), nullable=False),
        sa.Column("territories", JSONB(), nullable=False),
        sa.Column("parameters", JSONB(), nullable=False),
        *_keys("plan_edit"),
    )
    for name in ("plan_event", "plan_comment", "plan_edit"):
        op.create_index(f"ix_{name}_plan_id", name, ["plan_id", "id"])
    # They are compressed already; trying again costs time and wins nothing.
    op.execute("ALTER TABLE plan_edit ALTER alignment SET STORAGE EXTERNAL")
    op.execute(
        "CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON plan_comment "
        "FOR EACH ROW EXECUTE FUNCTION record_audit()"
    )


def downgrade() -> None:
    for name in ("plan_edit", "plan_comment", "plan_event"):
        op.drop_table(name)


def _of_plan() -> tuple[sa.Column[int], sa.Column[int]]:
    return (
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
    )


def _keys(name: str) -> tuple[sa.Constraint, sa.Constraint]:
    return (
        sa.ForeignKeyConstraint(
            ["plan_id"], ["plan.id"], name=op.f(f"fk_{name}_plan_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )
