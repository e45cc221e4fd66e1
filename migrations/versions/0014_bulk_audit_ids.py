"""Tell which import brought a customer: its audit event names the rows that are new.

Revision ID: 0014
Revises: 0013
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SCRIPT = Path(__file__).parents[1] / "sql" / "bulk_audit.sql"
BEFORE = """
    CREATE FUNCTION record_bulk_audit(entity text, facts jsonb) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        SELECT write_audit('import', entity, NULL, NULL, facts)
    $$
"""


def upgrade() -> None:
    op.add_column("audit_event", sa.Column("entity_ids", postgresql.INT8MULTIRANGE()))
    op.create_index(
        "ix_audit_event_entity_ids",
        "audit_event",
        ["entity_ids"],
        postgresql_using="gist",
        postgresql_where=sa.text("entity_ids IS NOT NULL"),
    )
    # The driver takes several statements at once only when none has parameters.
    op.get_bind().connection.cursor().execute(SCRIPT.read_text().encode())


def downgrade() -> None:
    op.execute("DROP FUNCTION record_bulk_audit(text, int8multirange, jsonb)")
    op.execute(BEFORE)
    op.execute("REVOKE EXECUTE ON FUNCTION record_bulk_audit(text, jsonb) FROM PUBLIC")
    op.drop_index("ix_audit_event_entity_ids", "audit_event")
    op.drop_column("audit_event", "entity_ids")
