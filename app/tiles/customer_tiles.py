"""Tiles of customers: each of them from zoom 12 on, cells with their sums above.

Inactive customers are in no tile. Every other one is in exactly one tile of each zoom, alone
(`n` = 1) or in the `n` of a cell, so that the sum of `n` over the tiles of a zoom is their number.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.activity.rollup import COARSEST, FINEST
from app.db import scope as scopes
from app.db.membership import layer_accepts, named_account
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.spatial import cell_parent, lon_lat
from app.db.tables import ActivityCell, CellShape, Customer, PlanCell, Territory
from app.tiles.grid import EXTENT, MAX_BYTES, holds, on_tile, touches
from app.tiles.plans import ShownPlan
from geo.tiles import resolution_for_zoom

LAYER = "customers"
# From this zoom on customers are drawn one by one, as long as they are no more than this.
SINGLE_ZOOM = 12
MAX_SINGLE = 4_000


async def read_tile(
    session: AnySession, scope: Scope, plan: ShownPlan | None, z: int, x: int, y: int
) -> bytes:
    """Return the tile of customers, empty when none is there."""
    if z < SINGLE_ZOOM and scope.is_unlimited:
        _, tile = await _encode(session, _cells(z, x, y))
        return tile
    if z >= SINGLE_ZOOM:
        n, tile = await _encode(session, _customers(scope, plan, z, x, y))
        if n <= MAX_SINGLE and len(tile) <= MAX_BYTES:
            return tile
    _, tile = await _encode(session, _groups(scope, z, x, y))
    return tile


async def _encode(session: AnySession, features: Select[Any]) -> tuple[int, bytes]:
    """Return the number of features and the tile that holds them."""
    # Only single customers have an id.
    name = literal("feature_id" if "feature_id" in features.selected_columns else None, Text)
    encoded = func.ST_AsMVT(literal_column("tile"), LAYER, EXTENT, "geom", name)
    statement = select(func.count(), encoded).select_from(features.subquery("tile"))
    n, tile = (await session.execute(statement)).one()
    return n, bytes(tile or b"")


def _cells(z: int, x: int, y: int) -> Select[Any]:
    """Select the cells of the rollup whose centre is in the tile."""
    resolution = max(COARSEST, resolution_for_zoom(z, FINEST))
    columns: list[Any] = [
        on_tile(*lon_lat(CellShape.centre), z, x, y).label("geom"),
        cast(func.sum(ActivityCell.customers), BigInteger).label("n"),
        func.sum(ActivityCell.work_minutes).label("work_minutes"),
    ]
    return (
        select(*columns)
        .join(ActivityCell, ActivityCell.cell == CellShape.cell)
        .where(
            CellShape.resolution == resolution,
            touches(CellShape.geom, z, x, y),
            holds(CellShape.centre, z, x, y),
        )
        .group_by(CellShape.cell)
        .order_by(CellShape.cell)
    )


def _groups(scope: Scope, z: int, x: int, y: int) -> Select[Any]:
    """Select the customers of the tile by cell, in their middle, which is in the tile too."""
    cell = cell_parent(Customer.cell, max(COARSEST, resolution_for_zoom(z)))
    lon, lat = lon_lat(Customer.geom)
    columns: list[Any] = [
        on_tile(func.avg(lon), func.avg(lat), z, x, y).label("geom"),
        func.count().label("n"),
        func.sum(Customer.work_minutes).label("work_minutes"),
    ]
    return select(*columns).where(*_shown(scope, z, x, y)).group_by(cell).order_by(cell)


def _customers(scope: Scope, plan: ShownPlan | None, z: int, x: int, y: int) -> Select[Any]:
    """Select the customers of the tile one by one, if there are too many one more than may be."""
    columns: list[Any] = [
        on_tile(*lon_lat(Customer.geom), z, x, y).label("geom"),
        Customer.id.label("feature_id"),
        Customer.id.label("id"),
        Customer.external_id,
        Customer.name,
        Customer.class_,
        Customer.segment,
        Customer.status,
        literal(1, Integer).label("n"),
        Customer.work_minutes,
    ]
    if plan is not None:
        columns.append(_territory_id(plan).label("territory_id"))
    some = select(*columns).where(*_shown(scope, z, x, y)).limit(MAX_SINGLE + 1).subquery()
    if plan is None:
        return select(some).order_by(some.c.id)
    # Whose territory this is may be beyond the caller's scope.
    owner = and_(Territory.id == some.c.territory_id, scopes.territories(scope))
    shown = [column for column in some.c if column.name != "territory_id"]
    return (
        select(*shown, Territory.id.label("territory_id"), Territory.code)
        .outerjoin(Territory, owner)
        .order_by(some.c.id)
    )


def _territory_id(plan: ShownPlan) -> ColumnElement[Any]:
    """Return the territory of a customer as `app.db.membership` means it, one row at a time."""
    by_cell = select(PlanCell.territory_id).where(
        PlanCell.plan_id == plan.id,
        PlanCell.cell.in_([cell_parent(Customer.cell, r) for r in plan.resolutions]),
    )
    code = named_account(plan.layer_id).correlate(Customer).scalar_subquery()
    by_name = select(Territory.id).where(Territory.plan_id == plan.id, Territory.code == code)
    return case(
        (not_(layer_accepts(literal(plan.customer_filter, JSONB))), null()),
        (code.is_(None), by_cell.correlate(Customer).scalar_subquery()),
        else_=by_name.correlate(Customer).scalar_subquery(),
    )


def _shown(scope: Scope, z: int, x: int, y: int) -> list[Any]:
    return [
        touches(Customer.geom, z, x, y),
        holds(Customer.geom, z, x, y),
        Customer.status != "inactive",
        scopes.customers(scope),
    ]
