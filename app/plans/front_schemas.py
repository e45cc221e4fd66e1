"""What fronts look like outside."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.plans.schemas import PlanState


class Disruption(BaseModel):
    """What changes hands from the plan in force, after the best matching of territories."""

    work_minutes: float = Field(description="Share of the work")
    customers: float = Field(description="Share of the customers")
    territories: int = Field(description="Territories that lose or win something")


class FrontPoint(BaseModel):
    """A plan on the front; every score is of the customers when the front was made."""

    plan_id: int
    href: str
    kind: Literal["plan", "incumbent", "member"] = Field(
        description="The plan asked about, the one in force, or a draft designed for the front"
    )
    name: str
    state: PlanState
    tolerance: float | None = Field(description="Of work_minutes, at which a member was designed")
    n_territories: int
    imbalance: dict[str, float] = Field(description="The largest of any territory, by measure")
    objective_value: float | None = Field(
        description="Null where it cannot be compared: cut edges of a plan of other cells"
    )
    objective_ratio: float | None = Field(description="Objective over that of the plan asked about")
    cut_edges: int | None = Field(description="Null for a plan of other cells")
    territories_changed: int = Field(description="That differ from the plan asked about")
    disruption: Disruption | None = Field(description="Null while no plan is in force")
    is_dominated: bool = Field(
        description="Whether another is as good on all axes and better on one. Such members are "
        "left out; the plan asked about and the one in force stay."
    )


class FrontView(BaseModel):
    """Plans that trade balance, compactness and disruption, the best balanced first."""

    plan_id: int
    run_id: int | None
    created_at: datetime
    axes: list[Literal["imbalance", "objective", "disruption"]] = Field(
        description="What plans are compared by: imbalance of work_minutes, the objective, and the "
        "share of work that changes hands from the plan in force"
    )
    objective: str
    incumbent_plan_id: int | None
    demand: dict[str, Any] = Field(description="The customers the front was made of")
    is_demand_of_plan: bool = Field(
        description="Whether the plan asked about was made of the same customers"
    )
    n_designed: int
    n_dominated: int = Field(description="Designs that were left out")
    points: list[FrontPoint]
