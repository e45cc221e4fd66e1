"""What can be asked of a rebalance."""

from typing import Annotated

from pydantic import Field

from app.http.values import Label, Name, StrictModel
from app.plans.request import MEASURES, MOST_TERRITORIES, CellIds, Code

MOST_PRICES = 8
# Of a selection.
MOST_NAMES = 100
LONGEST_DAYS = 3650

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Trigger = Annotated[float, Field(ge=0.001, le=10, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=0, le=LONGEST_DAYS)]
Labels = Annotated[list[Label], Field(max_length=MOST_NAMES)]


class MoveBudget(StrictModel):
    """The most that may change hands; no plan beyond it is made. Null: any amount."""

    customers: Share | None = None
    work_minutes: Share | None = None
    potential: Share | None = None
    revenue: Share | None = None
    cells_per_territory: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="Cells that may leave or join any one territory, together"
    )


class Triggers(StrictModel):
    """The imbalance per measure from which on something is done; null: the plan's tolerance."""

    work_minutes: Trigger | None = None
    customers: Trigger | None = None
    potential: Trigger | None = None
    revenue: Trigger | None = None


class Selection(StrictModel):
    """Customers by what they are, and ground by name; what any of these speaks of is meant."""

    tags: Labels = []
    classes: Labels = []
    visited_within_days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] | None = Field(
        default=None, description="Customers who were visited so lately"
    )
    cells: CellIds | None = None
    territories: Annotated[list[Code], Field(max_length=MOST_TERRITORIES)] = Field(
        default=[], description="The ground of these territories"
    )

    @property
    def names_customers(self) -> bool:
        """Whether it speaks of customers."""
        return bool(self.tags or self.classes or self.visited_within_days)


class RebalanceRequest(StrictModel):
    """How a plan may be changed so that it holds its tolerances again."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {},
                {
                    "budget": {"customers": 0.02, "revenue": 0.02},
                    "protect": {"tags": ["key account"], "visited_within_days": 7},
                },
            ]
        }
    }

    name: Name | None = None
    budget: MoveBudget = MoveBudget()
    prices: Annotated[list[Price], Field(min_length=1, max_length=MOST_PRICES)] = Field(
        default=[0.3, 1.0, 3.0, 10.0],
        description="What moving a territory's worth of work costs, in what an average territory "
        "counts in the objective: a plan is searched for at each. The lower, the more moves for "
        "compactness",
    )
    triggers: Triggers = Triggers()
    return_to: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=0.5,
        description="Where something is done, the part of each tolerance that is returned to, so "
        "that the same territory is not out again soon",
    )
    most_objective: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = Field(
        default=1.1, description="Times the objective of a fresh design that a plan may have"
    )
    protect: Selection = Field(
        default=Selection(), description="Cells with any of these stay in their territory"
    )
    prefer_to_keep: Selection = Field(
        default=Selection(),
        description="Moving a cell costs up to five times as much, by the part of its work that "
        "is of these",
    )
    recent_days: Days = Field(
        default=14,
        description="Ground that changed hands on the layer within so many days stays where it "
        "is, unless that leaves a territory out of its tolerance",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        default=None, description="By default that of the plan"
    )

    def limits(self) -> dict[str, float]:
        """Return the most that may move, by measure; 1 where any amount may."""
        given = {name: getattr(self.budget, name) for name in MEASURES}
        return {name: 1.0 if share is None else share for name, share in given.items()}
