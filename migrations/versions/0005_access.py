"""Write down who changed what, rotate keys, keep answers for callers who ask again.

Revision ID: 0005
Revises: 0004
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FUNCTIONS = Path(__file__).parents[1] / "sql" / "access.sql"
AUDITED = {
    "customer": ("created", "changed", "deleted"),
    "rep": ("created", "changed"),
    "run": ("created", "cancelled"),
    **dict.fromkeys(
        (
            "layer",
            "publication",
            "territory_owner",
            "customer_override",
            "geofence",
            "api_key",
            "plan",
            "territory",
        ),
        ("changed",),
    ),
}


def upgrade() -> None:
    _change_keys()
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.func.clock_timestamp(),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=True),
        sa.Column("before", JSONB(), nullable=True),
        sa.Column("after", JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    op.create_index("ix_audit_event_entity", "audit_event", ["entity", "entity_id", "id"])
    op.create_index("ix_audit_event_actor", "audit_event", ["actor", "id"])
    op.create_table(
        "idempotency_key",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", JSONB(), server_default="{}", nullable=False),
        sa.Column("body", sa.LargeBinary(), server_default="", nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"])
    _execute(FUNCTIONS.read_text())


def downgrade() -> None:
    for table, events in AUDITED.items():
        for event in events:
            _execute(f"DROP TRIGGER audit_{event} ON {table}")
    _execute("DROP TRIGGER access_key_changed ON api_key")
    _execute("DROP TRIGGER access_team_changed ON rep")
    op.drop_table("idempotency_key")
    op.drop_table("audit_event")
    for signature in (
        "tell_access_changed()",
        "erase_audit_of_customer(bigint)",
        "refuse_audit_change()",
        "record_bulk_audit(text, jsonb)",
        "is_bulk()",
        "record_audit()",
        "write_audit(text, text, bigint, jsonb, jsonb)",
    ):
        _execute(f"DROP FUNCTION {signature}")
    op.drop_constraint("ck_api_key_scopes", "api_key")
    for name in ("last_used_at", "rotated_from_id", "scopes"):
        op.drop_column("api_key", name)


def _change_keys() -> None:
    op.add_column(
        "api_key",
        sa.Column(
            "scopes", ARRAY(sa.Text()), server_default="{read,write,metrics}", nullable=False
        ),
    )
    op.add_column("api_key", sa.Column("rotated_from_id", sa.BigInteger(), nullable=True))
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_api_key_scopes"), "api_key", "scopes <@ ARRAY['read', 'write', 'metrics']"
    )
    op.create_foreign_key(
        op.f("fk_api_key_rotated_from_id"),
        "api_key",
        "api_key",
        ["rotated_from_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index("ix_api_key_rotated_from_id", "api_key", ["rotated_from_id"])


def _execute(script: str) -> None:
    # See revision 0002: scripts go to the driver as they are.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script.encode())
