"""What the life of a plan looks like outside: transitions, events, comments."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.http.values import Instant, SafeText, StrictModel
from app.plans.request import Code

Remark = Annotated[SafeText, Field(min_length=1, max_length=2000)]
Action = Literal[
    "proposed", "approved", "rejected", "archived", "published", "withdrawn", "rolled_back",
    "copied", "moved", "merged", "split", "locked", "unlocked", "undone", "redone", "refreshed",
]  # fmt: skip


class Note(StrictModel):
    """What is said along with a step; it stands in the plan's events."""

    note: Remark | None = Field(default=None, examples=["As agreed in Monday's review"])


class Rejection(StrictModel):
    """Why a plan goes back to its makers."""

    reason: Remark = Field(examples=["T07 would lose the hospital"])


class RollbackRequest(StrictModel):
    """When the earlier plan comes into force again."""

    effective_from: Instant | None = Field(default=None, description="By default now")


class EventView(BaseModel):
    """One thing that happened to a plan."""

    id: int
    at: datetime
    actor: str = Field(examples=["key:0f3a9c1d2e4b (Lin Mei)"])
    action: Action
    detail: dict[str, Any] = Field(description="What was said or done, by action")


class NewComment(StrictModel):
    """A comment on a plan, or on one of its territories."""

    text: Remark
    territory: Code | None = None


class CommentView(BaseModel):
    """A comment as stored."""

    id: int
    created_at: datetime
    author: str = Field(examples=["key:0f3a9c1d2e4b (Lin Mei)"])
    territory: str | None
    text: str
