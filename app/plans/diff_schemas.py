"""What the difference of two plans looks like outside."""

from pydantic import BaseModel, Field

from app.plans.schemas import RepRef


class Amounts(BaseModel):
    """Customers of today and what they stand for; work in minutes per year."""

    customers: int = 0
    work_minutes: float = 0.0
    potential: float = 0.0
    revenue: float = 0.0


class Moved(BaseModel):
    """How much changes hands, and how much of all that either plan holds."""

    moved: float
    total: float
    share: float = Field(description="0 where there is nothing at all")


class DiffSide(BaseModel):
    """A territory of one of the plans; both null for ground or customers of none."""

    code: str | None
    rep: RepRef | None


class Move(Amounts):
    """What goes from one territory to another."""

    n_cells: int = Field(description="Cells of the finer of the two plans, where they differ")
    from_: DiffSide = Field(serialization_alias="from")
    to: DiffSide


class RepChange(BaseModel):
    """What a rep gains and loses."""

    rep: RepRef
    gained: Amounts
    lost: Amounts


class PlanDiff(BaseModel):
    """What changes hands between two plans of a layer, with the customers of today.

    Territories of the two are the same when they have the same code. The rep of a territory is its
    owner now, and where it has none that of the same code in the other plan.
    """

    from_plan_id: int
    to_plan_id: int
    layer_id: int
    n_cells_moved: int
    n_cells: int
    customers: Moved
    work_minutes: Moved
    potential: Moved
    revenue: Moved
    moves: list[Move] = Field(description="Those with the most work first")
    reps: list[RepChange]
