"""What a TileJSON document looks like, and what the tiles hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.tiles.customer_tiles import SINGLE_ZOOM

WORLD = (-180.0, -85.0511, 180.0, 85.0511)


class VectorLayer(BaseModel):
    """A layer of the tiles and its properties."""

    id: str
    description: str
    fields: dict[str, str]


class TileJson(BaseModel):
    """TileJSON 3.0.0."""

    tilejson: Literal["3.0.0"] = "3.0.0"
    name: str
    description: str
    attribution: str = "Bailiwick"
    scheme: Literal["xyz"] = "xyz"
    tiles: Annotated[
        list[str],
        Field(examples=[["http://127.0.0.1:8000/v1/tiles/customers/{z}/{x}/{y}.mvt?layer_id=1"]]),
    ]
    minzoom: int = 0
    maxzoom: int
    bounds: tuple[float, float, float, float] = WORLD
    vector_layers: list[VectorLayer]


CUSTOMERS = VectorLayer(
    id="customers",
    description=f"Below zoom {SINGLE_ZOOM}, and where customers crowd, one point per cell with "
    "its sums; else one per customer. Inactive customers are left out.",
    fields={
        "n": "Number of customers at the point",
        "work_minutes": "Minutes per year, their sum",
        "id": "Single customers only: id, also the id of the feature",
        "external_id": "Single customers only",
        "name": "Single customers only",
        "class": "Single customers only: service class S, A, B, C or D",
        "segment": "Single customers only",
        "status": "Single customers only: lead or active",
        "territory_id": "Single customers in a territory of a plan that was proposed or published",
        "code": "Code of that territory",
    },
)
TERRITORIES = VectorLayer(
    id="territories",
    description="Territories of the plan, one feature per tile for each",
    fields={
        "territory_id": "Id, also the id of the feature",
        "code": "Code, unique in the plan",
        "name": "Name",
        "colour": "Number of a colour; neighbours have different ones",
        "rep_name": "Who is responsible now; absent when vacant",
        "customers": "Number of customers when the plan was made",
        "work_minutes": "Minutes per year when the plan was made",
        "imbalance": "(work - target) / target when the plan was made",
    },
)
