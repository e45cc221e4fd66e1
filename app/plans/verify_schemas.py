"""What is said of a plan that was made again."""

from pydantic import BaseModel, Field


class Check(BaseModel):
    """One thing that was compared."""

    name: str = Field(examples=["alignment"])
    ok: bool
    detail: str


class Verification(BaseModel):
    """Whether a plan is, to the bit, what its manifest and its input come to; a run's result."""

    plan_id: int
    identical: bool
    origin: str
    parent_id: int | None
    checks: list[Check]
