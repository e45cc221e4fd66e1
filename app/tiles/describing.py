"""TileJSON of the tilesets, with the addresses of their tiles."""

from urllib.parse import urlencode

from app.auth import Caller
from app.db.session import AnySession
from app.tiles import territory_tiles
from app.tiles.plans import ShownPlan
from app.tiles.schemas import WORLD, TileJson
from app.tiles.tilesets import TILESETS, version_of

Query = list[tuple[str, str]]


async def describe(
    session: AnySession,
    name: str,
    plan: ShownPlan | None,
    caller: Caller,
    query: Query,
    base: str,
) -> TileJson:
    """Return the TileJSON of a tileset, whose addresses repeat the query.

    When that names a plan that is no draft, they hold the version of the plan as well.
    """
    described = TILESETS[name]
    taken = [(word, value) for word, value in query if word in described.takes and word != "v"]
    bounds = None
    if plan is not None and name in ("territories", "cells"):
        bounds = await territory_tiles.bounds(session, caller.scope, plan.id)
        version = version_of(name, plan, caller)
        if version is not None and "plan_id" in dict(taken):
            taken.append(("v", version))
    address = f"{base}/v1/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt"
    return TileJson(
        name=described.title,
        description=described.layer.description,
        tiles=[address + (f"?{urlencode(taken)}" if taken else "")],
        maxzoom=described.maxzoom,
        bounds=bounds or WORLD,
        vector_layers=[described.layer],
    )
