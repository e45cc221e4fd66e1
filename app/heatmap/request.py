"""What is asked of the heatmap."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from app.db.customer_filter import CustomerFilter
from app.db.heat_sums import Measure
from geo.bbox import BoundingBox

AnyMeasure = Literal[
    "customers", "density", "work_minutes", "potential", "revenue", "visit_gap",
    "hot_spot", "change",
]  # fmt: skip

EVERY_CUSTOMER = CustomerFilter()


@dataclass(frozen=True, slots=True)
class HeatRequest:
    """An empty filter accepts everything, no box means everywhere.

    `of` is what hot spots and changes are of, and else the measure itself. `fewest` is the number
    of customers below which a cell is not shown. Changes go from the month `since` to `until`, or
    to now.
    """

    measure: AnyMeasure
    bbox: BoundingBox | None = None
    customers: CustomerFilter = EVERY_CUSTOMER
    format: Literal["geojson", "cells"] = "geojson"
    fewest: int = 1
    of: Measure = "customers"
    rings: int = 1
    since: date | None = None
    until: date | None = None
