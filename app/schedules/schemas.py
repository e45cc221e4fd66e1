"""What schedules look like outside."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from app.http.values import Name, RowId, StrictModel
from app.plans.rebalance_request import MoveBudget, RebalanceRequest

Kind = Literal["rebalance", "review"]
Cron = Annotated[str, Field(min_length=9, max_length=100, examples=["0 2 * * *"])]
Decision = Literal["nothing", "proposed", "published", "no_plan", "reviewed"]


def _limited(budget: MoveBudget) -> MoveBudget:
    if budget == MoveBudget():
        raise ValueError("give a limit, or null: without one anything would come into force")
    return budget


class ScheduleBody(StrictModel):
    """What can be changed of a schedule."""

    name: Name
    cron: Cron = Field(
        default="0 2 * * *",
        description="Five fields, in local time; minute and hour are numbers. Where clocks leap "
        "over it, it is due right after",
    )
    timezone: Annotated[str, Field(max_length=64, examples=["Asia/Shanghai"])]
    enabled: bool = True
    rebalance: RebalanceRequest = Field(
        default=RebalanceRequest(), description="How the plan in force is rebalanced"
    )
    publish_within: Annotated[MoveBudget, AfterValidator(_limited)] | None = Field(
        default=None,
        description="What moves within this budget comes into force without being asked; null: it "
        "is proposed",
    )


class NewSchedule(ScheduleBody):
    """A schedule to create."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "layer_id": 1, "name": "every night", "timezone": "Asia/Shanghai",
                    "rebalance": {"budget": {"customers": 0.02}},
                    "publish_within": {"customers": 0.005},
                }
            ]
        }
    }  # fmt: skip

    layer_id: RowId
    kind: Kind = "rebalance"


class ScheduleView(NewSchedule):
    """A schedule as stored."""

    id: int
    version: int
    created_at: datetime
    updated_at: datetime


class NextDue(BaseModel):
    """When a schedule is due next."""

    due_at: datetime | None


class NightView(BaseModel):
    """A local date of a schedule, and what came of it."""

    local_date: date
    due_at: datetime
    run_id: int | None
    state: str | None = Field(description="Of the run; null when it was long ago")
    decision: Decision | None
    new_plan_id: int | None


class NightReport(NightView):
    """With all that was seen and decided."""

    report: dict[str, Any] | None
    error: dict[str, Any] | None = Field(description="Why its run failed; `…:run` does it anew")
