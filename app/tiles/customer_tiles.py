"""Tiles of customers: each of them from zoom 12 on, cells with their sums above.

Inactive customers are in no tile. Every other one is in exactly one tile of each zoom, alone
(`n` = 1) or in the `n` of a cell, so that the sum of `n` over the tiles of a zoom is their number.
Callers who may not see single customers get the cells at every zoom, and of them those that hold
enough.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import orjson
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    Select,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.db import scope as scopes
from app.db.customer_filter import CustomerFilter
from app.db.heat import read_around
from app.db.heat_sums import COARSEST, FINEST, Sums
from app.db.membership import layer_accepts, named_account
from app.db.prepared import Planned, Prepared, left_open, written
from app.db.scope import EVERYTHING, Scope
from app.db.session import AnyReader, rows
from app.db.spatial import cell_parent, lon_lat
from app.db.tables import Customer, PlanCell, Territory
from app.tiles.apart import apart
from app.tiles.encoding import encode, encoding_points, of_points, placed
from app.tiles.grid import EXTENT, MAX_BYTES, ground, holds, is_near, on_tile, values_of
from app.tiles.plans import ShownPlan
from geo.tile_shapes import points_on_tile
from geo.tiles import resolution_for_zoom

LAYER = "customers"
# From this zoom on customers are drawn one by one, as long as they are no more than this.
SINGLE_ZOOM = 12
MAX_SINGLE = 4_000
# Of the rollup in one tile; at the poles, where they are smallest on the map, there are far fewer.
MOST_CELLS = 100_000
# Statements kept of each kind.
MOST_KEPT = 512
# In tiles from this zoom on are few enough to be asked for their territory one by one.
NARROW_ZOOM = 10
PLAN_ID, LAYER_ID = (left_open(name, BigInteger()) for name in ("plan_id", "layer_id"))
SUMS = of_points(n=BigInteger, work_minutes=Double)
CELLS = encoding_points(LAYER, SUMS, SUMS.c.n, SUMS.c.work_minutes)


@dataclass(frozen=True, slots=True)
class PlanKind:
    """What the statement for the territories of a plan is written by."""

    resolutions: tuple[int, ...]
    accepts_all: bool

    @classmethod
    def of(cls, plan: ShownPlan) -> Self:
        """Return the kind of this plan."""
        return cls(plan.resolutions, not plan.customer_filter)

    @property
    def is_accepted(self) -> ColumnElement[bool]:
        """Whether the layer, whose `customer_filter` is left open, accepts a customer.

        Without a filter it does: tiles have no inactive customers.
        """
        if self.accepts_all:
            return true()
        return layer_accepts(left_open("customer_filter", JSONB()))


async def read_tile(
    reader: AnyReader,
    scope: Scope,
    plan: ShownPlan | None,
    z: int,
    x: int,
    y: int,
    fewest: int = 1,
) -> bytes:
    """Return the tile of customers, empty when none is there.

    With `fewest` above 1 nothing is told of fewer customers; only for an unlimited scope.
    """
    place = values_of(z, x, y)
    if fewest > 1 or (z < SINGLE_ZOOM and scope.is_unlimited):
        return await _read_cells(reader, (z, x, y), fewest)
    if z >= SINGLE_ZOOM:
        shown = {} if plan is None else _values_of_plan(plan)
        single = _customers(scope, None if plan is None else PlanKind.of(plan))
        ((n, tile),) = await rows(reader, single, **place, **shown)
        if n <= MAX_SINGLE and len(tile or b"") <= MAX_BYTES:
            return bytes(tile or b"")
    groups = _groups(scope, max(COARSEST, resolution_for_zoom(z)), z >= NARROW_ZOOM)
    ((_, tile),) = await rows(reader, groups, **place)
    return bytes(tile or b"")


def _encoded(features: Select[Any]) -> Prepared:
    """Return the statement for the number of features and the tile that holds them."""
    # Only single customers have an id.
    name = literal("feature_id" if "feature_id" in features.selected_columns else None, Text)
    encoded = func.ST_AsMVT(literal_column("tile"), LAYER, EXTENT, "geom", name)
    statement = select(func.count(), encoded).select_from(features.subquery("tile"))
    # By the index of places, whatever the tile.
    return Prepared(statement, Planned.ONCE)


async def _read_cells(reader: AnyReader, tile: tuple[int, int, int], fewest: int) -> bytes:
    """Return the tile of the cells of the rollup whose centre is in it."""
    resolution = max(COARSEST, resolution_for_zoom(tile[0], FINEST))
    view, every = ground(*tile), CustomerFilter()
    sums = await read_around(
        reader, EVERYTHING, "work_minutes", every, resolution, view, fewest, MOST_CELLS
    )
    # A tile has some thousand cells of this resolution.
    assert sums is not None
    if len(sums.cells) == 0:
        return b""
    return await encode(reader, CELLS, await apart(len(sums.cells), _placed, tile, sums))


def _placed(tile: tuple[int, int, int], sums: Sums) -> dict[str, Any]:
    places, is_here = points_on_tile(tile, EXTENT, sums.cells)
    here = sums.only(is_here)
    return {
        **placed(places),
        "n": written(here.customers),
        "work_minutes": written(here.amounts),
    }


@lru_cache(maxsize=MOST_KEPT)
def _groups(scope: Scope, resolution: int, is_narrow: bool) -> Prepared:
    """Return the statement for customers by cell, in their middle, which is in the tile too."""
    cell = cell_parent(Customer.cell, literal_column(str(resolution)))
    lon, lat = lon_lat(Customer.geom)
    columns: list[Any] = [
        on_tile(func.avg(lon), func.avg(lat)).label("geom"),
        func.count().label("n"),
        func.sum(Customer.work_minutes).label("work_minutes"),
    ]
    return _encoded(select(*columns).where(*_shown(scope, is_narrow)).group_by(cell).order_by(cell))


@lru_cache(maxsize=MOST_KEPT)
def _customers(scope: Scope, of_plan: PlanKind | None) -> Prepared:
    """Return the statement for customers one by one, if there are too many one more than may be.

    With the kind of a plan, whose values are left open, they are shown with their territories.
    """
    columns: list[Any] = [
        on_tile(*lon_lat(Customer.geom)).label("geom"),
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
    if of_plan is None:
        alone = _few(columns, scope).subquery()
        return _encoded(select(alone).order_by(alone.c.id))
    more = [
        cell_parent(Customer.cell, max(of_plan.resolutions)).label("cell"),
        of_plan.is_accepted.label("is_accepted"),
    ]
    few = _materialized(_few([*columns, *more], scope), "few")
    by_cell = _materialized(_territories_by_cell(few, of_plan, scope), "by_cell")
    by_name = _materialized(_territories_by_name(few, scope), "by_name")
    shown = list(few.c)[: len(columns)]
    is_named = by_name.c.customer_id.is_not(None)
    territory = [
        case((is_named, by_name.c[name]), else_=by_cell.c[name]).label(name)
        for name in ("territory_id", "code")
    ]
    return _encoded(
        select(*shown, *territory)
        .select_from(few)
        .outerjoin(by_cell, and_(by_cell.c.cell == few.c.cell, few.c.is_accepted))
        .outerjoin(by_name, by_name.c.customer_id == few.c.id)
        .order_by(few.c.id)
    )


def _few(columns: list[Any], scope: Scope) -> Select[Any]:
    return select(*columns).where(*_shown(scope, is_narrow=True)).limit(MAX_SINGLE + 1)


def _materialized(rows_of: Select[Any], name: str) -> CTE:
    # Else the planner, which expects one row where there are hundreds, does it anew for each.
    return rows_of.cte(name).prefix_with("MATERIALIZED", dialect="postgresql")


def _territories_by_cell(few: CTE, of_plan: PlanKind, scope: Scope) -> Select[Any]:
    """Select the territories of the cells that the customers are in, as few as those are.

    Whose territory it is may be beyond the caller's scope.
    """
    cells = select(few.c.cell).distinct().subquery()
    ancestors = [cell_parent(cells.c.cell, resolution) for resolution in of_plan.resolutions]
    return (
        select(cells.c.cell, Territory.id.label("territory_id"), Territory.code)
        .join(PlanCell, PlanCell.cell.in_(ancestors))
        .join(Territory, Territory.id == PlanCell.territory_id)
        .where(PlanCell.plan_id == PLAN_ID, scopes.territories(scope))
    )


def _territories_by_name(few: CTE, scope: Scope) -> Select[Any]:
    """Select the named accounts of them, with their territories as far as the caller sees them."""
    account = named_account(LAYER_ID, few.c.id).add_columns(few.c.id.label("customer_id"))
    named = account.where(few.c.is_accepted).subquery()
    is_theirs = and_(
        Territory.plan_id == PLAN_ID,
        Territory.code == named.c.territory_code,
        scopes.territories(scope),
    )
    return (
        select(named.c.customer_id, Territory.id.label("territory_id"), Territory.code)
        .select_from(named)
        .outerjoin(Territory, is_theirs)
    )


def _values_of_plan(plan: ShownPlan) -> dict[str, Any]:
    accepted = orjson.dumps(plan.customer_filter).decode()
    return {"plan_id": plan.id, "layer_id": plan.layer_id, "customer_filter": accepted}


def _shown(scope: Scope, is_narrow: bool) -> list[Any]:
    in_scope = scopes.customers if is_narrow else scopes.customers_at_large
    return [
        is_near(Customer.geom),
        holds(*lon_lat(Customer.geom)),
        Customer.status != "inactive",
        in_scope(scope),
    ]
