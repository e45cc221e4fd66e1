"""What service circles and catchments round a set of anchors look like outside."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, FailFast, Field, model_validator

from app.geofences.schemas import Degrees, Group, Radius
from app.http.values import Attributes, Name, StrictModel

MOST_ANCHORS = 6000
# Cells and pairs of a cell and an anchor that one model may have.
MOST_CATCHMENT_CELLS = 300_000
MOST_PAIRS = 8_000_000


class Anchor(StrictModel):
    """A place that a fence is made round."""

    name: Name
    lon: Degrees
    lat: Degrees
    attributes: Attributes = {}


class WeightedAnchor(Anchor):
    """An anchor that pulls."""

    attraction: Annotated[
        float,
        Field(
            gt=0,
            le=1e12,
            allow_inf_nan=False,
            description="Of any unit: floor area, beds, turnover; only ratios matter",
        ),
    ] = 1.0


class _AnchorBody(StrictModel):
    """Anchors may be a list, or GeoJSON points whose properties are the members of an anchor."""

    @model_validator(mode="before")
    @classmethod
    def _from_points(cls, given: Any) -> Any:
        anchors = given.get("anchors") if isinstance(given, dict) else None
        if isinstance(anchors, dict):
            return {**given, "anchors": _anchors_of(anchors)}
        return given


class ServiceCircles(_AnchorBody):
    """Service circles to create."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "group": "hospitals 30 km",
                    "radius_m": 30_000,
                    "anchors": [{"name": "Ruijin", "lon": 121.467, "lat": 31.213}],
                }
            ]
        }
    }

    group: Group
    radius_m: Radius
    anchors: Annotated[list[Anchor], FailFast(), Field(min_length=1, max_length=MOST_ANCHORS)]


class Catchments(_AnchorBody):
    """Catchments to create, by Huff's gravity model."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "group": "trade areas",
                    "max_distance_m": 20_000,
                    "resolution": 7,
                    "anchors": [
                        {"name": "Xujiahui", "lon": 121.437, "lat": 31.195, "attraction": 3},
                        {"name": "Wujiaochang", "lon": 121.514, "lat": 31.299},
                    ],
                }
            ]
        }
    }

    group: Group
    resolution: Annotated[int, Field(ge=4, le=9, description="Of the cells that are assigned")] = 7
    distance_exponent: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 2.0
    max_distance_m: Annotated[
        float,
        Field(gt=0, le=100_000, allow_inf_nan=False, description="Beyond it an anchor has no pull"),
    ]
    anchors: Annotated[
        list[WeightedAnchor], FailFast(), Field(min_length=1, max_length=MOST_ANCHORS)
    ]


class Sums(BaseModel):
    """Of customers that are not inactive; null where they are too few for the caller to be told."""

    customers: int | None
    work_minutes: float | None
    potential: float | None


class FenceCoverage(BaseModel):
    """What one fence of the group covers; `exclusively` what no other one does."""

    geofence_id: int
    name: str
    customers: int | None
    exclusively: int | None


class Overlap(BaseModel):
    """Customers by the number of fences that hold them."""

    none: int | None
    one: int | None
    two: int | None
    three_or_more: int | None


class Coverage(BaseModel):
    """What a group of fences covers of the customers that the caller may see."""

    group: str
    n_geofences: int
    area_km2: Annotated[float, Field(description="Of the union of what is drawn, on the globe")]
    total: Sums
    covered: Sums
    share: Annotated[
        dict[Literal["customers", "work_minutes", "potential"], float | None],
        Field(description="Covered, of the total; null where the total is 0 or not shown"),
    ]
    covered_by: Overlap
    geofences: list[FenceCoverage]


class WithoutReport(BaseModel):
    """Service circles that were made, although their report is not to be had."""

    group: str
    n_geofences: int
    no_report: Annotated[str, Field(description="Why there is no report of their coverage")]


class Demand(BaseModel):
    """What a catchment may expect: the sum over cells of probability times what is there."""

    customers: float
    work_minutes: float
    potential: float


class Catchment(BaseModel):
    """One anchor's; without a cell where another anchor is always the likelier one."""

    name: str
    geofence_id: int | None
    n_cells: int
    expected: Demand


class CatchmentReport(BaseModel):
    """The catchments of a group."""

    group: str
    n_cells: int
    catchments: list[Catchment]


def _anchors_of(collection: dict[str, Any]) -> Any:
    """Return the points of a FeatureCollection as anchors; whatever is none is refused as such."""
    features = collection.get("features")
    if collection.get("type") != "FeatureCollection" or not isinstance(features, list):
        raise ValueError("anchors must be a list, or a FeatureCollection of points")
    return [_anchor_of(feature) for feature in features[: MOST_ANCHORS + 1]]


def _anchor_of(feature: Any) -> Any:
    if not isinstance(feature, dict):
        return feature
    geometry, properties = feature.get("geometry"), feature.get("properties")
    place = geometry.get("coordinates") if isinstance(geometry, dict) else None
    is_point = isinstance(geometry, dict) and geometry.get("type") == "Point"
    if not (is_point and isinstance(place, list) and len(place) >= 2):
        raise ValueError("anchors must be points")
    given = properties if isinstance(properties, dict) else {}
    known = {name: given[name] for name in ("name", "attraction") if name in given}
    others = {name: value for name, value in given.items() if name not in known}
    return {**known, "lon": place[0], "lat": place[1], "attributes": others}
