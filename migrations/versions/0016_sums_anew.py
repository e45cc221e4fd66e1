"""Make the sums of a first import from its customers, not from a change for nearly each of them.

Revision ID: 0016
Revises: 0015
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

AS_CHANGES = """
    DO $$ BEGIN
        IF (SELECT is_stale FROM heat_state) THEN
            DELETE FROM activity_cell;
            DELETE FROM activity_delta;
            INSERT INTO activity_delta
                (cell, class, segment, customers, work_minutes, potential, revenue, overdue)
            SELECT cell_parent(cell, 9), class, segment, count(*), sum(work_minutes),
                sum(potential), sum(revenue),
                count(*) FILTER (WHERE due_on < (SELECT day FROM heat_state))
            FROM customer WHERE status <> 'inactive' GROUP BY 1, 2, 3;
        END IF;
    END $$
"""


def upgrade() -> None:
    op.add_column(
        "heat_state", sa.Column("is_stale", sa.Boolean(), nullable=False, server_default="false")
    )
    _execute((SQL / "sums_anew.sql").read_text())


def downgrade() -> None:
    # Waits for a first import that goes on and would leave it disabled.
    op.execute("ALTER TABLE customer ENABLE TRIGGER customer_insert_delta")
    op.execute(AS_CHANGES)
    before = (SQL / "bulk.sql").read_text().replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    _execute(before)
    op.drop_column("heat_state", "is_stale")


def _execute(script: str) -> None:
    # The driver takes several statements at once only when none has parameters.
    op.get_bind().connection.cursor().execute(script.encode())
