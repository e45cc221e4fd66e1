"""Rollups of customers per cell: for heat, low-zoom tiles and history."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id


class ActivityCell(Base):
    """Sums over the customers of a cell, per class and segment; inactive customers do not count.

    Only combinations that occur have a row. Kept equal to the customers by `activity_delta`.
    """

    __tablename__ = "activity_cell"
    # Rows that the next fold forgets: without it every fold reads all to find none.
    __table_args__ = (
        Index("ix_activity_cell_empty", "cell", postgresql_where=text("customers <= 0")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    resolution: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    cell: Mapped[BigInt] = mapped_column(primary_key=True)
    class_: Mapped[str] = mapped_column("class", Text, primary_key=True)
    segment: Mapped[str] = mapped_column(Text, primary_key=True)
    customers: Mapped[BigInt]
    work_minutes: Mapped[float]
    potential: Mapped[float]
    revenue: Mapped[float]
    overdue: Mapped[BigInt] = mapped_column(server_default="0")


class ActivityTotal(Base):
    """Sums over the customers of a coarse cell, all classes and segments: a tenth of the rows."""

    __tablename__ = "activity_total"
    __table_args__ = (
        Index("ix_activity_total_empty", "cell", postgresql_where=text("customers <= 0")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    resolution: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    cell: Mapped[BigInt] = mapped_column(primary_key=True)
    customers: Mapped[BigInt]
    work_minutes: Mapped[float]
    potential: Mapped[float]
    revenue: Mapped[float]
    overdue: Mapped[BigInt] = mapped_column(server_default="0")


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
    overdue: Mapped[BigInt] = mapped_column(server_default="0")


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
    overdue: Mapped[BigInt] = mapped_column(server_default="0")


class HeatState(Base):
    """What the rollups stand for; one row, none before the first day.

    `day` is the local date before which a visit must have been due to be overdue, for changes from
    now on; `folded_day` the one that `activity_cell` shows. `generation` counts the folds that
    changed something, the latest of which holds everything committed before `folded_at`. A next one
    makes stale sums anew from the customers.
    """

    __tablename__ = "heat_state"
    __table_args__ = (CheckConstraint("id", name="one_row"),)

    id: Mapped[bool] = mapped_column(primary_key=True, server_default="true")
    day: Mapped[date | None]
    folded_day: Mapped[date | None]
    generation: Mapped[BigInt] = mapped_column(server_default="0")
    folded_at: Mapped[datetime | None]
    is_stale: Mapped[bool] = mapped_column(server_default="false")
