"""What a rep looks like outside."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, model_validator

from app.http.values import Label, Latitude, Longitude, Name, RowId, StrictModel

EXAMPLE: dict[str, Any] = {
    "external_id": "REP-01",
    "name": "Lin Mei",
    "home_lon": 121.44,
    "home_lat": 31.2,
    "fte": 1.0,
    "skills": ["hospital"],
}


class RepBody(StrictModel):
    """A rep as upserted under its external id."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    name: Name
    home_lon: Longitude | None = None
    home_lat: Latitude | None = None
    days_per_year: Annotated[float, Field(gt=0, le=366, allow_inf_nan=False)] = 220
    hours_per_day: Annotated[float, Field(gt=0, le=24, allow_inf_nan=False)] = 8
    field_share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.8
    ability: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1
    fte: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 1
    skills: Annotated[list[Label], Field(max_length=50)] = []
    manager_id: RowId | None = None

    @model_validator(mode="after")
    def _home_is_whole(self) -> "RepBody":
        if (self.home_lon is None) != (self.home_lat is None):
            raise ValueError("home_lon and home_lat belong together")
        return self


class NewRep(RepBody):
    """A rep to create."""

    external_id: Name


class RepView(StrictModel):
    """A rep as stored."""

    id: int
    external_id: str
    name: str
    home_lon: float | None
    home_lat: float | None
    days_per_year: float
    hours_per_day: float
    field_share: float
    ability: float
    fte: float
    capacity_minutes: Annotated[float, Field(description="Field minutes per year")]
    skills: list[str]
    manager_id: int | None
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def body(self) -> RepBody:
        """What of it can be changed."""
        return RepBody.model_validate(self.model_dump(include=set(RepBody.model_fields)))
