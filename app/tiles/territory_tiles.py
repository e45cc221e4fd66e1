"""Tiles of territories."""

from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Double, Select, and_, case, cast, func, literal_column, select

from app.db import scope as scopes
from app.db.prepared import Prepared, left_open
from app.db.scope import Scope
from app.db.session import AnyReader, AnySession, rows
from app.db.tables import Rep, Territory, TerritoryOwner
from app.tiles.grid import EXTENT, MAX_BYTES, open_envelope

LAYER = "territories"
# Below, simplified outlines are drawn: cell by cell, vertices would be closer than a pixel.
DETAIL_ZOOM = 7
# Drawn beyond the tile, as a share of it, so that lines meet across tiles without a gap.
MARGIN = 1 / 64
# Statements kept; at each scope there are some for each drawing.
MOST_KEPT = 512
# Tried in turn until the tile is small enough: what is drawn, and steps along the tile's edge.
DRAWINGS = (
    (Territory.tile_outline, EXTENT),
    (Territory.tile_overview, EXTENT),
    (Territory.tile_overview, EXTENT // 4),
    (Territory.tile_overview, EXTENT // 16),
    (Territory.tile_overview, EXTENT // 64),
)


async def read_tile(
    reader: AnyReader,
    scope: Scope,
    plan_id: int,
    z: int,
    x: int,
    y: int,
    *,
    fewest: int,
    names_owners: bool = True,
) -> bytes:
    """Return the tile of a plan's territories, empty when none is there.

    Those of fewer than `fewest` customers have no sums. Without owners the tile is the same as long
    as the plan is.
    """
    drawn = b""
    for nth in range(0 if z >= DETAIL_ZOOM else 1, len(DRAWINGS)):
        statement = _statement(scope, nth, fewest, names_owners)
        ((tile,),) = await rows(reader, statement, plan_id=plan_id, z=z, x=x, y=y)
        drawn = bytes(tile or b"")
        if len(drawn) <= MAX_BYTES:
            break
    return drawn


@lru_cache(maxsize=MOST_KEPT)
def _statement(scope: Scope, nth: int, fewest: int, names_owners: bool) -> Prepared:
    """Return the statement for a tile of a plan in one of the drawings."""
    outline, extent = DRAWINGS[nth]
    shapes = _shapes(scope, outline, extent, open_envelope(), fewest)
    if names_owners:
        shapes = _with_owner(shapes)
    tile = shapes.subquery("tile")
    encoded = func.ST_AsMVT(literal_column("tile"), LAYER, extent, "geom", "feature_id")
    # What misses the tile has no geometry and makes no feature; a condition would draw it twice.
    return Prepared(select(encoded).select_from(tile))


async def bounds(
    session: AnySession, scope: Scope, plan_id: int
) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north of a plan's territories in scope."""
    extent = func.ST_Extent(Territory.outline)
    columns = [f(extent) for f in (func.ST_XMin, func.ST_YMin, func.ST_XMax, func.ST_YMax)]
    statement = select(*columns).where(Territory.plan_id == plan_id, scopes.territories(scope))
    west, south, east, north = (await session.execute(statement)).one()
    return None if west is None else (west, south, east, north)


def _shapes(scope: Scope, outline: Any, extent: int, envelope: Any, fewest: int) -> Select[Any]:
    """Select the territories near a tile in its coordinates, with what the map says of them."""
    near = func.ST_Expand(envelope, (func.ST_XMax(envelope) - func.ST_XMin(envelope)) * MARGIN)
    activity = Territory.scores["activity"]
    customers = cast(activity["customers"].astext, Double)
    sums = {
        "customers": cast(customers, BigInteger),
        "work_minutes": cast(activity["work_minutes"].astext, Double),
        # With the target it is the work.
        "imbalance": cast(Territory.scores["imbalance"]["work_minutes"].astext, Double),
    }
    is_few = and_(customers > 0, customers < fewest)
    columns: list[Any] = [
        func.ST_AsMVTGeom(outline, envelope, extent, int(extent * MARGIN), True).label("geom"),
        Territory.id.label("feature_id"),
        Territory.id.label("territory_id"),
        Territory.code,
        Territory.name,
        Territory.colour,
        *(
            (value if fewest == 1 else case((is_few, None), else_=value)).label(name)
            for name, value in sums.items()
        ),
    ]
    return (
        select(*columns)
        .where(
            Territory.plan_id == left_open("plan_id", BigInteger()),
            scopes.territories(scope),
            Territory.tile_outline.op("&&")(near),
        )
        # The same ground gives the same bytes.
        .order_by(Territory.id)
    )


def _with_owner(shapes: Select[Any]) -> Select[Any]:
    owned = and_(
        TerritoryOwner.territory_id == Territory.id, TerritoryOwner.during.contains(func.now())
    )
    return (
        shapes.add_columns(Rep.name.label("rep_name"))
        .outerjoin(TerritoryOwner, owned)
        .outerjoin(Rep, Rep.id == TerritoryOwner.rep_id)
    )
