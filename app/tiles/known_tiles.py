"""Answering for tiles that are known, before anything is routed, parsed or drawn.

Map clients ask again for every tile that they have, and many ask for the same ones. What such an
answer depends on is the address, the caller and the generation of the data, so this stands before
the router, which costs more than all of that; whatever it does not answer goes on to the endpoint.
"""

import hashlib
import re
from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.auth import Caller
from app.db.generation import GenerationReader, Generations, generation_key
from app.errors import ServiceError
from app.http.etags import is_known
from app.tiles.kept_tiles import Address, KeptTiles
from app.tiles.tilesets import TILESETS

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
TILE = re.compile(r"/v1/tiles/([a-z]+)/\d+/\d+/\d+\.mvt")
TEMPLATE = "/v1/tiles/{tileset}/{z}/{x}/{y}.mvt"
# A tile changes with the data, the plan in force and the caller: always asked for again, and
# answered by 304 when it is still the same.
CACHING = {"Cache-Control": "private, max-age=0, must-revalidate", "Vary": "Authorization"}
LASTING = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Authorization"}


def tile_response(drawn: bytes, if_none_match: str | None, headers: dict[str, str]) -> Response:
    """Return the answer that holds a tile, or says that none is there or that the caller has it."""
    if not drawn:
        return Response(status_code=204, headers=headers)
    if is_known(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return TileResponse(drawn, headers=headers)


class TileResponse(Response):
    """A vector tile (Mapbox Vector Tile 2.1)."""

    media_type = MEDIA_TYPE


class TileRoute:
    """What the log and the counters call the route that would have answered."""

    path_format = TEMPLATE


def caching_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a tile: those with a version in their address stay what they are."""
    return LASTING if _has_version(scope) else CACHING


def tag_of(scope: Scope, tileset: str, caller: Caller, generations: Generations) -> str:
    """Return the ETag of a tile, with its quotes, without drawing it.

    It names all that a tile is made of: the address, what the caller may see, and the generation of
    the data, which decides which plan is in force and whose territories are whose.
    """
    subjects = TILESETS[tileset].subjects
    data = "" if _has_version(scope) else generation_key(generations, subjects)
    facts = (__version__, address_of(scope), caller.scope.key, caller.sees_detail, data)
    return f'"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}"'


class KnownTiles:
    """The innermost middleware: limits, logs and counters apply to what it answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = None
        if scope["type"] == "http" and scope["method"] == "GET":
            found = TILE.fullmatch(scope["path"])
            if found is not None and found[1] in TILESETS:
                response = await _known(Request(scope, receive), found[1])
        await (response or self._app)(scope, receive, send)


async def _known(request: Request, tileset: str) -> Response | None:
    """Return the answer to a caller who has the tile, or the tile itself if it is kept.

    None leaves it to the endpoint.
    """
    given = request.headers.get("if-none-match")
    state, scope = request.app.state, request.scope
    kept: KeptTiles = state.kept_tiles
    # Whether there is a tile at all is not known here.
    may_have = given is not None and "*" not in given
    if not may_have and not kept.may_hold(address_of(scope)):
        return None
    try:
        caller: Caller = await state.gate(request)
        if "read" not in caller.may:
            return None
        reader: GenerationReader = state.generations
        etag = tag_of(scope, tileset, caller, await reader.read())
        # Whoever holds this tag was given the tile, so what its address names exists; and who may
        # see what it was kept for has the same tag.
        has, drawn = may_have and is_known(given, etag), kept.find(etag)
        if not has and drawn is None:
            return None
        with state.admission.admitted(caller.identity, "read"):
            pass
    except ServiceError:
        # The endpoint meets it again and knows how to say it.
        return None
    scope["route"] = TileRoute
    headers = {**caching_of(scope), "ETag": etag}
    if has:
        return Response(status_code=304, headers=headers)
    return tile_response(drawn or b"", given, headers)


def keep(request: Request, tag: str, drawn: bytes) -> None:
    """Keep a tile for the next who asks.

    One with a version in its address is not: the plan may have another one while the tag stays.
    """
    kept: KeptTiles = request.app.state.kept_tiles
    if not _has_version(request.scope):
        kept.keep(address_of(request.scope), tag, drawn)


def address_of(scope: Scope) -> Address:
    """Return what names the same tile, for callers who may see the same."""
    return scope["path"], scope["query_string"]


def _has_version(scope: Scope) -> bool:
    query: bytes = scope["query_string"]
    return b"v=" in query and "v" in parse_qs(query.decode("latin-1"))
