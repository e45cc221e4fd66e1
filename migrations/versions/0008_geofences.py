"""Fences of several kinds, in groups.

Revision ID: 0008
Revises: 0007
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FUNCTIONS = Path(__file__).parents[1] / "sql" / "geofences.sql"
KINDS = "kind IN ('polygon', 'circle', 'cells', 'service_circle', 'catchment')"
CIRCLES = (
    "(kind IN ('circle', 'service_circle')) = (centre IS NOT NULL)"
    " AND (centre IS NULL) = (radius_m IS NULL)"
)
EXTENT = "fence_extent(coalesce(centre, geom), coalesce(radius_m, 0))"
NEW = (
    "tile_outline",
    "extent",
    "model",
    "radius_m",
    "centre",
    "external_id",
    "group_name",
    "kind",
)


def upgrade() -> None:
    _execute(FUNCTIONS.read_text())
    for column in (
        sa.Column("kind", sa.Text(), server_default="polygon", nullable=False),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("centre", Geometry("POINT", 4326, spatial_index=False), nullable=True),
        sa.Column("radius_m", sa.Float(), nullable=True),
        sa.Column("model", JSONB(), nullable=True),
        sa.Column(
            "extent",
            Geometry("POLYGON", 4326, spatial_index=False),
            sa.Computed(EXTENT, persisted=True),
            nullable=True,
        ),
        sa.Column(
            "tile_outline",
            Geometry("MULTIPOLYGON", 3857, spatial_index=False),
            sa.Computed("fence_tile_outline(geom)", persisted=True),
            nullable=True,
        ),
    ):
        op.add_column("geofence", column)
    op.create_check_constraint(op.f("ck_geofence_kind"), "geofence", KINDS)
    op.create_check_constraint(op.f("ck_geofence_circle"), "geofence", CIRCLES)
    op.create_check_constraint(
        op.f("ck_geofence_radius_m"), "geofence", "radius_m > 0 AND radius_m <= 500000"
    )
    op.create_unique_constraint(op.f("uq_geofence_external_id"), "geofence", ["external_id"])
    for name in ("extent", "tile_outline"):
        op.create_index(f"ix_geofence_{name}", "geofence", [name], postgresql_using="gist")
    op.create_index(
        "ix_geofence_circle",
        "geofence",
        ["extent"],
        postgresql_using="gist",
        postgresql_where=sa.text("centre IS NOT NULL"),
    )
    op.create_index("ix_geofence_group_name", "geofence", ["group_name", "id"])
    op.create_table(
        "geofence_cell",
        sa.Column("cell", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("geofence_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["geofence_id"],
            ["geofence.id"],
            name=op.f("fk_geofence_cell_geofence_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cell", "geofence_id", name=op.f("pk_geofence_cell")),
    )
    op.create_index("ix_geofence_cell_geofence_id", "geofence_cell", ["geofence_id", "cell"])
    # What is computed from the geometry would be written down a second and a third time.
    _audit("'extent', 'tile_outline'")


def downgrade() -> None:
    # Before, a fence was its polygon: circles and cells stay as what was drawn of them.
    op.drop_table("geofence_cell")
    _audit("")
    op.drop_index("ix_geofence_group_name", "geofence")
    for name in ("tile_outline", "extent", "circle"):
        op.drop_index(f"ix_geofence_{name}", "geofence")
    op.drop_constraint("uq_geofence_external_id", "geofence")
    for name in ("radius_m", "circle", "kind"):
        op.drop_constraint(op.f(f"ck_geofence_{name}"), "geofence")
    for name in NEW:
        op.drop_column("geofence", name)
    _execute("DROP FUNCTION everywhere_on_map(geometry)")
    _execute("DROP FUNCTION fence_tile_outline(geometry)")
    _execute("DROP FUNCTION fence_extent(geometry, double precision)")


def _audit(left_out: str) -> None:
    _execute("DROP TRIGGER audit_changed ON geofence")
    _execute(
        "CREATE TRIGGER audit_changed AFTER INSERT OR UPDATE OR DELETE ON geofence "
        f"FOR EACH ROW EXECUTE FUNCTION record_audit({left_out})"
    )


def _execute(script: str) -> None:
    # See revision 0002: scripts go to the driver as they are.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(script.encode())
