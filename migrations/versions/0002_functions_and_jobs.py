"""Add the cell functions, the activity triggers and the job queue.

Revision ID: 0002
Revises: 0001
"""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FUNCTIONS = Path(__file__).parents[1] / "sql" / "functions.sql"
# Partitions leave with plan_cell; those never attached would stay.
UNATTACHED = r"""
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT relname FROM pg_class
        WHERE relname ~ '^plan_cell_\d+$' AND relkind = 'r' AND NOT relispartition
            AND relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('DROP TABLE %I', name);
    END LOOP;
END
$$
"""


def upgrade() -> None:
    _execute(FUNCTIONS.read_text())
    # The queue's tables live in a schema of their own, so that they leave with it.
    _execute("CREATE SCHEMA jobs; SET LOCAL search_path TO jobs, public")
    _execute(SchemaManager.get_schema())
    _execute("SET LOCAL search_path TO public, jobs")


def downgrade() -> None:
    _execute(UNATTACHED)
    _execute("DROP SCHEMA jobs CASCADE")
    for event in ("insert", "update", "delete"):
        _execute(f"DROP TRIGGER customer_{event}_delta ON customer")
    for signature in (
        "record_activity_delta()",
        "create_plan_partition(bigint)",
        "attach_plan_partition(bigint)",
        "drop_plan_partition(bigint)",
        "layer_accepts(jsonb, text, text, text[], text)",
        "cell_last(bigint)",
        "cell_first(bigint)",
        "cell_resolution(bigint)",
        "cell_parent(bigint, integer)",
    ):
        _execute(f"DROP FUNCTION {signature}")


def _execute(script: str) -> None:
    # The driver takes several statements at once only when none has parameters; `%` and `:` of the
    # scripts must stay as they are.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script.encode())
