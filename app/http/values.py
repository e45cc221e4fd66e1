"""Value types that bodies and queries share."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

ServiceClass = Literal["S", "A", "B", "C", "D"]
Status = Literal["lead", "active", "inactive"]


MOST_MEMBERS = 1000
BEGINS_WITH_A_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _without_nul(text: str) -> str:
    # PostgreSQL cannot store U+0000, and lone surrogates are no text at all.
    if "\x00" in text:
        raise ValueError("must not hold the character U+0000")
    text.encode()
    return text


def _no_number(instant: Any) -> Any:
    # A number would be taken for seconds since 1970, which nobody means by a date here.
    is_number = isinstance(instant, int | float)
    if is_number or (isinstance(instant, str) and not BEGINS_WITH_A_DATE.match(instant)):
        raise ValueError("must be a time as in 2026-01-31T09:00:00Z")
    return instant


def _within_reason(instant: datetime) -> datetime:
    # Python ends at the year 9999 and begins at 1; an hour's shift at either end overflows.
    if not 1900 <= instant.year < 2200:
        raise ValueError("must lie between the years 1900 and 2200")
    return instant


def _no_truth(number: Any) -> Any:
    # To Python true and false are 1 and 0; in a document they are no numbers.
    if isinstance(number, bool):
        raise ValueError("must be a number")
    return number


Instant = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_within_reason)]
SafeText = Annotated[str, AfterValidator(_without_nul)]
Name = Annotated[SafeText, Field(min_length=1, max_length=300)]
Label = Annotated[SafeText, Field(max_length=100)]
NoTruth = BeforeValidator(_no_truth)
Longitude = Annotated[
    float, Field(ge=-180, le=180, allow_inf_nan=False, description="Degrees, WGS 84"), NoTruth
]
Latitude = Annotated[
    float, Field(ge=-90, le=90, allow_inf_nan=False, description="Degrees, WGS 84"), NoTruth
]
Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False), NoTruth]
RowId = Annotated[int, Field(ge=1, lt=2**63), NoTruth]

Attributes = Annotated[
    dict[Annotated[SafeText, Field(max_length=100)], SafeText | float | int | bool | None],
    Field(max_length=100),
]


def refuse_swapped(lon: object, lat: object) -> None:
    """Refuse a latitude out of range that would fit if the two were exchanged."""
    if not (isinstance(lon, int | float) and isinstance(lat, int | float)):
        return
    if abs(lat) > 90 and abs(lat) <= 180 and abs(lon) <= 90:
        raise ValueError(f"lat {lat} is out of range; lon and lat look swapped")


def _not_swapped(lat: Any, info: ValidationInfo) -> Any:
    refuse_swapped(info.data.get("lon"), lat)
    return lat


# Of a model whose field before is `lon`; the fault is that of the latitude, as in queries.
LatitudeBesideLon = Annotated[Latitude, BeforeValidator(_not_swapped)]


class StrictModel(BaseModel):
    """A body that refuses members it does not know."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _has_few_members(cls, given: Any) -> Any:
        # Each unknown one would be a fault of its own: a hundred thousand take a minute.
        if isinstance(given, dict) and len(given) > MOST_MEMBERS:
            raise ValueError(f"has more than {MOST_MEMBERS} members")
        return given
