"""What a TileJSON document looks like, and what the tiles hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.db.heat_sums import FINEST
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
        "rep_name": "Who is responsible now; absent when vacant, and with `v`",
        "customers": "Number of customers when the plan was made; absent where there were one to "
        "four, for callers without the right to detail and in PMTiles",
        "work_minutes": "Minutes per year when the plan was made, where `customers` is told",
        "imbalance": "(work - target) / target when the plan was made, where `customers` is told",
    },
)
CELLS = VectorLayer(
    id="cells",
    description="Cells of the plan with their territory; at low zooms larger cells, with the "
    "territory that most of their ground belongs to",
    fields={
        "cell": "H3 cell",
        "territory_id": "Id of its territory",
        "code": "Code of the territory",
        "colour": "Number of the territory's colour; neighbours have different ones",
        "n_cells": "Number of the plan's cells that it stands for",
        "customers": "Number of customers that the plan's layer accepts now in the plan's cells "
        "that it stands for, of whichever territory. Absent where there are none, or fewer than "
        "five for callers without the right to detail; for limited callers; for layers that "
        "choose by tag or status; in tiles of an address with `v`; and where it stands for cells "
        f"finer than resolution {FINEST}, where sums end, that do not fill a larger one",
        "work_minutes": "Minutes per year, where `customers` is told",
    },
)
HEAT = VectorLayer(
    id="heat",
    description="Sums over customers per H3 cell. A cell is in every tile that it touches",
    fields={
        "cell": "H3 cell",
        "customers": "Number of customers",
        "value": "The measure asked for",
    },
)
GEOFENCES = VectorLayer(
    id="geofences",
    description="Geofences; where they crowd, the smallest ones are left out at low zooms",
    fields={
        "id": "Id, also the id of the feature",
        "name": "Name",
        "kind": "polygon, circle, cells, service_circle or catchment",
        "group": "Name of its group, if it has one",
    },
)
