"""Find customers and geofences by name, audit events by time and rare action, cells left empty.

OGC clients ask for features by name; without an index that read every customer, to count them and
once more for the page. The audit is read from its beginning on: what happened lately, or seldom,
lay behind everything else. Inserts and updates, which are nearly all of it, need no index to be
found and cost none.

Every fold looks for cells that have lost their last customer: it read the whole rollup, every two
seconds while somebody edits. The index holds such rows only, of which there are none between folds.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_customer_name", "customer", ["name"])
    op.create_index("ix_geofence_name", "geofence", ["name"])
    op.create_index("ix_audit_event_at", "audit_event", ["at"])
    op.create_index(
        "ix_audit_event_rare_action",
        "audit_event",
        ["action", "id"],
        postgresql_where=sa.text("action NOT IN ('insert', 'update')"),
    )
    op.create_index(
        "ix_activity_cell_empty",
        "activity_cell",
        ["cell"],
        postgresql_where=sa.text("customers <= 0"),
    )


def downgrade() -> None:
    op.drop_index("ix_activity_cell_empty", "activity_cell")
    op.drop_index("ix_audit_event_rare_action", "audit_event")
    op.drop_index("ix_audit_event_at", "audit_event")
    op.drop_index("ix_geofence_name", "geofence")
    op.drop_index("ix_customer_name", "customer")
