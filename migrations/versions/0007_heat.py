"""Keep overdue visits in the rollups.

Revision ID: 0007
Revises: 0006
"""

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCRIPTS = Path(__file__).parents[1] / "sql"
SUMMED = ("activity_cell", "activity_delta", "measure_snapshot")


def upgrade() -> None:
    op.add_column("customer", sa.Column("due_on", sa.Date(), nullable=True))
    op.create_index("ix_customer_due_on", "customer", ["due_on"])
    for table in SUMMED:
        op.add_column(
            table, sa.Column("overdue", sa.BigInteger(), server_default="0", nullable=False)
        )
    op.create_table(
        "heat_state",
        sa.Column("id", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("folded_day", sa.Date(), nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("folded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id", name=op.f("ck_heat_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heat_state")),
    )
    # Shapes follow from the ids of cells, and to store them cost more than all else of an import.
    op.drop_table("cell_shape")
    # The primary key finds a cell too: its resolution is in its id.
    op.drop_index("ix_activity_cell_cell", "activity_cell")
    _execute((SCRIPTS / "heat.sql").read_text())


def downgrade() -> None:
    first = (SCRIPTS / "functions.sql").read_text()
    start = first.index("CREATE FUNCTION record_activity_delta()")
    end = first.index("CREATE TRIGGER customer_insert_delta")
    _execute(first[start:end].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    access = (SCRIPTS / "access.sql").read_text()
    for event in ("created", "changed", "deleted"):
        _execute(f"DROP TRIGGER audit_{event} ON customer")
        trigger = rf"CREATE TRIGGER audit_{event} AFTER \w+ ON customer\n.*?;"
        found = re.search(trigger, access, re.DOTALL)
        assert found is not None
        _execute(found[0])
    op.create_index("ix_activity_cell_cell", "activity_cell", ["cell"])
    # Empty: the fold of the release before draws the cells that have no shape.
    op.create_table(
        "cell_shape",
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("resolution", sa.SmallInteger(), nullable=False),
        sa.Column("area_km2", sa.Double(), nullable=False),
        sa.Column("centre", Geometry("POINT", 4326, spatial_index=False), nullable=False),
        sa.Column("geom", Geometry("MULTIPOLYGON", 4326, spatial_index=False), nullable=False),
        sa.PrimaryKeyConstraint("cell", name=op.f("pk_cell_shape")),
    )
    op.execute("CREATE INDEX ix_cell_shape_geom ON cell_shape USING gist (resolution, geom)")
    op.drop_table("heat_state")
    for table in SUMMED:
        op.drop_column(table, "overdue")
    op.drop_index("ix_customer_due_on", table_name="customer")
    op.drop_column("customer", "due_on")


def _execute(script: str) -> None:
    # The driver takes several statements at once only when none has parameters.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script.encode())
