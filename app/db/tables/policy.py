"""Policies: what is watched for in the territories of a layer, and what was found."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id, Timestamp

KINDS = "kind IN ('max_customers', 'growth', 'efficiency_gap', 'utilisation', 'vacancy')"
PROPOSALS = "proposal IN ('split', 'rebalance', 'assign')"
STATES = "state IN ('open', 'acknowledged', 'resolved')"


class Policy(Base):
    """A policy as it is now; without a layer it is for all of them.

    On a layer that has policies of its own of a kind, the general ones of that kind do not count.
    """

    __tablename__ = "policy"
    __table_args__ = (
        CheckConstraint(KINDS, name="kind"),
        CheckConstraint(PROPOSALS, name="proposal"),
        Index("ix_policy_layer_id", "layer_id"),
    )

    id: Mapped[Id]
    layer_id: Mapped[int | None] = mapped_column(ForeignKey("layer.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]]
    proposal: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(server_default="true")
    version: Mapped[int] = mapped_column(server_default="1")
    archived_at: Mapped[datetime | None]
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]


class PolicyVersion(Base):
    """A policy as it was from one change to the next; never changed."""

    __tablename__ = "policy_version"
    __table_args__ = (
        CheckConstraint(PROPOSALS, name="proposal"),
        UniqueConstraint("policy_id", "version"),
    )

    id: Mapped[Id]
    policy_id: Mapped[int] = mapped_column(ForeignKey("policy.id", ondelete="CASCADE"))
    version: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]]
    proposal: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[Timestamp]


class PolicyFiring(Base):
    """A policy that fired for a territory, known by its code, with what was known then.

    While one is not resolved the policy does not fire for that territory again.
    """

    __tablename__ = "policy_firing"
    __table_args__ = (
        CheckConstraint(PROPOSALS, name="proposal"),
        CheckConstraint(STATES, name="state"),
        CheckConstraint("(state = 'resolved') = (resolved_on IS NOT NULL)", name="resolved_on"),
        ForeignKeyConstraint(
            ["policy_id", "policy_version"],
            ["policy_version.policy_id", "policy_version.version"],
            ondelete="CASCADE",
        ),
        Index(
            "uq_policy_firing_lasting",
            "layer_id",
            "policy_id",
            "territory_code",
            unique=True,
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index("ix_policy_firing_policy_id", "policy_id", "id"),
        Index("ix_policy_firing_layer_id", "layer_id", "id"),
        Index("ix_policy_firing_plan_id", "plan_id"),
    )

    id: Mapped[Id]
    policy_id: Mapped[BigInt]
    policy_version: Mapped[int]
    layer_id: Mapped[int] = mapped_column(ForeignKey("layer.id", ondelete="CASCADE"))
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id", ondelete="SET NULL"))
    territory_code: Mapped[str] = mapped_column(Text)
    fired_on: Mapped[date]
    fired_at: Mapped[Timestamp]
    # The day of the latest evaluation that found the same.
    seen_on: Mapped[date]
    evidence: Mapped[dict[str, Any]]
    sentence: Mapped[str] = mapped_column(Text)
    # Whether the evidence tells of so few customers that not everybody may be told.
    is_of_few: Mapped[bool]
    proposal: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="open")
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    resolved_on: Mapped[date | None]
    resolution: Mapped[str | None] = mapped_column(Text)
