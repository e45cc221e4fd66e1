"""What a policy watches for, by kind; where the defaults are from: docs/policies.md."""

from typing import Annotated, Literal

from pydantic import Field

from app.http.values import NoTruth, StrictModel

Kind = Literal["max_customers", "growth", "efficiency_gap", "utilisation", "vacancy"]
Proposal = Literal["split", "rebalance", "assign"]
Share = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False), NoTruth]


class MaxCustomers(StrictModel):
    """More customers than this in a territory."""

    customers: Annotated[int, Field(ge=1, le=10_000_000), NoTruth] = 150


class Growth(StrictModel):
    """More growth than this share within a year, from a base that is large enough to tell."""

    growth: Share = 0.3
    min_base: Annotated[int, Field(ge=1, le=10_000_000), NoTruth] = 20


class EfficiencyGap(StrictModel):
    """Output per head apart from the median by more than this share, two quarters on one side."""

    gap: Share = 0.2


class Utilisation(StrictModel):
    """Work apart from the capacity of the rep by more than this share."""

    tolerance: Share = 0.15


class Vacancy(StrictModel):
    """No rep for so many days, 0 for at once."""

    grace_days: Annotated[int, Field(ge=0, le=3650), NoTruth] = 0


Parameters = MaxCustomers | Growth | EfficiencyGap | Utilisation | Vacancy
OF_KIND: dict[Kind, type[Parameters]] = {
    "max_customers": MaxCustomers,
    "growth": Growth,
    "efficiency_gap": EfficiencyGap,
    "utilisation": Utilisation,
    "vacancy": Vacancy,
}
