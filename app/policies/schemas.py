"""What policies, what they found, and back-tests look like outside."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from app.http.values import Name, RowId, SafeText, StrictModel
from app.policies.parameters import (
    EfficiencyGap,
    Growth,
    Kind,
    MaxCustomers,
    Parameters,
    Proposal,
    Utilisation,
    Vacancy,
)

WRITTEN_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _written_day(given: Any) -> Any:
    # A number would be taken for seconds since 1970, and an instant for the day it has in UTC.
    if isinstance(given, date) or (isinstance(given, str) and WRITTEN_DAY.fullmatch(given)):
        return given
    raise ValueError("must be a day as in 2026-01-31")


def _within_reason(day: date) -> date:
    if not 1900 <= day.year < 2200:
        raise ValueError("must lie between the years 1900 and 2200")
    return day


State = Literal["open", "acknowledged", "resolved"]
Day = Annotated[date, BeforeValidator(_written_day), AfterValidator(_within_reason)]
Note = Annotated[SafeText, Field(min_length=1, max_length=2000)]


class PolicyBody(StrictModel):
    """What every policy has."""

    name: Name
    layer_id: Annotated[
        RowId | None,
        Field(description="Null: for every layer that has no policy of this kind of its own"),
    ] = None
    enabled: bool = True


class MaxCustomersPolicy(PolicyBody):
    """A territory may have so many customers."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "kind": "max_customers", "name": "Key accounts: over 80", "layer_id": 1,
                    "parameters": {"customers": 80}, "proposal": "split",
                }
            ]
        }
    }  # fmt: skip

    kind: Literal["max_customers"]
    parameters: MaxCustomers = MaxCustomers()
    proposal: Proposal = "split"


class GrowthPolicy(PolicyBody):
    """The customers of a territory may grow so much from the same month of last year."""

    kind: Literal["growth"]
    parameters: Growth = Growth()
    proposal: Proposal = "split"


class EfficiencyGapPolicy(PolicyBody):
    """Output per head may be so far from the median of the territories."""

    kind: Literal["efficiency_gap"]
    parameters: EfficiencyGap = EfficiencyGap()
    proposal: Proposal = "rebalance"


class UtilisationPolicy(PolicyBody):
    """Work may be so far from the capacity of the rep."""

    kind: Literal["utilisation"]
    parameters: Utilisation = Utilisation()
    proposal: Proposal = "rebalance"


class VacancyPolicy(PolicyBody):
    """A territory may be without a rep for so long."""

    kind: Literal["vacancy"]
    parameters: Vacancy = Vacancy()
    proposal: Proposal = "assign"


AnyPolicy = (
    MaxCustomersPolicy | GrowthPolicy | EfficiencyGapPolicy | UtilisationPolicy | VacancyPolicy
)
NewPolicy = Annotated[AnyPolicy, Field(discriminator="kind")]
BODIES: dict[Kind, type[AnyPolicy]] = {
    "max_customers": MaxCustomersPolicy,
    "growth": GrowthPolicy,
    "efficiency_gap": EfficiencyGapPolicy,
    "utilisation": UtilisationPolicy,
    "vacancy": VacancyPolicy,
}


class PolicyPatch(StrictModel):
    """What of a policy can be changed; the parameters are those of its kind."""

    name: Name
    parameters: dict[str, Any]
    proposal: Proposal
    enabled: bool


class PolicyView(BaseModel):
    """A policy as it is now."""

    id: int
    layer_id: int | None
    name: str
    kind: Kind
    parameters: Parameters
    proposal: Proposal
    enabled: bool
    version: int
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def body(self) -> AnyPolicy:
        """Return what a change is applied to."""
        names = {"layer_id", "name", "kind", "parameters", "proposal", "enabled"}
        return BODIES[self.kind].model_validate(self.model_dump(include=names))


class PolicyVersionView(BaseModel):
    """A policy as it was from one change to the next."""

    version: int
    name: str
    parameters: Parameters
    proposal: Proposal
    enabled: bool
    made_by: str | None = Field(description="Null for callers who may not know")
    made_at: datetime


class AlertView(BaseModel):
    """A policy that fired for a territory, with what was known then."""

    id: int
    policy_id: int
    policy_version: int = Field(description="That under which it fired")
    policy_name: str
    kind: Kind
    layer_id: int
    plan_id: int | None
    territory_code: str
    state: State
    fired_on: date
    fired_at: datetime
    seen_on: date = Field(description="Day of the latest evaluation that found the same")
    sentence: str
    proposal: Proposal
    evidence: dict[str, Any] | None = Field(
        description="Null where it tells of so few customers that the caller may not know"
    )
    acknowledged_at: datetime | None
    acknowledged_by: str | None = Field(description="Null for callers who may not know")
    note: str | None = Field(description="Null for callers who may not know")
    resolved_on: date | None
    resolution: str | None


class Acknowledgement(StrictModel):
    """That somebody has seen an alert, and what they say."""

    note: Note | None = None


class EvaluationRequest(StrictModel):
    """Which layer to evaluate."""

    layer_id: RowId


class UnknownView(BaseModel):
    """A policy of which nobody can tell whether it would fire."""

    policy_id: int
    kind: Kind
    reason: str


class EvaluationView(BaseModel):
    """What an evaluation found that was not known before."""

    layer_id: int
    plan_id: int | None
    on: date
    fired: list[AlertView]
    resolved: list[AlertView]
    n_lasting: int = Field(description="Alerts that were there before and stay")
    unknown: list[UnknownView]


class BacktestRequest(StrictModel):
    """The days between which the ends of months are looked at, both included."""

    model_config = {"json_schema_extra": {"examples": [{"from": "2025-01-01", "to": "2025-12-31"}]}}

    from_: Annotated[Day, Field(alias="from")]
    to: Day
    layer_id: Annotated[
        RowId | None, Field(description="Needed where the policy is for all layers")
    ] = None


class WouldFire(BaseModel):
    """A territory for which the policy would have fired."""

    territory_code: str
    is_new: bool = Field(description="False where it would have at the end of the month before")
    sentence: str
    proposal: Proposal
    evidence: dict[str, Any]


class BacktestMonth(BaseModel):
    """What would have been found on the last day of a month."""

    on: date
    plan_id: int | None = Field(description="The plan in force then")
    fired: list[WouldFire]
    unknown: str | None = Field(description="Why nobody can tell")
    caveats: list[str] = Field(description="What is not known of then, and taken instead")


class BacktestView(BaseModel):
    """What a policy would have found, month by month, as it is now."""

    policy_id: int
    policy_version: int
    layer_id: int
    months: list[BacktestMonth]
