"""Vector tiles over HTTP."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Header, Path, Request, Response

from app.auth import Anyone, Reading
from app.auth.reticence import refuse_named_heat
from app.db.generation import read_generations
from app.db.session import AnyReader
from app.errors import NotFound
from app.http.dependencies import base_address, database_of
from app.http.etags import entity_tag
from app.http.routing import router
from app.tiles.describing import describe
from app.tiles.drawing import Wanted, draw
from app.tiles.known_tiles import (
    MEDIA_TYPE,
    TEMPLATE,
    TileResponse,
    caching_of,
    keep,
    tag_of,
    tile_response,
)
from app.tiles.plan_cells import KnownPlans
from app.tiles.plans import find_plan
from app.tiles.schemas import TileJson
from app.tiles.style import style_of
from app.tiles.tilesets import (
    TILESETS,
    Asked,
    LayerId,
    PlanId,
    asked_of,
    find_tileset,
    version_of,
)
from geo.errors import TileError
from geo.tiles import check_tile

routes = router("tiles")

TilesetName = Annotated[
    str,
    Path(description="customers, heat, cells, territories or geofences", examples=["territories"]),
]
Query = Annotated[Asked, Depends(asked_of)]


async def reader_of(request: Request, caller: Anyone) -> AsyncIterator[AnyReader]:
    """Give the endpoint one read-only snapshot; all is prepared, so it needs no session."""
    async with database_of(request).glancing() as glance, glance.snapshot():
        yield glance


@routes.get("/tiles/style.json")
async def get_style(
    request: Request,
    session: Reading,
    caller: Anyone,
    plan_id: PlanId = None,
    layer_id: LayerId = None,
) -> dict[str, Any]:
    """Return a style of all tilesets (MapLibre Style Specification, version 8).

    MapLibre opens it as it is, also below layers of deck.gl, and QGIS with the tiles of each
    tileset. It needs no network of others, so it has no glyphs and writes no names. Clients send
    their credential with each tile.
    """
    plan = await find_plan(session, caller.scope, plan_id, layer_id)
    query, base = request.query_params.multi_items(), base_address(request)
    described = {
        name: await describe(session, name, plan, caller, query, base) for name in TILESETS
    }
    return style_of(described, "Bailiwick", None if plan is None else plan.id)


@routes.get("/tiles/{tileset}.json")
async def get_tileset(
    request: Request, tileset: TilesetName, session: Reading, caller: Anyone, asked: Query
) -> TileJson:
    """Describe a tileset (TileJSON 3.0.0); the address of its tiles repeats this query.

    When it names a plan that is no draft, the address holds the version of the plan as well, and
    clients may keep its tiles for good.
    """
    described = find_tileset(tileset, request)
    refuse_named_heat(caller, asked.customers)
    plan = None
    if "plan_id" in described.takes:
        plan = await find_plan(session, caller.scope, asked.plan_id, asked.layer_id)
    query = request.query_params.multi_items()
    return await describe(session, tileset, plan, caller, query, base_address(request))


@routes.get(
    TEMPLATE.removeprefix("/v1"),
    response_class=TileResponse,
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
        204: {"description": "Nothing is in this tile"},
        304: {"description": "The tile is still what `If-None-Match` names"},
        307: {"description": "The plan is another than `v` says: the same tile without it"},
    },
)
async def get_tile(
    request: Request,
    tileset: TilesetName,
    z: Annotated[int, Path(description="Zoom, 0 to 22")],
    x: Annotated[int, Path(description="Column from the west")],
    y: Annotated[int, Path(description="Row from the north")],
    reader: Annotated[AnyReader, Depends(reader_of, scope="function")],
    caller: Anyone,
    asked: Query,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a vector tile, at most 500 kB; its properties are described by the TileJSON.

    Heat by `status`, `tag`, `not_visited_days`, `territory_id` or `rep_id` is refused where a tile
    would have more than 100,000 customers read; viewers may not ask for the last two.
    """
    described = find_tileset(tileset, request)
    refuse_named_heat(caller, asked.customers)
    try:
        check_tile(z, x, y)
    except TileError as error:
        raise NotFound(error.message) from None
    known: KnownPlans = request.app.state.known_plans
    generations = await read_generations(reader)
    etag = tag_of(request.scope, tileset, caller, generations)
    plan = None
    if "plan_id" in described.takes:
        plan = await known.find_shown(
            reader, caller.scope, asked.plan_id, asked.layer_id, generations
        )
    if asked.v is not None:
        version = None if plan is None else version_of(tileset, plan, caller)
        if asked.v != version or asked.plan_id is None:
            return _without_version(request)
    drawn = await draw(reader, known, Wanted(tileset, (z, x, y), asked, plan, caller))
    if asked.has_own_tag:
        etag = entity_tag(drawn)
    else:
        keep(request, etag, drawn)
    return tile_response(drawn, if_none_match, {**caching_of(request.scope), "ETag": etag})


def _without_version(request: Request) -> Response:
    """Send the caller to the tile of the plan as it is now."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "v"]
    address = request.url.path + (f"?{urlencode(query)}" if query else "")
    return Response(status_code=307, headers={"Location": address, "Cache-Control": "no-store"})
