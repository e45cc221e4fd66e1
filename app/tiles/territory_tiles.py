"""Tiles of territories."""

from typing import Any

from sqlalchemy import BigInteger, Double, Select, and_, cast, func, literal_column, select

from app.db import scope as scopes
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import Rep, Territory, TerritoryOwner
from app.tiles.grid import EXTENT, MAX_BYTES

LAYER = "territories"
# Below, simplified outlines are drawn: cell by cell, vertices would be closer than a pixel.
DETAIL_ZOOM = 7
# Drawn beyond the tile, as a share of it, so that lines meet across tiles without a gap.
MARGIN = 1 / 64
# Tried in turn until the tile is small enough: what is drawn, and steps along the tile's edge.
DRAWINGS = (
    (Territory.tile_outline, EXTENT),
    (Territory.tile_overview, EXTENT),
    (Territory.tile_overview, EXTENT // 4),
    (Territory.tile_overview, EXTENT // 16),
    (Territory.tile_overview, EXTENT // 64),
)


async def read_tile(
    session: AnySession, scope: Scope, plan_id: int, z: int, x: int, y: int
) -> bytes:
    """Return the tile of a plan's territories, empty when none is there."""
    drawn = b""
    for outline, extent in DRAWINGS if z >= DETAIL_ZOOM else DRAWINGS[1:]:
        shapes = _shapes(scope, plan_id, outline, extent, func.ST_TileEnvelope(z, x, y))
        tile = shapes.subquery("tile")
        encoded = func.ST_AsMVT(literal_column("tile"), LAYER, extent, "geom", "feature_id")
        statement = select(encoded).select_from(tile).where(tile.c.geom.is_not(None))
        drawn = bytes(await session.scalar(statement) or b"")
        if len(drawn) <= MAX_BYTES:
            break
    return drawn


async def bounds(
    session: AnySession, scope: Scope, plan_id: int
) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north of a plan's territories in scope."""
    extent = func.ST_Extent(Territory.outline)
    columns = [f(extent) for f in (func.ST_XMin, func.ST_YMin, func.ST_XMax, func.ST_YMax)]
    statement = select(*columns).where(Territory.plan_id == plan_id, scopes.territories(scope))
    west, south, east, north = (await session.execute(statement)).one()
    return None if west is None else (west, south, east, north)


def _shapes(scope: Scope, plan_id: int, outline: Any, extent: int, envelope: Any) -> Select[Any]:
    """Select the territories near a tile in its coordinates, with what the map says of them."""
    near = func.ST_Expand(envelope, (func.ST_XMax(envelope) - func.ST_XMin(envelope)) * MARGIN)
    activity = Territory.scores["activity"]
    columns: list[Any] = [
        func.ST_AsMVTGeom(outline, envelope, extent, int(extent * MARGIN), True).label("geom"),
        Territory.id.label("feature_id"),
        Territory.id.label("territory_id"),
        Territory.code,
        Territory.name,
        Territory.colour,
        Rep.name.label("rep_name"),
        cast(cast(activity["customers"].astext, Double), BigInteger).label("customers"),
        cast(activity["work_minutes"].astext, Double).label("work_minutes"),
        cast(Territory.scores["imbalance"]["work_minutes"].astext, Double).label("imbalance"),
    ]
    owned = and_(
        TerritoryOwner.territory_id == Territory.id, TerritoryOwner.during.contains(func.now())
    )
    return (
        select(*columns)
        .outerjoin(TerritoryOwner, owned)
        .outerjoin(Rep, Rep.id == TerritoryOwner.rep_id)
        .where(
            Territory.plan_id == plan_id,
            scopes.territories(scope),
            Territory.tile_outline.op("&&")(near),
        )
        # The same ground gives the same bytes.
        .order_by(Territory.id)
    )
