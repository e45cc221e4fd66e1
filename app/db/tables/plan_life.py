"""What happens to a plan after it was made: events, comments, and edits that can be undone."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, Id, Timestamp


class PlanEvent(Base):
    """Who did what with a plan, when and why; rows are only ever added."""

    __tablename__ = "plan_event"
    __table_args__ = (Index("ix_plan_event_plan_id", "plan_id", "id"),)

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    # As the audit names its actors.
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]


class PlanComment(Base):
    """What somebody says of a plan, or of one territory of it."""

    __tablename__ = "plan_comment"
    __table_args__ = (
        CheckConstraint("length(text) BETWEEN 1 AND 2000", name="text"),
        Index("ix_plan_comment_plan_id", "plan_id", "id"),
    )

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    author: Mapped[str] = mapped_column(Text)
    territory_code: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Timestamp]


class PlanEdit(Base):
    """An edit of a draft. Edits that count come first by id, those that were undone after them.

    `alignment` and `territories` are the plan on the other side of the edit: as it was before one
    that counts, as it was after one that is undone.
    """

    __tablename__ = "plan_edit"
    __table_args__ = (Index("ix_plan_edit_plan_id", "plan_id", "id"),)

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    at: Mapped[Timestamp]
    actor: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    is_undone: Mapped[bool] = mapped_column(server_default="false")
    # Packed by `app.db.alignment`.
    alignment: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    territories: Mapped[list[Any]]
    parameters: Mapped[dict[str, Any]]
