"""Vector tiles over HTTP."""

import hashlib
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Header, Path, Query, Request, Response

from app.auth import Anyone
from app.errors import NotFound
from app.http.dependencies import Reading
from app.http.etags import is_known
from app.http.routing import router
from app.tiles import customer_tiles, territory_tiles
from app.tiles.plans import find_plan
from app.tiles.schemas import CUSTOMERS, TERRITORIES, WORLD, TileJson, VectorLayer
from geo.errors import TileError
from geo.tiles import check_tile

routes = router("tiles")

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
# A tile changes with the customers, the plan in force and the caller: always asked for again, and
# answered by 304 when it is still the same.
CACHING = {"Cache-Control": "private, max-age=0, must-revalidate", "Vary": "Authorization"}
DESCRIPTIONS = {
    "customers": (CUSTOMERS, "Customers", 18),
    "territories": (TERRITORIES, "Territories", 14),
}

Tileset = Annotated[str, Path(description="customers or territories", examples=["territories"])]
PlanId = Annotated[
    int | None,
    Query(ge=1, lt=2**63, description="Drafts too; by default the plan in force of the layer"),
]
LayerId = Annotated[
    int | None,
    Query(ge=1, lt=2**63, description="By default the first layer with a plan in force"),
]


class TileResponse(Response):
    """A vector tile (Mapbox Vector Tile 2.1)."""

    media_type = MEDIA_TYPE


@routes.get("/tiles/{tileset}.json")
async def get_tileset(
    request: Request,
    tileset: Tileset,
    session: Reading,
    caller: Anyone,
    plan_id: PlanId = None,
    layer_id: LayerId = None,
) -> TileJson:
    """Describe a tileset (TileJSON 3.0.0); the address of its tiles repeats this query."""
    layer, title, finest = _described(tileset)
    plan = await find_plan(session, caller.scope, plan_id, layer_id)
    bounds = None
    if plan is not None and tileset == "territories":
        bounds = await territory_tiles.bounds(session, caller.scope, plan.id)
    query = urlencode(request.query_params.multi_items())
    address = f"{request.base_url}v1/tiles/{tileset}/{{z}}/{{x}}/{{y}}.mvt"
    return TileJson(
        name=title,
        description=layer.description,
        tiles=[address + (f"?{query}" if query else "")],
        maxzoom=finest,
        bounds=bounds or WORLD,
        vector_layers=[layer],
    )


@routes.get(
    "/tiles/{tileset}/{z}/{x}/{y}.mvt",
    response_class=TileResponse,
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
        204: {"description": "Nothing is in this tile"},
        304: {"description": "The tile is still what `If-None-Match` names"},
    },
)
async def get_tile(
    tileset: Tileset,
    z: Annotated[int, Path(description="Zoom, 0 to 22")],
    x: Annotated[int, Path(description="Column from the west")],
    y: Annotated[int, Path(description="Row from the north")],
    session: Reading,
    caller: Anyone,
    plan_id: PlanId = None,
    layer_id: LayerId = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a vector tile, at most 500 kB; its properties are described by the TileJSON."""
    _described(tileset)
    try:
        check_tile(z, x, y)
    except TileError as error:
        raise NotFound(error.message) from None
    plan = await find_plan(session, caller.scope, plan_id, layer_id)
    tile = b""
    if tileset == "customers":
        tile = await customer_tiles.read_tile(session, caller.scope, plan, z, x, y)
    elif plan is not None:
        tile = await territory_tiles.read_tile(session, caller.scope, plan.id, z, x, y)
    if not tile:
        return Response(status_code=204, headers=CACHING)
    headers = {**CACHING, "ETag": f'"{hashlib.sha256(tile).hexdigest()[:32]}"'}
    if is_known(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return TileResponse(tile, headers=headers)


def _described(tileset: str) -> tuple[VectorLayer, str, int]:
    if tileset not in DESCRIPTIONS:
        raise NotFound(f"There is no tileset {tileset[:100]!r}.")
    return DESCRIPTIONS[tileset]
