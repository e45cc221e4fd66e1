"""What a territory lookup looks like outside."""

from typing import Annotated

from pydantic import BaseModel, FailFast, Field

from app.http.values import Instant, LatitudeBesideLon, Longitude, RowId, StrictModel


class TerritoryRef(BaseModel):
    """A territory."""

    id: int
    code: str
    name: str


class RepRef(BaseModel):
    """The rep responsible at the instant asked for."""

    id: int
    name: str


class Placement(BaseModel):
    """The territory of one layer that holds a place; `cell` is the cell that decides."""

    layer_id: int
    plan_id: int
    publication_id: int
    territory: TerritoryRef
    rep: RepRef | None
    cell: str


class Placements(BaseModel):
    """The territories that hold a place, one per layer; none is white space."""

    items: list[Placement]


class LookupPoint(StrictModel):
    """A place to look up."""

    lon: Longitude
    lat: LatitudeBesideLon


class LookupBatch(StrictModel):
    """Places to look up at once."""

    # The first wrong point is enough to say: ten thousand of them take a second to list.
    points: Annotated[list[LookupPoint], FailFast(), Field(min_length=1, max_length=10_000)]
    layer: RowId | None = None
    as_of: Instant | None = None


class BatchPlacements(BaseModel):
    """One list of placements per place, in the order given."""

    items: list[list[Placement]]


class UncoveredCustomer(BaseModel):
    """A customer in no territory."""

    id: int
    external_id: str
    name: str
    lon: float
    lat: float
    class_: Annotated[str, Field(alias="class")]
    segment: str
    status: str
    work_minutes: Annotated[float, Field(description="Minutes per year")]
    cell: Annotated[
        str, Field(description="H3 cell at resolution 12", examples=["8c309963145c1ff"])
    ]


class UncoveredCount(BaseModel):
    """How many customers are in no territory of a layer; zero for callers of limited scope."""

    layer_id: int
    plan_id: Annotated[int | None, Field(description="The plan in force, if there is one")]
    customers: int | None
    by_class: dict[str, int | None]
