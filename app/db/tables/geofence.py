"""Areas that are asked whether they hold a point."""

from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, Id, Timestamp


class Geofence(Base):
    """A named area."""

    __tablename__ = "geofence"
    __table_args__ = (Index("ix_geofence_geom", "geom", postgresql_using="gist"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    geom: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)
    )
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]
