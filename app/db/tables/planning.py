"""Layers, plans, territories, and what is in force when."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id, Timestamp

PLAN_STATES = ("draft", "proposed", "approved", "published", "superseded", "archived")


class Layer(Base):
    """A family of responsibilities over the same ground, for the customers its filter selects."""

    __tablename__ = "layer"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text, unique=True)
    title: Mapped[str] = mapped_column(Text)
    # Keys class, segment, tag, status; each a list of accepted values, absent means any.
    customer_filter: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]


class Plan(Base):
    """One stored assignment of cells to territories, with its parameters and scores."""

    __tablename__ = "plan"
    __table_args__ = (
        CheckConstraint(
            "state IN ('draft', 'proposed', 'approved', 'published', 'superseded', 'archived')",
            name="state",
        ),
        CheckConstraint(
            "origin IN ('design', 'front', 'rebalance', 'copy', 'split', 'merge', 'edit')",
            name="origin",
        ),
        Index("ix_plan_layer_id", "layer_id", "id"),
        Index("ix_plan_parent_id", "parent_id"),
    )

    id: Mapped[Id]
    layer_id: Mapped[int] = mapped_column(ForeignKey("layer.id", ondelete="CASCADE"))
    run_id: Mapped[int | None] = mapped_column(
        ForeignKey("run.id", ondelete="SET NULL"), unique=True
    )
    # The plan this one was made from; except for members of a front, territories of the same code
    # are the same territory.
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id", ondelete="SET NULL"))
    origin: Mapped[str] = mapped_column(Text, server_default="design")
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="draft")
    parameters: Mapped[dict[str, Any]]
    resolutions: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    n_territories: Mapped[int]
    n_cells: Mapped[int]
    # Sorted cells and the territory ordinal of each, packed by `app.db.alignment`.
    alignment: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    scores: Mapped[dict[str, Any]]
    violations: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    components: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    manifest: Mapped[dict[str, Any]]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[Timestamp]


class Territory(Base):
    """A territory of one plan; `ordinal` is its number in the plan's alignment."""

    __tablename__ = "territory"
    __table_args__ = (
        Index("uq_territory_plan_id_ordinal", "plan_id", "ordinal", unique=True),
        Index("uq_territory_plan_id_code", "plan_id", "code", unique=True),
        Index("ix_territory_tile_outline", "tile_outline", postgresql_using="gist"),
        Index("ix_territory_parent_id", "parent_id"),
    )

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    tier: Mapped[str] = mapped_column(Text, server_default="territory")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("territory.id", ondelete="CASCADE"))
    colour: Mapped[int] = mapped_column(SmallInteger)
    # Activity, target and imbalance per measure as solved; see `app.plans.schemas.Balance`.
    scores: Mapped[dict[str, Any]]
    outline: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)
    )
    label_point: Mapped[WKBElement] = mapped_column(
        Geometry("POINT", srid=4326, spatial_index=False)
    )
    # Web Mercator copies for tiles: transforming on the fly costs 3.5 x at high zoom, and low zooms
    # are dominated by vertices, so they read a simplified coverage (research: infra 2.6).
    tile_outline: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=3857, spatial_index=False)
    )
    tile_overview: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", srid=3857, spatial_index=False)
    )


class PlanCell(Base):
    """Cell to territory of proposed and published plans, one partition per plan."""

    __tablename__ = "plan_cell"
    __table_args__ = (
        Index("ix_plan_cell_territory_id", "territory_id"),
        {"postgresql_partition_by": "LIST (plan_id)"},
    )

    plan_id: Mapped[BigInt] = mapped_column(primary_key=True)
    cell: Mapped[BigInt] = mapped_column(primary_key=True)
    territory_id: Mapped[BigInt]


class Publication(Base):
    """A plan in force on a layer during a time range; ranges of one layer never overlap."""

    __tablename__ = "publication"
    __table_args__ = (
        ExcludeConstraint(("layer_id", "="), ("during", "&&"), name="one_in_force", using="gist"),
        CheckConstraint("NOT isempty(during)", name="during"),
        Index("ix_publication_plan_id", "plan_id"),
        Index("ix_publication_starts", text("lower(during)")),
        Index("ix_publication_ends", text("upper(during)")),
    )

    id: Mapped[Id]
    layer_id: Mapped[int] = mapped_column(ForeignKey("layer.id", ondelete="CASCADE"))
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    during: Mapped[Range[datetime]]
    published_by: Mapped[str] = mapped_column(Text)
    published_at: Mapped[Timestamp]


class TerritoryOwner(Base):
    """The rep responsible for a territory during a time range."""

    __tablename__ = "territory_owner"
    __table_args__ = (
        ExcludeConstraint(("territory_id", "="), ("during", "&&"), name="one_owner", using="gist"),
        CheckConstraint("NOT isempty(during)", name="during"),
        Index("ix_territory_owner_rep_id", "rep_id"),
        Index("ix_territory_owner_starts", text("lower(during)")),
        Index("ix_territory_owner_ends", text("upper(during)")),
    )

    id: Mapped[Id]
    territory_id: Mapped[int] = mapped_column(ForeignKey("territory.id", ondelete="CASCADE"))
    # Who was responsible when must stay known, so such a rep cannot be deleted.
    rep_id: Mapped[int] = mapped_column(ForeignKey("rep.id"))
    during: Mapped[Range[datetime]]


class CustomerOverride(Base):
    """A named account: this customer belongs to a territory of the layer against its geography.

    The territory is named by its code, so that the account stays where it is when the next plan of
    the layer is published.
    """

    __tablename__ = "customer_override"
    __table_args__ = (
        ExcludeConstraint(
            ("layer_id", "="),
            ("customer_id", "="),
            ("during", "&&"),
            name="one_place",
            using="gist",
        ),
        CheckConstraint("NOT isempty(during)", name="during"),
        Index("ix_customer_override_customer_id", "customer_id"),
        Index("ix_customer_override_starts", text("lower(during)")),
        Index("ix_customer_override_ends", text("upper(during)")),
    )

    id: Mapped[Id]
    layer_id: Mapped[int] = mapped_column(ForeignKey("layer.id", ondelete="CASCADE"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id", ondelete="CASCADE"))
    territory_code: Mapped[str] = mapped_column(Text)
    during: Mapped[Range[datetime]]
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Timestamp]
