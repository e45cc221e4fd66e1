"""What the result of a what-if looks like: `result` of its run."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, Field

from app.plans.rebalance_schemas import OptionView, PickCode

# Of rows in the result of a run, which is one row of the database.
MOST_ROWS = 200
MOST_MOVES = 100
MOST_CUSTOMERS = 100
MOST_SUCCESSORS = 20


class RepRow(BaseModel):
    """A rep; the id is null of one who is supposed to join."""

    id: int | None
    name: str


class Load(BaseModel):
    """What a territory carries, named accounts included; work in minutes per year."""

    cells: int
    components: int = Field(description="Connected pieces, counted apart from the solver: 1")
    customers: float
    work_minutes: float
    potential: float
    revenue: float
    target_work_minutes: float
    level: float | None = Field(description="Work in parts of the target")
    imbalance: dict[str, float] = Field(description="By measure that is balanced")
    utilisation: float | None = Field(
        description="Work of all territories of its rep in parts of the rep's capacity"
    )
    travel_km: float | None = Field(
        description="Mean straight line from the rep's home to a customer; null: no home known"
    )


class BalanceRow(BaseModel):
    """A territory before and after; null where it is not there."""

    code: str
    name: str
    rep: RepRow | None
    before: Load | None
    after: Load | None


class Successor(BaseModel):
    """A territory that takes over ground of one that disappears."""

    code: str
    rep: RepRow | None
    cells: int
    customers: float
    work_minutes: float
    share: float = Field(description="Of the work that is taken over")
    level: float | None
    utilisation: float | None


class PeriodView(BaseModel):
    """Days that a rep is away, both counted."""

    from_: date = Field(alias="from")
    to: date
    days: int
    part_of_year: float


class NamedAccounts(BaseModel):
    """Customers whom their account puts into a territory that disappears."""

    customers: float
    work_minutes: float


class RemovedRow(BaseModel):
    """A territory that disappears, and who takes over, the most work first."""

    change: int = Field(description="Index in `changes`")
    code: str
    rep: RepRow | None
    period: PeriodView | None = Field(
        description="Of a leave: only this part of the work is taken over"
    )
    cells: int
    protected_cells: int = Field(description="Of them those that were to stay, which cannot")
    customers: float
    work_minutes: float = Field(description="Of a year")
    taken_work_minutes: float = Field(description="What of it others do")
    named_accounts: NamedAccounts = Field(description="They have no territory any more")
    successors: list[Successor]
    successors_left_out: int


class AddedRow(BaseModel):
    """A territory that is added."""

    change: int
    code: str
    rep: RepRow | None
    made_of: str = Field(description="The territory whose ground the search began with")
    takes_over: bool = Field(description="Whether that one disappears, so that all of it was given")
    place: tuple[float, float] | None
    distance_km: float | None = Field(description="From the place to its nearest cell")


class MoveRow(BaseModel):
    """Touching cells that go together from one territory to another, and why."""

    from_code: str
    to_code: str
    cells: int
    customers: float
    work_minutes: float
    potential: float
    revenue: float
    reason: Literal["relieves", "fills", "makes_room", "succeeds"]
    text: str
    evidence: dict[str, dict[str, dict[str, float]]]


class Amount(BaseModel):
    """How much changes hands, of disappearing territories too, and its part of all."""

    amount: float
    share: float


class MovedTotals(BaseModel):
    """What changes hands."""

    cells: int
    customers: Amount
    work_minutes: Amount
    potential: Amount
    revenue: Amount


class Change(BaseModel):
    """A number before and after; null where it cannot be told."""

    before: float | None
    after: float | None


class ObjectiveChange(Change):
    """What the plan makes small."""

    name: str


class TravelChange(Change):
    """Mean km from the reps' homes to their customers, where homes are known."""

    customers_before: float
    customers_after: float


class Cost(BaseModel):
    """What the changes come to beside balance."""

    objective: ObjectiveChange
    cut_edges: Change
    travel_km: TravelChange


class AffectedCustomer(BaseModel):
    """A customer who comes to another territory, or to none: then `to_code` is null."""

    id: int
    external_id: str | None
    name: str
    revenue: float
    work_minutes: float
    from_code: str
    to_code: str | None


class Affected(BaseModel):
    """Customers of today who come to another territory, those of most revenue by name."""

    number: int
    customers: list[AffectedCustomer]
    left_out: int


class WhatIfResult(BaseModel):
    """What would be; nothing of it is stored but here."""

    plan_id: int
    code: PickCode
    reason: str
    options: list[OptionView] = Field(
        description="The plan with the changes, then those found near it by work moved"
    )
    least_moved_work: float
    has_freed_recent: bool
    n_protected_cells: int
    n_recent_cells: int
    n_new_cells: int
    new_customers: float
    customers_outside: int
    balance: list[BalanceRow] = Field(description="Territories that change most first to be kept")
    balance_left_out: int
    removed: list[RemovedRow]
    added: list[AddedRow]
    moves: list[MoveRow]
    moves_left_out: int
    moved: MovedTotals | None = Field(description="Null where no plan was picked")
    cost: Cost
    affected: Affected
    named_without_territory: NamedAccounts
