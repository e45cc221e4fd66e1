"""What a search answers; the database writes it, these models document and check it."""

from datetime import datetime
from typing import Annotated, Any

from geojson_pydantic import Feature, FeatureCollection, Point
from pydantic import BaseModel, FailFast, Field, model_validator

from app.db.customer_filter import CustomerFilter
from app.http.paging import Link
from app.http.values import (
    Label,
    Latitude,
    Longitude,
    NoTruth,
    RowId,
    ServiceClass,
    Status,
    StrictModel,
    refuse_swapped,
)

LARGEST_RADIUS_M = 500_000
MOST_PLACES = 1_000
MOST_AREAS = 100
MOST_FOUND = 10_000


class SearchFilters(StrictModel):
    """Every filter given must hold; values of one are alternatives, but of `tag` all hold."""

    class_: Annotated[list[ServiceClass], Field(alias="class", max_length=50)] = []
    segment: Annotated[list[Label], Field(max_length=50)] = []
    tag: Annotated[list[Label], Field(max_length=50, description="All of these")] = []
    status: Annotated[list[Status], Field(max_length=50, description="By default any")] = []
    not_visited_days: Annotated[
        int | None, Field(ge=0, le=36_500, description="Never visited, or not for so many days")
    ] = None
    territory_id: RowId | None = None
    rep_id: RowId | None = None

    def as_filter(self) -> CustomerFilter:
        """Return the filter as repositories take it."""
        return CustomerFilter(
            classes=tuple(self.class_),
            segments=tuple(self.segment),
            tags=tuple(self.tag),
            statuses=tuple(self.status),
            not_visited_days=self.not_visited_days,
            territory_id=self.territory_id,
            rep_id=self.rep_id,
        )


class SearchedArea(SearchFilters):
    """An area to search in."""

    geometry: Annotated[
        dict[str, Any],
        Field(description="GeoJSON Polygon or MultiPolygon in WGS 84, up to 50,000 vertices"),
    ]


class AreaBatch(SearchFilters):
    """Areas to search in at once; areas times `limit` are at most 10,000."""

    areas: Annotated[
        list[dict[str, Any]],
        FailFast(),
        Field(
            min_length=1,
            max_length=MOST_AREAS,
            description="GeoJSON Polygons or MultiPolygons in WGS 84, up to 50,000 vertices "
            "together",
        ),
    ]
    limit: Annotated[int, Field(ge=1, le=1000, description="The first of each area, by id")] = 100


class SearchedPlace(StrictModel):
    """A place to search from."""

    lon: Longitude
    lat: Latitude

    @model_validator(mode="before")
    @classmethod
    def _is_not_swapped(cls, given: Any) -> Any:
        if isinstance(given, dict):
            refuse_swapped(given.get("lon"), given.get("lat"))
        return given


class SearchedPlaces(SearchFilters):
    """Places to search from at once."""

    points: Annotated[list[SearchedPlace], FailFast(), Field(min_length=1, max_length=MOST_PLACES)]

    @property
    def places(self) -> list[tuple[float, float]]:
        """Longitude and latitude of each place."""
        return [(point.lon, point.lat) for point in self.points]


class RadiusBatch(SearchedPlaces):
    """Places and how far from each to search; places times `limit` are at most 10,000."""

    radius_m: Annotated[float, Field(gt=0, le=LARGEST_RADIUS_M, allow_inf_nan=False), NoTruth]
    limit: Annotated[int, Field(ge=1, le=1000, description="The nearest ones of each place")] = 10


class NearestBatch(SearchedPlaces):
    """Places and how many to find near each; places times `k` are at most 10,000."""

    k: Annotated[int, Field(ge=1, le=1000, description="How many of each place")] = 10


class CustomerInArea(BaseModel):
    """A customer."""

    id: int
    external_id: str
    name: str
    class_: Annotated[str, Field(alias="class")]
    segment: str
    tags: list[str]
    status: str
    work_minutes: Annotated[float, Field(description="Minutes per year")]
    potential: float
    last_visit_at: datetime | None


class FoundCustomer(CustomerInArea):
    """A customer and how far it is."""

    distance_m: Annotated[float, Field(description="Metres on the WGS 84 ellipsoid, to 0.1")]


class FoundCustomers(FeatureCollection[Feature[Point, FoundCustomer]]):
    """Customers from the nearest to the farthest."""

    numberReturned: int  # noqa: N815 (the name in OGC API Features)
    links: list[Link]


class CustomersInArea(FeatureCollection[Feature[Point, CustomerInArea]]):
    """Customers in the order of their ids; to get the next page, send the same body to its link."""

    numberReturned: int  # noqa: N815 (the name in OGC API Features)
    links: list[Link]


class CustomersInOneArea(FeatureCollection[Feature[Point, CustomerInArea]]):
    """The first customers of one of several areas, in the order of their ids."""

    numberReturned: int  # noqa: N815 (the name in OGC API Features)


class FoundInEachArea(BaseModel):
    """One collection per area, in the order given."""

    items: list[CustomersInOneArea]


class CustomersAround(FeatureCollection[Feature[Point, FoundCustomer]]):
    """Customers around one of several places, from the nearest to the farthest."""

    numberReturned: int  # noqa: N815 (the name in OGC API Features)


class FoundAroundEach(BaseModel):
    """One collection per place, in the order given."""

    items: list[CustomersAround]
