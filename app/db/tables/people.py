"""Customers and the reps who visit them."""

from datetime import date, datetime
from typing import Any

from geoalchemy2 import Geography, Geometry, WKBElement
from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id, Timestamp

CLASSES = ("S", "A", "B", "C", "D")
STATUSES = ("lead", "active", "inactive")


def finite(column: str) -> str:
    """Return a check that refuses negative numbers, NaN and Infinity (NaN sorts above Infinity)."""
    return f"{column} >= 0 AND {column} < 'Infinity'"


class Customer(Base):
    """A place to visit.

    `cell` is its H3 cell at resolution 12; every coarser membership is that cell's logical
    ancestor. Its territory is never stored here: it is found through the cell.
    """

    __tablename__ = "customer"
    __table_args__ = (
        CheckConstraint("class IN ('S', 'A', 'B', 'C', 'D')", name="class"),
        CheckConstraint("status IN ('lead', 'active', 'inactive')", name="status"),
        CheckConstraint(finite("potential"), name="potential"),
        CheckConstraint(finite("revenue"), name="revenue"),
        CheckConstraint(finite("visits_per_year"), name="visits_per_year"),
        CheckConstraint(finite("service_minutes"), name="service_minutes"),
        CheckConstraint(finite("work_minutes"), name="work_minutes"),
        Index("ix_customer_geom", "geom", postgresql_using="gist"),
        Index("ix_customer_geog", "geog", postgresql_using="gist"),
        Index("ix_customer_cell", "cell"),
        Index("ix_customer_due_on", "due_on"),
        # Why these, and why no others: migration 0006.
        Index(
            "ix_customer_geog_sa",
            "geog",
            postgresql_using="gist",
            postgresql_where=text("class IN ('S', 'A')"),
        ),
        Index(
            "ix_customer_geog_b",
            "geog",
            postgresql_using="gist",
            postgresql_where=text("class = 'B'"),
        ),
        Index(
            "ix_customer_tags",
            "tags",
            postgresql_using="gin",
            postgresql_where=text("tags <> '{}'"),
        ),
        Index("ix_customer_segment", "segment"),
        Index("ix_customer_status", "status", postgresql_where=text("status <> 'active'")),
        Index("ix_customer_last_visit_at", "last_visit_at"),
        # For `/ogc`, whose clients ask by name: migration 0013.
        Index("ix_customer_name", "name"),
        # Room for the work that changes with each new neighbour: migration 0015.
        {"postgresql_with": {"fillfactor": 80}},
    )

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    geom: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
    # Metric search reads this column; boxes and tiles read `geom`.
    geog: Mapped[WKBElement] = mapped_column(
        Geography("POINT", srid=4326, spatial_index=False),
        Computed("geom::geography", persisted=True),
    )
    cell: Mapped[BigInt]
    class_: Mapped[str] = mapped_column("class", Text, server_default="C")
    segment: Mapped[str] = mapped_column(Text, server_default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    status: Mapped[str] = mapped_column(Text, server_default="active")
    potential: Mapped[float] = mapped_column(server_default="0")
    revenue: Mapped[float] = mapped_column(server_default="0")
    visits_per_year: Mapped[float | None]
    service_minutes: Mapped[float | None]
    work_minutes: Mapped[float] = mapped_column(server_default="0")
    rfm: Mapped[str | None] = mapped_column(Text)
    last_visit_at: Mapped[datetime | None]
    # Derived: the local date by which the next visit is due, long past when there was none yet,
    # NULL when none is wanted.
    due_on: Mapped[date | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]


class Rep(Base):
    """A person (or a team, by `fte`) who visits customers; capacity in minutes per year."""

    __tablename__ = "rep"
    __table_args__ = (
        CheckConstraint("days_per_year > 0 AND days_per_year <= 366", name="days_per_year"),
        CheckConstraint("hours_per_day > 0 AND hours_per_day <= 24", name="hours_per_day"),
        CheckConstraint("field_share > 0 AND field_share <= 1", name="field_share"),
        CheckConstraint("ability > 0 AND ability < 'Infinity'", name="ability"),
        CheckConstraint("fte > 0 AND fte < 'Infinity'", name="fte"),
    )

    id: Mapped[Id]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    home: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    days_per_year: Mapped[float] = mapped_column(server_default="220")
    hours_per_day: Mapped[float] = mapped_column(server_default="8")
    field_share: Mapped[float] = mapped_column(server_default="0.8")
    ability: Mapped[float] = mapped_column(server_default="1")
    fte: Mapped[float] = mapped_column(server_default="1")
    capacity_minutes: Mapped[float] = mapped_column(
        Computed("days_per_year * hours_per_day * 60 * field_share * ability * fte", persisted=True)
    )
    skills: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    manager_id: Mapped[int | None] = mapped_column(ForeignKey("rep.id", ondelete="SET NULL"))
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]
