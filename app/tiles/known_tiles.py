"""Answering 304 for tiles that have not changed, before anything is routed, parsed or drawn.

Map clients ask again for every tile that they have. What such an answer depends on is the address,
the caller and the generation of the data, so this stands before the router, which costs more than
all of that; whatever it does not answer goes on to the endpoint.
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
from app.tiles.tilesets import TILESETS

TILE = re.compile(r"/v1/tiles/([a-z]+)/\d+/\d+/\d+\.mvt")
TEMPLATE = "/v1/tiles/{tileset}/{z}/{x}/{y}.mvt"
# A tile changes with the data, the plan in force and the caller: always asked for again, and
# answered by 304 when it is still the same.
CACHING = {"Cache-Control": "private, max-age=0, must-revalidate", "Vary": "Authorization"}
LASTING = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Authorization"}


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
    address = (scope["path"], scope["query_string"])
    facts = (__version__, address, caller.scope.key, caller.sees_detail, data)
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
                response = await _not_modified(Request(scope, receive), found[1])
        await (response or self._app)(scope, receive, send)


async def _not_modified(request: Request, tileset: str) -> Response | None:
    """Return the answer to a caller who has the tile; None leaves it to the endpoint."""
    given = request.headers.get("if-none-match")
    # Whether there is a tile at all is not known here.
    if given is None or "*" in given:
        return None
    state = request.app.state
    try:
        caller: Caller = await state.gate(request)
        if "read" not in caller.may:
            return None
        reader: GenerationReader = state.generations
        etag = tag_of(request.scope, tileset, caller, await reader.read())
        # Whoever holds this tag was given the tile, so what its address names exists.
        if not is_known(given, etag):
            return None
        with state.admission.admitted(caller.identity, "read"):
            pass
    except ServiceError:
        # The endpoint meets it again and knows how to say it.
        return None
    request.scope["route"] = TileRoute
    return Response(status_code=304, headers={**caching_of(request.scope), "ETag": etag})


def _has_version(scope: Scope) -> bool:
    query: bytes = scope["query_string"]
    return b"v=" in query and "v" in parse_qs(query.decode("latin-1"))
