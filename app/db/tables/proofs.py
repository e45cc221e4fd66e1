"""What a plan was made from, and what is made of it: its certificate, the front it lies on."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, Timestamp


class PlanCertificate(Base):
    """A plan's certificate, as `docs/certificate.md` describes it."""

    __tablename__ = "plan_certificate"

    plan_id: Mapped[int] = mapped_column(
        ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sha256: Mapped[str] = mapped_column(Text)
    n_bytes: Mapped[int]
    # JSON compressed by gzip, so that the database need not try to (migration 0004).
    document: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)


class PlanInput(Base):
    """The customers that plans were made from, summed by cell: `app.plans.snapshot` packs them.

    Shared by all plans with this digest; housekeeping removes it when no plan is left.
    """

    __tablename__ = "plan_input"

    sha256: Mapped[str] = mapped_column(Text, primary_key=True)
    n_cells: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    # When a plan was last made from it.
    used_at: Mapped[Timestamp]


class PlanSource(Base):
    """What a plan was made from beside its request: customers, reps, locked ground, given cells."""

    __tablename__ = "plan_source"
    __table_args__ = (Index("ix_plan_source_input_sha256", "input_sha256"),)

    plan_id: Mapped[int] = mapped_column(
        ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    input_sha256: Mapped[str] = mapped_column(ForeignKey("plan_input.sha256"))
    given: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)


class PlanFront(Base):
    """Plans that trade balance, compactness and disruption against each other, around one plan."""

    __tablename__ = "plan_front"
    __table_args__ = (Index("ix_plan_front_run_id", "run_id"),)

    plan_id: Mapped[int] = mapped_column(
        ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"))
    # The demand it was computed on, the axes, how many designs were dominated.
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[Timestamp]


class PlanFrontPoint(Base):
    """One plan of a front: the plan asked about, the one in force, or a draft made for the front.

    `position` counts from 0, the best balanced plan first.
    """

    __tablename__ = "plan_front_point"
    __table_args__ = (
        CheckConstraint("kind IN ('plan', 'incumbent', 'member')", name="kind"),
        Index("ix_plan_front_point_member_plan_id", "member_plan_id"),
    )

    plan_id: Mapped[int] = mapped_column(
        ForeignKey("plan_front.plan_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    member_plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    scores: Mapped[dict[str, Any]]
