"""OGC API Features and Tiles over HTTP.

The addresses are described at `/ogc/api` and not in the application's own document: they are those
of a standard, with refusals of their own.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from morecantile import Tile

from app.errors import NotFound
from app.http.dependencies import base_address
from app.http.places import GEOJSON
from app.ogc import documents
from app.ogc.description import describe
from app.ogc.documents import JSON, MVT, OPENAPI, SCHEME, Document, Extent, link
from app.ogc.guard import MAY_READ, OgcRoute, Reader, shown_to, view_of
from app.ogc.questions import Question, box_of, interval_of, value_of
from app.ogc.reader import Reader as Connections
from app.ogc.views import MOST_COUNTED, NUMBERS, View
from geo.errors import TileError
from geo.tiles import check_tile

routes = APIRouter(
    prefix="/ogc",
    tags=["ogc"],
    route_class=OgcRoute,
    # Here and not only where the caller is needed: so it is decided before the query is looked at.
    dependencies=[MAY_READ],
    include_in_schema=False,
)

DEFAULT_LIMIT, LARGEST_LIMIT = 100, 10_000
# Fewer and fewer, until they take no more than a tile may.
MOST_IN_TILE, LARGEST_TILE_BYTES = (10_000, 5_000, 2_500, 1_000, 250, 50), 500_000


async def connections_of(request: Request, caller: Reader) -> Connections:
    """Return the connections of `/ogc`, for a caller that may be told whether there are any.

    Raises
    ------
    NotFound
        Where `/ogc` is off.
    """
    connections: Connections = request.app.state.ogc
    connections.check_is_on()
    return connections


async def ogc_address(request: Request) -> str:
    """Return what the addresses of `/ogc` begin with."""
    return f"{base_address(request)}/ogc"


async def scheme_of(scheme: str) -> str:
    """Return the tiling scheme of an address.

    Raises
    ------
    NotFound
        When it is none of ours.
    """
    if scheme != SCHEME:
        raise NotFound(f"There is no such tiling scheme; there is {SCHEME}.")
    return scheme


Base = Annotated[str, Depends(ogc_address)]
InDatabase = Annotated[Connections, Depends(connections_of)]
Shown = Annotated[View, Depends(view_of)]
Scheme = Annotated[str, Depends(scheme_of)]
AsJson = Annotated[Literal["json"], Query()]
AsGeoJson = Annotated[Literal["json", "geojson"], Query()]
ItemId = Annotated[str, Path()]


@routes.get("")
@routes.get("/")
async def landing(base: Base, caller: Reader, database: InDatabase, f: AsJson = "json") -> Response:
    """Say where everything is."""
    return _json(documents.landing(base))


@routes.get("/conformance")
async def conformance(caller: Reader, database: InDatabase, f: AsJson = "json") -> Response:
    """Name the parts of the standards that are kept."""
    return _json({"conformsTo": documents.CONFORMS_TO})


@routes.get("/api")
async def api(base: Base, caller: Reader, database: InDatabase, f: AsJson = "json") -> Response:
    """Describe all this as OpenAPI 3.0."""
    return _json(describe(base, shown_to(caller).values(), LARGEST_LIMIT, DEFAULT_LIMIT), OPENAPI)


@routes.get("/collections")
async def collections(
    base: Base, caller: Reader, database: InDatabase, f: AsJson = "json"
) -> Response:
    """List the collections that the caller may see."""
    async with database.connection() as connection:
        extents = [(view, await _extent(connection, view)) for view in shown_to(caller).values()]
    return _json(documents.collections(base, extents))


@routes.get("/collections/{collection_id}")
async def collection(base: Base, view: Shown, database: InDatabase, f: AsJson = "json") -> Response:
    """Describe a collection."""
    async with database.connection() as connection:
        extent = await _extent(connection, view)
    return _json(documents.collection(base, view, extent))


@routes.get("/collections/{collection_id}/items")
async def items(
    request: Request,
    base: Base,
    view: Shown,
    database: InDatabase,
    limit: Annotated[int, Query(ge=1, le=LARGEST_LIMIT)] = DEFAULT_LIMIT,
    after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    bbox: Annotated[str | None, Query(max_length=300)] = None,
    when: Annotated[str | None, Query(max_length=100, alias="datetime")] = None,
    f: AsGeoJson = "geojson",
) -> Response:
    """Return features in the order of their ids, as many as asked for.

    The next page begins after the last id, so that every page costs the same and a feature that is
    added or removed meanwhile shifts none.
    """
    question = Question(limit, after, box_of(bbox), interval_of(when), _values(request, view))
    page, count = view.page_statement(question), view.count_statement(question)
    async with database.connection() as connection:
        matched: int = await connection.fetchval(count.text, *count.values)
        rows = await connection.fetch(page.text, *page.values)
    features = [_feature(row) for row in rows[:limit]]
    document: Document = {
        "type": "FeatureCollection",
        "timeStamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "numberReturned": len(features),
        "links": _links(request, f"{base}/collections/{view.id}", view.title),
        "features": features,
    }
    if matched <= MOST_COUNTED:
        document["numberMatched"] = matched
    if len(rows) > limit:
        query = {**request.query_params, "after": features[-1]["id"]}
        address = f"{base}/collections/{view.id}/items?{urlencode(query)}"
        document["links"].append(link(address, "next", GEOJSON, "The next page"))
    return _json(document, GEOJSON)


@routes.get("/collections/{collection_id}/items/{item_id}")
async def item(
    base: Base, view: Shown, item_id: ItemId, database: InDatabase, f: AsGeoJson = "geojson"
) -> Response:
    """Return one feature."""
    is_id = item_id.isascii() and item_id.isdecimal() and len(item_id) < 19
    row = None
    if is_id:
        statement = view.item_statement(int(item_id))
        async with database.connection() as connection:
            row = await connection.fetchrow(statement.text, *statement.values)
    if row is None:
        raise NotFound(f"There is no such feature in {view.id}.")
    address = f"{base}/collections/{view.id}"
    links = [
        link(f"{address}/items/{item_id}", "self", GEOJSON, "This document"),
        link(address, "collection", JSON, view.title),
    ]
    return _json({**_feature(row), "links": links}, GEOJSON)


@routes.get("/collections/{collection_id}/tiles")
async def tilesets(base: Base, view: Shown, database: InDatabase, f: AsJson = "json") -> Response:
    """List the tilesets of a collection."""
    return _json(documents.tilesets(base, view))


@routes.get("/collections/{collection_id}/tiles/{scheme}")
async def tileset(
    base: Base, view: Shown, scheme: Scheme, database: InDatabase, f: AsJson = "json"
) -> Response:
    """Describe the tiles of a collection."""
    return _json(documents.tileset(base, view))


@routes.get("/collections/{collection_id}/tiles/{scheme}/{tile_matrix}/{tile_row}/{tile_col}")
async def tile(
    view: Shown,
    scheme: Scheme,
    tile_matrix: int,
    tile_row: int,
    tile_col: int,
    database: InDatabase,
    f: Annotated[Literal["mvt"], Query()] = "mvt",
) -> Response:
    """Return a vector tile of up to 10,000 features and 500 kB, those with the lowest ids."""
    try:
        check_tile(tile_matrix, tile_col, tile_row)
    except TileError as error:
        raise NotFound(error.message) from None
    place = Tile(tile_col, tile_row, tile_matrix)
    async with database.connection() as connection:
        for most in MOST_IN_TILE:
            content = await view.get_tile(
                connection, tms=documents.scheme(), tile=place, limit=most
            )
            if len(content) <= LARGEST_TILE_BYTES:
                break
    return Response(content, media_type=MVT)


@routes.get("/tileMatrixSets")
async def tile_matrix_sets(
    base: Base, caller: Reader, database: InDatabase, f: AsJson = "json"
) -> Response:
    """List the tiling schemes."""
    return _json(documents.tile_matrix_sets(base))


@routes.get("/tileMatrixSets/{scheme}")
async def tile_matrix_set(
    caller: Reader, scheme: Scheme, database: InDatabase, f: AsJson = "json"
) -> Response:
    """Describe a tiling scheme."""
    return _json(documents.tile_matrix_set())


def _values(request: Request, view: View) -> dict[str, str | int]:
    """Return the values that properties should have."""
    kinds = {column.name: column.type for column in view.properties}
    return {
        name: value_of(name, text, is_number=kinds[name] in NUMBERS)
        for name, text in request.query_params.items()
        if name in view.filterable
    }


async def _extent(connection: Any, view: View) -> Extent:
    statement = view.extent_statement()
    row = await connection.fetchrow(statement.text, *statement.values)
    return None if row is None else tuple(row)


def _links(request: Request, address: str, title: str) -> list[Document]:
    query = f"?{urlencode(request.query_params)}" if request.query_params else ""
    return [
        link(f"{address}/items{query}", "self", GEOJSON, "This document"),
        link(address, "collection", JSON, title),
    ]


def _feature(row: Any) -> Document:
    properties = dict(row)
    geometry, number = properties.pop("tipg_geom"), properties.pop("tipg_id")
    return {"type": "Feature", "id": number, "geometry": geometry, "properties": properties}


def _json(document: Document, media_type: str = JSON) -> Response:
    return Response(orjson.dumps(document), media_type=media_type)
