"""Rebalances: the plans that were found near a plan, and why what moved has moved."""

from typing import Any

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, Id, Timestamp


class Rebalance(Base):
    """One look at whether a plan should change, and at what that would come to."""

    __tablename__ = "rebalance"
    __table_args__ = (
        Index("ix_rebalance_plan_id", "plan_id", "id"),
        Index("ix_rebalance_new_plan_id", "new_plan_id"),
    )

    id: Mapped[Id]
    run_id: Mapped[int | None] = mapped_column(
        ForeignKey("run.id", ondelete="SET NULL"), unique=True
    )
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    # Nothing, where nothing is to be done.
    new_plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id", ondelete="SET NULL"))
    request: Mapped[dict[str, Any]]
    # What `app.plans.rebalance` wrote as its outcome.
    outcome: Mapped[dict[str, Any]]
    created_at: Mapped[Timestamp]


class PlanMove(Base):
    """Touching cells that went together from one territory of a plan to another, and why.

    `position` counts from 0, the most work first.
    """

    __tablename__ = "plan_move"

    plan_id: Mapped[int] = mapped_column(
        ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    from_code: Mapped[str] = mapped_column(Text)
    to_code: Mapped[str] = mapped_column(Text)
    cells: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    customers: Mapped[int]
    work_minutes: Mapped[float] = mapped_column(Double)
    potential: Mapped[float] = mapped_column(Double)
    revenue: Mapped[float] = mapped_column(Double)
    reason: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]]
