"""Policies that watch territories, with their versions and what they found.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

KINDS = "kind IN ('max_customers', 'growth', 'efficiency_gap', 'utilisation', 'vacancy')"
PROPOSALS = "proposal IN ('split', 'rebalance', 'assign')"
NOW = sa.func.now()
# For all layers, those that come as well. Their numbers: docs/policies.md.
DEFAULTS = """
    INSERT INTO policy (name, kind, parameters, proposal) VALUES
        ('Over 150 customers', 'max_customers', '{"customers": 150}', 'split'),
        ('Growth over 30 % in a year', 'growth', '{"growth": 0.3, "min_base": 20}', 'split'),
        ('Output per head apart by 20 %', 'efficiency_gap', '{"gap": 0.2}', 'rebalance'),
        ('Utilisation outside 85 to 115 %', 'utilisation', '{"tolerance": 0.15}', 'rebalance'),
        ('Vacant territory', 'vacancy', '{"grace_days": 0}', 'assign')
"""
FIRST_VERSIONS = """
    INSERT INTO policy_version
        (policy_id, version, name, parameters, proposal, enabled, made_by)
    SELECT id, version, name, parameters, proposal, enabled, 'bailiwick' FROM policy ORDER BY id
"""


def upgrade() -> None:
    op.create_table(
        "policy",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("layer_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parameters", JSONB(), nullable=False),
        sa.Column("proposal", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_policy_kind")),
        sa.CheckConstraint(PROPOSALS, name=op.f("ck_policy_proposal")),
        sa.ForeignKeyConstraint(
            ["layer_id"], ["layer.id"], name=op.f("fk_policy_layer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
    )
    op.create_index("ix_policy_layer_id", "policy", ["layer_id"])
    op.create_table(
        "policy_version",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parameters", JSONB(), nullable=False),
        sa.Column("proposal", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(PROPOSALS, name=op.f("ck_policy_version_proposal")),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["policy.id"],
            name=op.f("fk_policy_version_policy_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_version")),
        sa.UniqueConstraint(
            "policy_id", "version", name=op.f("uq_policy_version_policy_id_version")
        ),
    )
    _firings()
    # Before the triggers: nobody has made them.
    op.execute(DEFAULTS)
    op.execute(FIRST_VERSIONS)
    op.execute(
        "CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON policy "
        "FOR EACH ROW EXECUTE FUNCTION record_audit()"
    )
    # What a firing is made of is kept with it; what people do with it is written down.
    op.execute(
        "CREATE TRIGGER audit_changed AFTER UPDATE ON policy_firing FOR EACH ROW "
        "WHEN (old.acknowledged_at IS DISTINCT FROM new.acknowledged_at) "
        "EXECUTE FUNCTION record_audit('evidence')"
    )


def _firings() -> None:
    op.create_table(
        "policy_firing",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("layer_id", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=True),
        sa.Column("territory_code", sa.Text(), nullable=False),
        sa.Column("fired_on", sa.Date(), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("seen_on", sa.Date(), nullable=False),
        sa.Column("evidence", JSONB(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("is_of_few", sa.Boolean(), nullable=False),
        sa.Column("proposal", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("resolved_on", sa.Date(), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.CheckConstraint(PROPOSALS, name=op.f("ck_policy_firing_proposal")),
        sa.CheckConstraint(
            "state IN ('open', 'acknowledged', 'resolved')", name=op.f("ck_policy_firing_state")
        ),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolved_on IS NOT NULL)",
            name=op.f("ck_policy_firing_resolved_on"),
        ),
        sa.ForeignKeyConstraint(
            ["policy_id", "policy_version"],
            ["policy_version.policy_id", "policy_version.version"],
            name=op.f("fk_policy_firing_policy_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["layer_id"],
            ["layer.id"],
            name=op.f("fk_policy_firing_layer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["plan.id"],
            name=op.f("fk_policy_firing_plan_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_firing")),
    )
    op.create_index(
        "uq_policy_firing_lasting",
        "policy_firing",
        ["layer_id", "policy_id", "territory_code"],
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_index("ix_policy_firing_policy_id", "policy_firing", ["policy_id", "id"])
    op.create_index("ix_policy_firing_layer_id", "policy_firing", ["layer_id", "id"])
    op.create_index("ix_policy_firing_plan_id", "policy_firing", ["plan_id"])


def downgrade() -> None:
    op.drop_table("policy_firing")
    op.drop_table("policy_version")
    op.drop_table("policy")
