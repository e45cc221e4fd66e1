"""What can be supposed in a what-if."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from app.http.values import BEGINS_WITH_A_DATE, Name, NoTruth, RowId, StrictModel
from app.plans.rebalance_request import RebalanceRequest
from app.plans.request import Code, Geometry, Position

MOST_CHANGES = 20
MOST_FACTOR = 10


def _only_text(day: Any) -> Any:
    # A number would be taken for seconds since 1970.
    if isinstance(day, str) and not BEGINS_WITH_A_DATE.match(day):
        raise ValueError("must be a date as in 2026-01-31")
    if isinstance(day, int | float):
        raise ValueError("must be a date as in 2026-01-31")
    return day


Day = Annotated[date, BeforeValidator(_only_text)]
Minutes = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False), NoTruth]
Factor = Annotated[float, Field(ge=0, le=MOST_FACTOR, allow_inf_nan=False), NoTruth]
Place = Annotated[Position, Field(description="lon, lat")]


class RepLeaves(StrictModel):
    """A rep leaves for good: the territories the rep owns now disappear."""

    kind: Literal["rep_leaves"]
    rep_id: RowId


class RepOnLeave(StrictModel):
    """A rep is away for some days, both counted; others do the work of that part of a year."""

    kind: Literal["rep_on_leave"]
    rep_id: RowId
    # `from` is a word of Python.
    from_: Annotated[Day, Field(alias="from")]
    to: Day


class TerritoryRemoved(StrictModel):
    """A territory disappears; the others share its ground."""

    kind: Literal["territory_removed"]
    territory: Code


class RepJoins(StrictModel):
    """A rep more: a territory is made near the rep's home, or of the one with most to give."""

    kind: Literal["rep_joins"]
    capacity_minutes: Minutes | None = Field(
        default=None, description="By default the median of the reps who have a territory"
    )
    home: Place | None = None
    name: Name | None = None


class TerritoryAdded(StrictModel):
    """A territory more, of the size of the others."""

    kind: Literal["territory_added"]
    near: Place | None = None


class RepChanges(StrictModel):
    """A rep works more or less, or from elsewhere: the share follows the capacity."""

    kind: Literal["rep_changes"]
    rep_id: RowId
    capacity_minutes: Minutes | None = None
    home: Place | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "RepChanges":
        if self.capacity_minutes is None and self.home is None:
            raise ValueError("capacity_minutes or home is needed")
        return self


class CustomersChange(StrictModel):
    """What the customers of an area stand for is multiplied: 0.5 half are lost, 1.2 some won."""

    kind: Literal["customers_change"]
    area: Geometry
    factor: Factor


MODELS: dict[str, type[StrictModel]] = {
    "rep_leaves": RepLeaves,
    "rep_on_leave": RepOnLeave,
    "territory_removed": TerritoryRemoved,
    "rep_joins": RepJoins,
    "territory_added": TerritoryAdded,
    "rep_changes": RepChanges,
    "customers_change": CustomersChange,
}


def _by_kind(given: Any) -> Any:
    # A union would put the kind into the pointer of each fault.
    kind = given.get("kind") if isinstance(given, dict) else None
    model = MODELS.get(kind) if isinstance(kind, str) else None
    return given if model is None else model.model_validate(given)


Change = Annotated[
    Annotated[
        RepLeaves
        | RepOnLeave
        | TerritoryRemoved
        | RepJoins
        | TerritoryAdded
        | RepChanges
        | CustomersChange,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_by_kind),
]


class WhatIfRequest(StrictModel):
    """Changes to suppose, all at once, and how the plan may follow them."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {"changes": [{"kind": "territory_removed", "territory": "T03"}]},
                {
                    "changes": [
                        {"kind": "rep_leaves", "rep_id": 7},
                        {"kind": "rep_joins", "home": [121.47, 31.23]},
                    ],
                    "rebalance": {"protect": {"tags": ["key account"]}},
                },
            ]
        }
    }

    changes: Annotated[list[Change], Field(min_length=1, max_length=MOST_CHANGES)]
    rebalance: RebalanceRequest = Field(
        default=RebalanceRequest(),
        description="As of `:rebalance`. What a removed territory leaves behind has to move and is "
        "not counted against the budget",
    )

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self.model_dump(mode="json", by_alias=True)
