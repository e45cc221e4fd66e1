"""What is done by the clock, and what came of it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, Id, Timestamp


class Schedule(Base):
    """Something that is done for a layer once on a local date."""

    __tablename__ = "schedule"
    __table_args__ = (
        CheckConstraint("kind IN ('rebalance', 'review')", name="kind"),
        Index("ix_schedule_layer_id", "layer_id"),
    )

    id: Mapped[Id]
    layer_id: Mapped[int] = mapped_column(ForeignKey("layer.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    # Local time: a cron expression and the zone it is read in.
    cron: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(server_default="true")
    # A RebalanceRequest, and the budget within which a plan is published without being asked.
    rebalance: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    publish_within: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    # Nothing that was due before is caught up: then it was made, switched on, or set to its time.
    since: Mapped[Timestamp]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]


class ScheduleNight(Base):
    """A local date of a schedule: there is one run for it, whoever begins it."""

    __tablename__ = "schedule_night"
    __table_args__ = (
        Index("uq_schedule_night_schedule_id_local_date", "schedule_id", "local_date", unique=True),
        Index("ix_schedule_night_new_plan_id", "new_plan_id"),
    )

    id: Mapped[Id]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"))
    local_date: Mapped[date]
    due_at: Mapped[datetime]
    run_id: Mapped[int | None] = mapped_column(
        ForeignKey("run.id", ondelete="SET NULL"), unique=True
    )
    # The plan that came of it, if one did.
    new_plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id", ondelete="SET NULL"))
    decision: Mapped[str | None] = mapped_column(Text)
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    created_at: Mapped[Timestamp]
