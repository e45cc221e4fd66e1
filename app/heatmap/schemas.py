"""What the heatmap answers; the database writes it, these models document and check it."""

from typing import Annotated, Literal

from geojson_pydantic import Feature, FeatureCollection, MultiPolygon, Polygon
from pydantic import BaseModel, Field

Measure = Literal["customers", "density", "work_minutes", "potential", "revenue"]

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
    float,
    Field(description="Sum over the cells; for density the mean over their area, per km²"),
]


class CellHeat(BaseModel):
    """A cell's number."""

    cell: Cell
    value: float


class HeatCollection(FeatureCollection[Feature[Polygon | MultiPolygon, CellHeat]]):
    """Hexagons with customers in them; one cut at 180° is a MultiPolygon."""

    measure: Measure
    resolution: Resolution
    breaks: Breaks
    total: Total


class HeatCells(BaseModel):
    """The same as a table, for clients that draw H3 cells themselves."""

    measure: Measure
    resolution: Resolution
    cells: Annotated[
        list[tuple[str, float]],
        Field(description="Cell and value", examples=[[["8630995afffffff", 112]]]),
    ]
    breaks: Breaks
    total: Total
