"""Places in queries and GeoJSON in answers."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Response

from app.errors import Fault, InvalidInput
from geo.bbox import BoundingBox
from geo.errors import CoordinateError
from geo.sphere import checked_points

GEOJSON = "application/geo+json"


class GeoJsonResponse(Response):
    """GeoJSON bytes, as the database wrote them."""

    media_type = GEOJSON


class JsonBytes(Response):
    """JSON bytes, as the database wrote them."""

    media_type = "application/json"


@dataclass(frozen=True, slots=True)
class Place:
    """A point in WGS 84, degrees."""

    lon: float
    lat: float


async def place_of(
    lon: Annotated[
        float,
        Query(
            allow_inf_nan=False,
            examples=[121.4737],
            json_schema_extra={"minimum": -180, "maximum": 180},
        ),
    ],
    lat: Annotated[
        float,
        Query(
            allow_inf_nan=False,
            examples=[31.2304],
            json_schema_extra={"minimum": -90, "maximum": 90},
        ),
    ],
) -> Place:
    """Read a place; both coordinates are judged together, so that a swapped pair is named."""
    try:
        checked_points(lon, lat)
    except CoordinateError as error:
        pointer = "/query/lat" if abs(lat) > 90 else "/query/lon"
        fault = Fault(error.code.replace("_", "-"), error.message, pointer)
        raise InvalidInput("This is no place on Earth.", [fault]) from None
    return Place(lon, lat)


async def box_of(
    bbox: Annotated[
        str | None,
        Query(
            max_length=200,
            examples=["120.8,30.9,122.0,31.7"],
            description="west,south,east,north; west > east crosses 180°",
        ),
    ] = None,
) -> BoundingBox | None:
    """Read a bounding box."""
    try:
        return None if bbox is None else BoundingBox.parse(bbox)
    except CoordinateError as error:
        fault = Fault(error.code.replace("_", "-"), error.message, "/query/bbox")
        raise InvalidInput("The bbox cannot be used.", [fault]) from None


AtPlace = Annotated[Place, Depends(place_of)]
InBox = Annotated[BoundingBox | None, Depends(box_of)]
