"""What the heatmap answers; the database writes it, these models document and check it."""

from datetime import date, datetime
from typing import Annotated

from geojson_pydantic import Feature, FeatureCollection, MultiPolygon, Polygon
from pydantic import BaseModel, BeforeValidator, Field

from app.db.heat_sums import Measure
from app.heatmap.request import AnyMeasure


def _first_of_month(month: object) -> object:
    if not isinstance(month, str) or len(month) != len("2026-01"):
        raise ValueError("must be a month as in 2026-01")
    return f"{month}-01"


Month = Annotated[
    date,
    BeforeValidator(_first_of_month),
    Field(json_schema_extra={"format": "year-month", "examples": ["2026-01"]}),
]
Cell = Annotated[str, Field(description="H3 cell", examples=["8630995afffffff"])]
Resolution = Annotated[int, Field(description="H3 resolution of the cells", examples=[6])]
Breaks = Annotated[
    list[float],
    Field(
        description="Up to 6 values between the quantile classes, ascending: a class begins at "
        "each of them, and the first class lies below them all",
        examples=[[2, 5, 9, 17, 40, 112]],
    ),
]
Total = Annotated[
    float | None,
    Field(
        description="Sum over the cells; for density the mean over their area, per km²; for "
        "visit_gap the share of all their customers; null for hot_spot and change of visit_gap"
    ),
]
Of = Annotated[Measure | None, Field(description="What hot spots and changes are of")]
AsOf = Annotated[
    date | None,
    Field(description="For visit_gap: visits due before this local date are overdue"),
]
Generation = Annotated[
    int | None,
    Field(description="Grows with every change of the sums; null where customers are read live"),
]
FreshAt = Annotated[
    datetime | None,
    Field(description="What changed before this is in it; null where customers are read live"),
]


class CellHeat(BaseModel):
    """A cell's number."""

    cell: Cell
    value: float


class HeatCollection(FeatureCollection[Feature[Polygon | MultiPolygon, CellHeat]]):
    """Hexagons with customers in them; one cut at 180° is a MultiPolygon."""

    measure: AnyMeasure
    of: Of
    resolution: Resolution
    breaks: Breaks
    total: Total
    as_of: AsOf
    generation: Generation
    fresh_at: FreshAt


class HeatCells(BaseModel):
    """The same as a table, for clients that draw H3 cells themselves."""

    measure: AnyMeasure
    of: Of
    resolution: Resolution
    cells: Annotated[
        list[tuple[str, float]],
        Field(description="Cell and value", examples=[[["8630995afffffff", 112]]]),
    ]
    breaks: Breaks
    total: Total
    as_of: AsOf
    generation: Generation
    fresh_at: FreshAt
