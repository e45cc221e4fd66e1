"""What a geofence looks like outside."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, FailFast, Field

from app.http.paging import Link
from app.http.values import (
    Attributes,
    LatitudeBesideLon,
    Longitude,
    Name,
    NoTruth,
    SafeText,
    StrictModel,
)

MOST_CELLS = 50_000
MOST_POINTS = 10_000
MOST_IMPORTED = 10_000
SMALLEST_RADIUS_M, LARGEST_RADIUS_M = 0.001, 500_000

Kind = Literal["polygon", "circle", "cells", "service_circle", "catchment"]
NewKind = Literal["polygon", "circle", "cells"]
Group = Annotated[SafeText, Field(min_length=1, max_length=100)]
Geometry = Annotated[
    dict[str, Any],
    Field(description="GeoJSON Polygon or MultiPolygon in WGS 84, up to 50,000 vertices"),
]
# Both coordinates are judged together, so that a swapped pair is named: see `app.geofences.shapes`.
Degrees = Annotated[float, Field(allow_inf_nan=False, description="WGS 84"), NoTruth]
# The database's trigonometry refuses numbers that it cannot tell from nothing.
Radius = Annotated[
    float,
    Field(
        ge=SMALLEST_RADIUS_M,
        le=LARGEST_RADIUS_M,
        allow_inf_nan=False,
        description="Geodesic metres",
    ),
    NoTruth,
]
CellTexts = Annotated[
    list[SafeText],
    FailFast(),
    Field(
        max_length=MOST_CELLS,
        description="H3 cells of resolutions 0 to 12, mixed as you like. A point is held when the "
        "cell of resolution 12 that it lies in, or an ancestor of it, is in the set.",
    ),
]
Resolution = Annotated[
    int, Field(ge=0, le=12, description="With `geometry`: the cells whose centres lie in it")
]


class GeofenceBody(StrictModel):
    """What can be changed of a geofence.

    A polygon has `geometry`; a circle `lon`, `lat` and `radius_m`; a set of cells `cells`, or
    `geometry` and `resolution`.
    """

    name: Name
    group: Group | None = None
    attributes: Attributes = {}
    geometry: Geometry | None = None
    lon: Degrees | None = None
    lat: Degrees | None = None
    radius_m: Radius | None = None
    cells: CellTexts = []
    resolution: Resolution | None = None
    repair: Annotated[
        bool,
        Field(
            description="Make an invalid geometry valid, where edges cross or parts overlap, "
            "instead of refusing it; `repaired` tells what was wrong"
        ),
    ] = False


class NewGeofence(GeofenceBody):
    """A geofence to create."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "name": "Hongqiao yard",
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [
                            [[121.3, 31.18], [121.35, 31.18], [121.35, 31.22], [121.3, 31.18]]
                        ],
                    },
                    "attributes": {"kind": "depot"},
                },
                {
                    "name": "Pudong hospital",
                    "kind": "circle",
                    "group": "hospitals",
                    "lon": 121.54,
                    "lat": 31.22,
                    "radius_m": 30_000,
                },
                {"name": "Two cells", "kind": "cells", "cells": ["872830828ffffff"]},
            ]
        }
    }

    kind: NewKind = "polygon"
    external_id: Annotated[Name | None, Field(description="Yours; unique")] = None


class RepairView(StrictModel):
    """What was wrong with a geometry before it was repaired."""

    code: str
    detail: str
    pointer: str


class GeofenceSummary(StrictModel):
    """A geofence in a list; its geometry can be large and is fetched by id."""

    id: int
    name: str
    kind: Kind
    group: str | None
    external_id: str | None
    lon: Annotated[float | None, Field(description="Centre of a circle")]
    lat: float | None
    radius_m: float | None
    attributes: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class GeofenceView(GeofenceSummary):
    """A geofence as stored: shells run counter-clockwise, what crosses 180° is cut there.

    The geometry of circles and cells is what is drawn of them; it does not decide what they hold.
    """

    geometry: Geometry
    cells: Annotated[list[str] | None, Field(description="Of a set of cells or a catchment")] = None
    model: Annotated[
        dict[str, Any] | None,
        Field(
            description="Of service circles and catchments: the anchor and how they were made. "
            "What a catchment may expect (`expected`) is left out for callers who do not see all "
            "customers, and for those without the right to detail when it is fewer than 5"
        ),
    ] = None
    repaired: Annotated[
        list[RepairView], Field(description="What this request has repaired of the geometry")
    ] = []

    @property
    def body(self) -> GeofenceBody:
        """What of it can be changed; geometries are given anew or stay as they are."""
        return GeofenceBody(
            name=self.name,
            group=self.group,
            attributes=self.attributes,
            lon=self.lon,
            lat=self.lat,
            radius_m=self.radius_m,
        )


class GeofencesAt(StrictModel):
    """The geofences that hold a point."""

    items: list[GeofenceSummary]


class FencePoint(StrictModel):
    """A place to look up."""

    lon: Longitude
    lat: LatitudeBesideLon


class FenceBatch(StrictModel):
    """Places to look up at once."""

    # The first wrong point is enough to say: ten thousand of them take a second to list.
    points: Annotated[list[FencePoint], FailFast(), Field(min_length=1, max_length=MOST_POINTS)]
    group: Annotated[Group | None, Field(description="Fences of this group only")] = None


class FenceIds(StrictModel):
    """One list of geofence ids per place, in the order given; ids rise."""

    items: list[list[int]]


class GroupDeletion(StrictModel):
    """How many geofences a group had."""

    deleted: int


class FencedCustomers(BaseModel):
    """Customers inside a geofence as GeoJSON; follow the link `next` until there is none."""

    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]]
    links: list[Link]
    count: Annotated[int | None, Field(description="In all, when asked for")] = None


class GeofenceImport(BaseModel):
    """A GeoJSON FeatureCollection of fences.

    Polygons are fences as they are, points with a property `radius_m` are circles. The properties
    `name`, `external_id` and `group` are those of the fence; all others become its attributes.
    """

    type: Literal["FeatureCollection"]
    features: Annotated[
        list[dict[str, Any]], FailFast(), Field(min_length=1, max_length=MOST_IMPORTED)
    ]
    crs: Annotated[Any, Field(description="WGS 84, where it is given")] = None


class ImportReport(BaseModel):
    """What an import did."""

    created: int
    changed: Annotated[int, Field(description="Overwritten, because the external id was known")]
    unchanged: Annotated[int, Field(description="Known, and the same already")]
    repaired: list[RepairView]
