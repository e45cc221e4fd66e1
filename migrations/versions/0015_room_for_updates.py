"""Leave room in the pages of customers and their sums, so that updates stay where the rows are.

An import changes the work of the neighbours of its customers, several for each new one. Without
room in its page a row that changes is written elsewhere, and with it an entry into each of a dozen
indexes. Pages written before keep no room; they gain it as rows leave them, or by VACUUM FULL.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLES = ("customer", "activity_cell")


def upgrade() -> None:
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} SET (fillfactor = 80)")


def downgrade() -> None:
    for name in TABLES:
        op.execute(f"ALTER TABLE {name} RESET (fillfactor)")
