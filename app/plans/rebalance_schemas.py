"""What rebalances look like outside."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

PickCode = Literal[
    "within_triggers",
    "least_moved",
    "less_compact",
    "back_within_triggers",
    "tolerance_not_reached",
    "nothing_gained",
    "nothing_within_budget",
]


class OptionView(BaseModel):
    """A plan that could follow; only the picked one is stored as a plan."""

    origin: Literal["incumbent", "rebalanced", "fresh"] = Field(
        description="The plan as it is, with new ground taken in; found from there; or designed "
        "anew, its territories numbered so that most stays"
    )
    price: float | None = Field(description="The price of moving it was found at")
    is_picked: bool
    moved: dict[str, float] = Field(description="Share of each measure that changes hands")
    n_cells_moved: int
    most_cells_per_territory: int
    n_protected_moved: int
    max_imbalance: dict[str, float]
    objective_ratio: float | None = Field(description="Objective in parts of the fresh design's")
    cut_edges: int
    is_within_budget: bool
    is_within_triggers: bool
    is_balanced: bool = Field(description="Whether it holds what was to be returned to")


class RebalanceView(BaseModel):
    """What a rebalance found, and what it picked and why."""

    id: int
    plan_id: int
    new_plan_id: int | None = Field(description="The plan that was made; null: nothing to do")
    run_id: int | None
    created_at: datetime
    request: dict[str, Any]
    code: PickCode
    reason: str
    options: list[OptionView] = Field(description="The plan as it is, then by work moved")
    least_moved_work: float = Field(
        description="Share of the work that any plan which returns as far must move: a bound"
    )
    has_freed_recent: bool = Field(
        description="Whether ground that changed hands lately had to move again"
    )
    n_protected_cells: int
    n_recent_cells: int
    n_new_cells: int
    new_customers: int = Field(description="Customers on new ground that was taken in")
    customers_outside: int = Field(
        description="Customers on ground that touches no territory: only a new design takes them in"
    )


class MoveView(BaseModel):
    """Touching cells that went together from one territory to another, and why.

    `evidence` has by measure, for the territory they left (`from`) and the one they joined (`to`),
    the imbalance had they stayed (`stays`) and as they move (`moves`), all else being equal.
    """

    position: int
    from_code: str
    to_code: str
    cells: list[str]
    customers: int
    work_minutes: float
    potential: float
    revenue: float
    reason: Literal["relieves", "fills", "makes_room"]
    text: str
    evidence: dict[str, dict[str, dict[str, float]]]


class MovedCustomer(BaseModel):
    """A customer on ground that moved."""

    id: int
    external_id: str | None
    name: str
    work_minutes: float
    revenue: float
