"""Areas that are asked whether they hold a point."""

from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import CheckConstraint, Computed, Float, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id, Timestamp

KINDS = "kind IN ('polygon', 'circle', 'cells', 'service_circle', 'catchment')"
CIRCLES = (
    "(kind IN ('circle', 'service_circle')) = (centre IS NOT NULL)"
    " AND (centre IS NULL) = (radius_m IS NULL)"
)
EXTENT = "fence_extent(coalesce(centre, geom), coalesce(radius_m, 0))"


class Geofence(Base):
    """A named area.

    What it holds is decided by `geom` for polygons, by `centre` and `radius_m` for circles, and by
    `geofence_cell` for sets of cells; of the last two `geom` is what is drawn.
    """

    __tablename__ = "geofence"
    __table_args__ = (
        CheckConstraint(KINDS, name="kind"),
        CheckConstraint(CIRCLES, name="circle"),
        CheckConstraint("radius_m > 0 AND radius_m <= 500000", name="radius_m"),
        Index("ix_geofence_geom", "geom", postgresql_using="gist"),
        Index("ix_geofence_extent", "extent", postgresql_using="gist"),
        # Ten thousand points are looked for among the circles alone.
        Index(
            "ix_geofence_circle",
            "extent",
            postgresql_using="gist",
            postgresql_where=text("centre IS NOT NULL"),
        ),
        Index("ix_geofence_tile_outline", "tile_outline", postgresql_using="gist"),
        Index("ix_geofence_group_name", "group_name", "id"),
        Index("ix_geofence_name", "name"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="polygon")
    group_name: Mapped[str | None] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text, unique=True)
    geom: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)
    )
    centre: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    radius_m: Mapped[float | None] = mapped_column(Float)
    # How a service circle or a catchment came about: its anchor, the model, what it expects.
    model: Mapped[dict[str, Any] | None]
    # A box that surely holds the whole fence, also where a circle leaves the ring that is drawn.
    extent: Mapped[WKBElement | None] = mapped_column(
        Geometry("POLYGON", srid=4326, spatial_index=False),
        Computed(EXTENT, persisted=True),
    )
    # For tiles, as `territory` has it; empty for ground beyond the map's 85.06 degrees.
    tile_outline: Mapped[WKBElement | None] = mapped_column(
        Geometry("MULTIPOLYGON", srid=3857, spatial_index=False),
        Computed("fence_tile_outline(geom)", persisted=True),
    )
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]


class GeofenceCell(Base):
    """A cell of a fence made of cells; of any resolutions up to 12, none inside another."""

    __tablename__ = "geofence_cell"
    __table_args__ = (Index("ix_geofence_cell_geofence_id", "geofence_id", "cell"),)

    cell: Mapped[BigInt] = mapped_column(primary_key=True, autoincrement=False)
    geofence_id: Mapped[BigInt] = mapped_column(
        ForeignKey("geofence.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
