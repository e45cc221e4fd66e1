"""Rollups of customers per cell: for heat, low-zoom tiles and history."""

from datetime import date

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import Index, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id


class ActivityCell(Base):
    """Sums over the customers of a cell, per class and segment; inactive customers do not count.

    Only combinations that occur have a row. Kept equal to the customers by `activity_delta`.
    """

    __tablename__ = "activity_cell"
    __table_args__ = (Index("ix_activity_cell_cell", "cell"),)

    resolution: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    cell: Mapped[BigInt] = mapped_column(primary_key=True)
    class_: Mapped[str] = mapped_column("class", Text, primary_key=True)
    segment: Mapped[str] = mapped_column(Text, primary_key=True)
    customers: Mapped[BigInt]
    work_minutes: Mapped[float]
    potential: Mapped[float]
    revenue: Mapped[float]


class ActivityDelta(Base):
    """Changes not yet folded into `activity_cell`, written by triggers on `customer`."""

    __tablename__ = "activity_delta"

    id: Mapped[Id]
    cell: Mapped[BigInt]
    class_: Mapped[str] = mapped_column("class", Text)
    segment: Mapped[str] = mapped_column(Text)
    customers: Mapped[BigInt]
    work_minutes: Mapped[float]
    potential: Mapped[float]
    revenue: Mapped[float]


class CellShape(Base):
    """Outline, centre and area of each cell that `activity_cell` has or had."""

    __tablename__ = "cell_shape"
    __table_args__ = (Index("ix_cell_shape_geom", "resolution", "geom", postgresql_using="gist"),)

    cell: Mapped[BigInt] = mapped_column(primary_key=True)
    resolution: Mapped[int] = mapped_column(SmallInteger)
    area_km2: Mapped[float]
    centre: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
    geom: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)
    )


class MeasureSnapshot(Base):
    """Month-by-month history at resolution 6, independent of any territories."""

    __tablename__ = "measure_snapshot"

    month: Mapped[date] = mapped_column(primary_key=True)
    cell: Mapped[BigInt] = mapped_column(primary_key=True)
    class_: Mapped[str] = mapped_column("class", Text, primary_key=True)
    segment: Mapped[str] = mapped_column(Text, primary_key=True)
    customers: Mapped[BigInt]
    work_minutes: Mapped[float]
    potential: Mapped[float]
    revenue: Mapped[float]
