"""What a search answers; the database writes it, these models document and check it."""

from datetime import datetime
from typing import Annotated

from geojson_pydantic import Feature, FeatureCollection, Point
from pydantic import BaseModel, Field

from app.http.paging import Link


class FoundCustomer(BaseModel):
    """A customer and how far it is."""

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
    distance_m: Annotated[float, Field(description="Metres on the WGS 84 ellipsoid, to 0.1")]


class FoundCustomers(FeatureCollection[Feature[Point, FoundCustomer]]):
    """Customers from the nearest to the farthest."""

    numberReturned: int  # noqa: N815 (the name in OGC API Features)
    links: list[Link]
