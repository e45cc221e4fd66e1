"""What plans look like outside."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from app.http.values import Instant, StrictModel

PlanState = Literal["draft", "proposed", "approved", "published", "superseded", "archived"]


class PublishRequest(StrictModel):
    """When a plan comes into force."""

    effective_from: Instant | None = Field(default=None, description="By default now")
    assign_reps: bool = Field(
        default=True,
        description="Give each territory its rep: that of the plan's `rep_ids`, else the rep "
        "whose home is near. Where a plan was made from another, territories of the same code keep "
        "their reps in any case",
    )
    accept_changes: bool = Field(
        default=False,
        description="Publish the plan although its customers have changed since it was counted",
    )


class RepRef(BaseModel):
    """The rep responsible."""

    id: int
    name: str


class ViolationView(BaseModel):
    """One reason why a plan does not hold what was asked."""

    code: str = Field(examples=["tolerance_not_met"])
    message: str
    facts: dict[str, Any] = {}
    relaxation: dict[str, Any] = Field(
        default={},
        description="The least change of the request that does away with it, as far as is known: "
        "`field`, a JSON pointer, with a `value`, or the `action` leave out",
        examples=[{"field": "/tolerances/work_minutes", "value": 0.083}],
    )


class ComponentView(BaseModel):
    """A connected piece of the region; territories never span two of them."""

    n_cells: int
    work_share: float | None = Field(description="Null where customers are too few to be told")
    customers: int | None
    n_territories: int
    left_out: bool
    reason: str | None
    place: tuple[float, float] = Field(description="lon, lat of a cell of this piece")


class TerritoryRow(BaseModel):
    """One territory in the balance table; work in minutes per year.

    Callers without the right to detail are not told the numbers of one to four customers: they are
    null, and so are those of the next larger territory where these could be told from the sum.
    """

    territory_id: int
    code: str
    name: str
    colour: int
    rep: RepRef | None
    n_cells: int
    components: int = Field(description="Connected pieces, counted apart from the solver: 1")
    customers: float | None
    work_minutes: float | None
    potential: float | None
    target_work_minutes: float | None
    imbalance: dict[str, float] = Field(description="By measure; empty where it is not told")
    radius_km: float | None = Field(
        default=None, description="Distance of the farthest customer's cell from the centre"
    )
    label_point: tuple[float, float]
    bbox: tuple[float, float, float, float]


PlanOrigin = Literal["design", "front", "rebalance", "copy", "split", "merge", "edit"]


class PlanSummary(BaseModel):
    """A plan in a list."""

    id: int
    layer_id: int
    name: str
    version: int = Field(description="Grows with every change")
    state: PlanState
    origin: PlanOrigin
    parent_id: int | None = Field(description="The plan this one was made from")
    created_at: datetime
    n_territories: int
    n_cells: int
    resolutions: list[int]
    max_imbalance: dict[str, float]
    tolerances: dict[str, float]
    is_feasible: bool
    violations: list[ViolationView]
    bbox: tuple[float, float, float, float]


class NamedAccounts(BaseModel):
    """Customers that belong to a territory by name, against the cell they are in."""

    customers: int
    share: float = Field(description="Of the customers in the balance table")
    without_territory: int = Field(
        description="Those whose account names a territory that the plan does not have"
    )


class PlanView(PlanSummary):
    """A plan with its balance table and the pieces of its region."""

    parameters: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    balance: list[TerritoryRow]
    components: list[ComponentView] = Field(
        default=[], description="Empty, as are scores and parameters, for callers of limited scope"
    )
    named_accounts: NamedAccounts | None = Field(
        default=None,
        description="Null for callers of limited scope, and where they are too few to be told",
    )


class PublicationView(BaseModel):
    """A plan in force during a time range; `effective_to` is null while nothing follows."""

    id: int
    layer_id: int
    plan_id: int
    effective_from: datetime
    effective_to: datetime | None
    published_by: str = Field(
        description="As the audit names its actors", examples=["key:0f3a9c1d2e4b (CRM map)"]
    )
    owners: int = Field(description="Territories that have a rep")


# Said in the one way that every reader of OpenAPI 3.1 understands.
PAIR = WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2})


class PlanCells(BaseModel):
    """The alignment: every cell with the code of its territory."""

    cells: list[Annotated[tuple[str, str], PAIR]] = Field(examples=[[["862830807ffffff", "T01"]]])


class TerritoryDrift(BaseModel):
    """How far a territory is from its target with the customers of today."""

    territory_id: int
    code: str
    customers: int
    work_minutes: float
    target_work_minutes: float
    imbalance: float
    imbalance_as_designed: float
    is_within_tolerance: bool


class DriftView(BaseModel):
    """Drift of a plan: per territory, and what lies in no territory."""

    plan_id: int
    tolerance: float
    max_imbalance: float
    is_within_tolerance: bool
    territories: list[TerritoryDrift]
    uncovered_customers: int
    uncovered_work_minutes: float
