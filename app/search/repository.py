"""Customers by distance from a point; PostGIS writes the GeoJSON."""

from typing import Any

from sqlalchemy import ColumnElement, Double, Select, func, select, text

from app.db import scope as scopes
from app.db.customer_filter import CustomerFilter
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.spatial import geography, lon_lat
from app.db.tables import Customer

# The index orders by distance on a sphere of 6,371,008.77 m, and lengths on the ellipsoid are
# 0.9944 to 1.0045 of that (its radii of curvature are 6,335,439 m to 6,399,594 m). So a row that
# the index has not reached yet is at least this share of the last row's distance away.
LEAST_STRETCH = 0.994
# Two ways to compute the distance of one pair may differ in the last digits.
ROUNDING_M = 0.001

COLLECTION = """
    -- The rows of `found` as GeoJSON, nearest first.
    convert_to(json_build_object(
        'type', 'FeatureCollection',
        'features', coalesce(json_agg(json_build_object(
            'type', 'Feature',
            'id', id,
            'geometry', json_build_object(
                'type', 'Point', 'coordinates', json_build_array(lon, lat)),
            'properties', json_build_object(
                'id', id, 'external_id', external_id, 'name', name, 'class', class,
                'segment', segment, 'tags', tags, 'status', status, 'work_minutes', work_minutes,
                'potential', potential, 'last_visit_at', last_visit_at,
                'distance_m', round(distance_m::numeric, 1))
        ) ORDER BY distance_m, id), '[]'),
        'numberReturned', count(*),
        'links', CAST(:links AS json)
    )::text, 'UTF8')
"""


async def find_customers(
    session: AnySession,
    scope: Scope,
    lon: float,
    lat: float,
    radius_m: float | None,
    wanted: CustomerFilter,
    limit: int,
    links: str,
) -> bytes:
    """Return the `limit` nearest customers, within `radius_m` if given, as GeoJSON bytes.

    `links` is the JSON text of the answer's links.
    """
    here = geography(lon, lat)
    conditions = [scopes.customers(scope), *wanted.conditions(scope)]
    if radius_m is not None:
        conditions.append(func.ST_DWithin(Customer.geog, here, radius_m))
    # A few more than asked for, because the index knows the order only roughly.
    reach = limit + limit // 20 + 10
    candidates = nearest(here, conditions, reach)
    statement = _collection(candidates, limit)
    body, farthest_m, n, index_m = (await session.execute(statement, {"links": links})).one()
    if n == reach and index_m * LEAST_STRETCH < farthest_m:
        # Customers crowd at the far end: take all that could belong to the answer.
        within = func.ST_DWithin(Customer.geog, here, farthest_m + ROUNDING_M)
        statement = _collection(_selection(here).where(*conditions, within), limit)
        body, *_ = (await session.execute(statement, {"links": links})).one()
    return bytes(body)


def nearest(
    here: ColumnElement[Any], conditions: list[ColumnElement[bool]], limit: int
) -> Select[Any]:
    """Select the first customers in the order of the index."""
    return _selection(here).where(*conditions).order_by(_index_m(here)).limit(limit)


def _selection(here: ColumnElement[Any]) -> Select[Any]:
    """Select customers with their distance: exact, and as the index orders them."""
    lon, lat = lon_lat(Customer.geom)
    columns: list[Any] = [
        Customer.id,
        Customer.external_id,
        Customer.name,
        Customer.class_,
        Customer.segment,
        Customer.tags,
        Customer.status,
        Customer.work_minutes,
        Customer.potential,
        Customer.last_visit_at,
        lon.label("lon"),
        lat.label("lat"),
        func.ST_Distance(Customer.geog, here).label("distance_m"),
        _index_m(here).label("index_m"),
    ]
    return select(*columns)


def _index_m(here: ColumnElement[Any]) -> ColumnElement[float]:
    return Customer.geog.op("<->", return_type=Double())(here)


def _collection(candidates: Select[Any], limit: int) -> Select[Any]:
    """Select the `limit` nearest candidates as one document, with what proves it complete."""
    candidate = candidates.cte("candidate")
    found = select(candidate).order_by(candidate.c.distance_m, candidate.c.id).limit(limit)
    return select(
        text(COLLECTION),
        func.max(text("distance_m")),
        select(func.count()).select_from(candidate).scalar_subquery(),
        select(func.max(candidate.c.index_m)).scalar_subquery(),
    ).select_from(found.subquery("found"))
