"""What a run looks like outside."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.db.tables import Run, RunEvent

RunState = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class RunView(BaseModel):
    """A long task: poll it until its state is succeeded, failed or cancelled."""

    id: int
    kind: str = Field(examples=["design"])
    state: RunState
    phase: str
    progress: float = Field(ge=0, le=1)
    layer_id: int | None
    parameters: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None = Field(description="A problem (RFC 9457) when it failed")
    attempts: int
    requested_by: str = Field(
        description="As the audit names its actors", examples=["key:0f3a9c1d2e4b (CRM map)"]
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, run: Run) -> "RunView":
        """Return the view of a run."""
        return cls(**{name: getattr(run, name) for name in cls.model_fields})


class RunProgress(BaseModel):
    """How far a run was at one moment; `seq` counts the events of the run from 1."""

    run_id: int
    seq: int = Field(ge=1)
    at: datetime
    state: RunState
    phase: str
    progress: float = Field(ge=0, le=1)

    @classmethod
    def of(cls, event: RunEvent) -> "RunProgress":
        """Return the view of an event."""
        return cls(**{name: getattr(event, name) for name in cls.model_fields})


def is_over(state: str) -> bool:
    """Tell whether a run in this state will not change any more."""
    return state in ("succeeded", "failed", "cancelled")
