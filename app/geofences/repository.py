"""Geofences in the database. They are ground, not customers: every caller may read all."""

from typing import Any

import orjson
from sqlalchemy import Select, delete, func, insert, select

from app.db.scope import EVERYTHING, Scope
from app.db.session import AnySession, WriteSession
from app.db.spatial import point
from app.db.tables import Geofence
from app.errors import NotFound
from app.geofences.schemas import GeofenceSummary, GeofenceView
from geo.antimeridian import Polygonal

# Everything but the geometry, which can be large.
SUMMARY: list[Any] = [
    Geofence.id,
    Geofence.name,
    Geofence.attributes,
    Geofence.version,
    Geofence.created_at,
    Geofence.updated_at,
]


async def create_geofence(
    session: WriteSession, name: str, area: Polygonal, attributes: dict[str, Any]
) -> GeofenceView:
    """Insert a geofence."""
    geom = func.ST_Multi(func.ST_GeomFromWKB(area.wkb, 4326))
    statement = insert(Geofence).values(name=name, geom=geom, attributes=attributes)
    fence_id = (await session.execute(statement.returning(Geofence.id))).scalar_one()
    return await get_geofence(session, EVERYTHING, fence_id)


async def list_geofences(
    session: AnySession, scope: Scope, after: int, limit: int
) -> list[GeofenceSummary]:
    """Return up to `limit` geofences in the order of their ids."""
    statement = select(*SUMMARY).where(Geofence.id > after).order_by(Geofence.id).limit(limit)
    return [GeofenceSummary(**row._mapping) for row in await session.execute(statement)]


async def get_geofence(session: AnySession, scope: Scope, fence_id: int) -> GeofenceView:
    """Return one geofence with its geometry.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    # 7 digits are a centimetre.
    geometry = func.ST_AsGeoJSON(Geofence.geom, 7).label("geometry")
    statement = select(*SUMMARY, geometry).where(Geofence.id == fence_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"There is no geofence {fence_id}.")
    return GeofenceView(**{**row._mapping, "geometry": orjson.loads(row.geometry)})


async def delete_geofence(session: WriteSession, fence_id: int) -> None:
    """Delete a geofence.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    statement = delete(Geofence).where(Geofence.id == fence_id).returning(Geofence.id)
    if (await session.execute(statement)).first() is None:
        raise NotFound(f"There is no geofence {fence_id}.")


async def find_geofences(
    session: AnySession, scope: Scope, lon: float, lat: float, limit: int
) -> list[GeofenceSummary]:
    """Return up to `limit` geofences that hold a point, borders included, the oldest first."""
    statement = select(*SUMMARY).where(Geofence.id.in_(holding(lon, lat)))
    rows = await session.execute(statement.order_by(Geofence.id).limit(limit))
    return [GeofenceSummary(**row._mapping) for row in rows]


def holding(lon: float, lat: float) -> Select[Any]:
    """Select the ids of the geofences that hold a point."""
    covering = select(Geofence.id).where(func.ST_Covers(Geofence.geom, point(lon, lat)))
    # The offset keeps the planner from walking all fences by id in the hope of early matches.
    return select(covering.offset(0).subquery().c.id)
