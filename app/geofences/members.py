"""Customers inside a fence, each kind found by the index that fits it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, text, true
from sqlalchemy.orm import aliased

from app.db import scope as scopes
from app.db.customer_features import FEATURE, feature_columns
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.spatial import lies_in
from app.db.tables import Customer, Geofence, GeofenceCell
from app.errors import NotFound

FEATURES = f"""
    -- The rows of `found` as features.
    coalesce(json_agg({FEATURE})) ORDER BY id), '[]')
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """What decides whether a customer is inside."""

    fence_id: int
    kind: str
    wkb: bytes
    lon: float | None
    lat: float | None
    radius_m: float | None
    is_on_edge: bool

    def holds(self) -> ColumnElement[bool]:
        """Return the predicate on `customer`; what is asked of it is bound, so that it is planned.

        Planning without the values would not know whether a fence holds ten customers or all.
        """
        if self.kind in ("cells", "catchment"):
            return Customer.id.in_(_in_cells(self.fence_id))
        if self.radius_m is not None:
            centre = func.ST_SetSRID(func.ST_MakePoint(self.lon, self.lat), 4326)
            return func.ST_DWithin(Customer.geog, func.geography(centre), self.radius_m)
        area = func.ST_GeomFromWKB(literal(self.wkb), 4326)
        return lies_in(Customer.geom, area, at_edge=self.is_on_edge)


async def ground_of(session: AnySession, scope: Scope, fence_id: int) -> Ground:
    """Return what decides whether a customer is inside a fence.

    Raises
    ------
    NotFound
        When there is no such fence.
    """
    is_on_edge = or_(
        func.ST_XMin(Geofence.geom) == -180,
        func.ST_XMax(Geofence.geom) == 180,
        func.ST_YMin(Geofence.geom) == -90,
        func.ST_YMax(Geofence.geom) == 90,
    )
    statement = select(
        Geofence.id,
        Geofence.kind,
        func.ST_AsBinary(Geofence.geom),
        func.ST_X(Geofence.centre),
        func.ST_Y(Geofence.centre),
        Geofence.radius_m,
        is_on_edge,
    ).where(Geofence.id == fence_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"There is no geofence {fence_id}.")
    fence_id, kind, wkb, *others = row
    return Ground(fence_id, kind, bytes(wkb), *others)


async def customers_inside(
    session: AnySession, scope: Scope, ground: Ground, after: int, limit: int
) -> tuple[bytes, list[int]]:
    """Return up to `limit` customers as a list of GeoJSON features, and their ids."""
    found = page_of(scope, ground, after, limit).subquery("found")
    features = text(f"convert_to(({FEATURES})::text, 'UTF8')")
    statement = select(features, text("array_agg(id ORDER BY id)")).select_from(found)
    body, ids = (await session.execute(statement)).one()
    return bytes(body), list(ids or ())


def page_of(scope: Scope, ground: Ground, after: int, limit: int) -> Select[Any]:
    """Select a page of the customers inside."""
    return (
        select(*feature_columns())
        .where(Customer.id > after, ground.holds(), scopes.customers(scope))
        .order_by(Customer.id)
        .limit(limit)
    )


async def count_inside(session: AnySession, scope: Scope, ground: Ground) -> int:
    """Return how many customers are inside."""
    statement = select(func.count()).select_from(Customer)
    counted = statement.where(ground.holds(), scopes.customers(scope))
    return (await session.execute(counted)).scalar_one()


def _in_cells(fence_id: int) -> Select[Any]:
    resident = aliased(Customer)
    cell = GeofenceCell.cell
    in_cell = (
        select(resident.id)
        .where(resident.cell.between(func.cell_first(cell), func.cell_last(cell)))
        # OFFSET keeps the planner from reading all customers once instead of a range per cell.
        .offset(0)
        .correlate(GeofenceCell)
        .lateral()
    )
    held = select(in_cell.c.id).select_from(GeofenceCell).join(in_cell, true())
    return held.where(GeofenceCell.geofence_id == fence_id)
