"""Store uploads as they come.

PostgreSQL would compress each piece of a file that is read once and then dropped: it took six times
as long to store, a second for 25 MB.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE upload_chunk ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.execute("ALTER TABLE upload_chunk ALTER COLUMN data SET STORAGE EXTENDED")
