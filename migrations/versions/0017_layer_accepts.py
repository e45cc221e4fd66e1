"""Let the planner see what a layer accepts, so that millions are asked in a second.

Revision ID: 0017
Revises: 0016
"""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"

BEFORE = """
    CREATE OR REPLACE FUNCTION layer_accepts(
        filter jsonb, class text, segment text, tags text[], status text
    ) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT (NOT filter ? 'class' OR filter -> 'class' ? class)
           AND (NOT filter ? 'segment' OR filter -> 'segment' ? segment)
           AND (NOT filter ? 'tag'
                OR tags && ARRAY(SELECT jsonb_array_elements_text(filter -> 'tag')))
           AND CASE WHEN filter ? 'status' THEN filter -> 'status' ? status
                    ELSE status <> 'inactive' END
    $$
"""


def upgrade() -> None:
    op.execute((SQL / "layer_accepts.sql").read_text())


def downgrade() -> None:
    op.execute(BEFORE)
