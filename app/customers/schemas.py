"""What a customer looks like outside."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from app.http.values import (
    Amount,
    Attributes,
    Instant,
    Label,
    Latitude,
    Longitude,
    Name,
    ServiceClass,
    Status,
    StrictModel,
    refuse_swapped,
)

EXAMPLE: dict[str, Any] = {
    "external_id": "YD-000001",
    "name": "Jinhai Trading",
    "lon": 121.4737,
    "lat": 31.2304,
    "class": "A",
    "segment": "retail",
    "tags": ["key"],
    "status": "active",
    "potential": 120000,
}


class CustomerBody(StrictModel):
    """A customer as upserted under its external id."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    name: Name
    lon: Longitude
    lat: Latitude
    class_: Annotated[ServiceClass, Field(alias="class")] = "C"
    segment: Label = ""
    tags: Annotated[list[Label], Field(max_length=50)] = []
    status: Status = "active"
    potential: Amount = 0
    revenue: Amount = 0
    visits_per_year: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = None
    service_minutes: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] | None = None
    last_visit_at: Instant | None = None
    attributes: Attributes = {}

    @model_validator(mode="before")
    @classmethod
    def _not_swapped(cls, given: Any) -> Any:
        if isinstance(given, dict):
            refuse_swapped(given.get("lon"), given.get("lat"))
        return given


class NewCustomer(CustomerBody):
    """A customer to create."""

    external_id: Name


class CustomerView(StrictModel):
    """A customer as stored."""

    id: int
    external_id: str
    name: str
    lon: float
    lat: float
    class_: Annotated[str, Field(alias="class")]
    segment: str
    tags: list[str]
    status: str
    potential: float
    revenue: float
    work_minutes: Annotated[float, Field(description="Minutes per year")]
    visits_per_year: float | None
    service_minutes: float | None
    last_visit_at: datetime | None
    cell: Annotated[
        str, Field(description="H3 cell at resolution 12", examples=["8c309963145c1ff"])
    ]
    attributes: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def body(self) -> CustomerBody:
        """What of it can be changed."""
        members = self.model_dump(by_alias=True, include=set(CustomerBody.model_fields))
        return CustomerBody.model_validate(members)


class HomeTerritory(BaseModel):
    """A territory."""

    id: int
    code: str
    name: str


class ResponsibleRep(BaseModel):
    """The rep responsible now."""

    id: int
    name: str


class CustomerTerritory(BaseModel):
    """The territory of one layer that a customer belongs to, and by what."""

    layer_id: int
    plan_id: int
    publication_id: int
    territory: HomeTerritory
    rep: ResponsibleRep | None
    by: Literal["cell", "named_account"]


class CustomerTerritories(BaseModel):
    """The territories that a customer belongs to, one per layer; none is white space."""

    items: list[CustomerTerritory]
