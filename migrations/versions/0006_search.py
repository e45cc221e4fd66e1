"""Find customers by the filters that are asked all day.

A second index on `geog` costs an import what the first one does, a row at a time: 44 s for all of
five million, three times an index on `geom` (research: infra 2.2). So only the classes that reps
ask for by name have one, and they are the few: S and A together, which are asked for alone and as
a pair (an index per class could not give the pair in the order of distance), and B. Together they
hold about a third of the customers. C and D are the mass, and half of all rows are found as fast
by the index of all.

The others are for filters that leave so few customers that the index of places would be walked to
its end before a page is full: a rare tag, a rare segment, leads, customers not seen for long.
Untagged and active customers are left out of them.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PLACES = {"sa": "class IN ('S', 'A')", "b": "class = 'B'"}


def upgrade() -> None:
    for name, predicate in PLACES.items():
        op.create_index(
            f"ix_customer_geog_{name}",
            "customer",
            ["geog"],
            postgresql_using="gist",
            postgresql_where=sa.text(predicate),
        )
    op.create_index(
        "ix_customer_tags",
        "customer",
        ["tags"],
        postgresql_using="gin",
        postgresql_where=sa.text("tags <> '{}'"),
    )
    op.create_index("ix_customer_segment", "customer", ["segment"])
    op.create_index(
        "ix_customer_status",
        "customer",
        ["status"],
        postgresql_where=sa.text("status <> 'active'"),
    )
    op.create_index("ix_customer_last_visit_at", "customer", ["last_visit_at"])


def downgrade() -> None:
    for name in ("last_visit_at", "status", "segment", "tags", *(f"geog_{n}" for n in PLACES)):
        op.drop_index(f"ix_customer_{name}", "customer")
