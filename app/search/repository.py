"""Customers by distance from a point, or in an area; PostGIS writes the GeoJSON."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from shapely import MultiPolygon, to_wkb
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Double,
    Integer,
    Select,
    Text,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.db import scope as scopes
from app.db.customer_features import FEATURE, feature_columns
from app.db.customer_filter import PLAN_FOR_VALUES, CustomerFilter
from app.db.glance import Glance
from app.db.prepared import Planned, Prepared, left_open
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.spatial import Anchor, anchor_of, lies_in, open_place, reaches_edge
from app.db.tables import Customer
from geo.antimeridian import Polygonal

# The index orders by distance on a sphere of 6,371,008.77 m, and lengths on the ellipsoid are
# 0.9944 to 1.0045 of that (its radii of curvature are 6,335,439 m to 6,399,594 m). So a row that
# the index has not reached yet is at least this share of the last row's distance away.
LEAST_STRETCH = 0.994
# How many times as many candidates to take when those taken prove nothing.
MORE = 4

FEATURE_WITH_DISTANCE = f"{FEATURE}, 'distance_m', round(distance_m::numeric, 1)))"
COLLECTION = f"""
    /* The rows of `found` as GeoJSON, nearest first. */
    json_build_object(
        'type', 'FeatureCollection',
        'features', coalesce(
            json_agg({FEATURE_WITH_DISTANCE} ORDER BY distance_m, id), '[]'),
        'numberReturned', count(*))"""
FEATURES = f"""
    -- The first rows of `found` as a list of features, in the order of their ids.
    convert_to(coalesce(
        json_agg({FEATURE})) ORDER BY id) FILTER (WHERE nth <= :limit), '[]'
    )::text, 'UTF8')"""
# Those within so many metres, or in an area of so many square degrees, are few enough to be asked
# for their territory one by one.
NEAR_M = 20_000.0
SMALL_DEG2 = 0.1
# Those of so many reps are not all looked at for the nearest of them before who is near.
MANY_REPS = 5
# Within so many metres the index of places ends after some ten thousand customers, even in a city:
# a plan for any visit or status does. To plan takes half as long as to find fifty of them.
AT_HAND_M = 5_000.0
# A part more is a look into the index more.
MOST_PARTS_APART = 30
# Statements kept, one for each scope and filter.
MOST_KEPT = 512


async def find_customers(
    glance: Glance,
    scope: Scope,
    lon: float,
    lat: float,
    radius_m: float | None,
    wanted: CustomerFilter,
    limit: int,
    links: bytes,
) -> bytes:
    """Return the `limit` nearest customers, within `radius_m` if given, as GeoJSON bytes.

    `links` is the JSON text of the answer's links.
    """
    is_of_many = len(scope.rep_ids or ()) >= MANY_REPS
    if is_of_many and not _is_narrow(radius_m):
        body, n = await _find_within(glance, scope, lon, lat, NEAR_M, wanted, limit)
        if n < limit:
            body, _ = await _find_within(glance, scope, lon, lat, radius_m, wanted, limit)
    else:
        body, _ = await _find_within(glance, scope, lon, lat, radius_m, wanted, limit)
    return body[:-1] + b',"links":' + links + b"}"


async def _find_within(
    glance: Glance,
    scope: Scope,
    lon: float,
    lat: float,
    radius_m: float | None,
    wanted: CustomerFilter,
    limit: int,
) -> tuple[bytes, int]:
    """Return the nearest as GeoJSON bytes, and how many there are, or at least `limit`."""
    anchor = anchor_of(lon, lat)
    given = {"lon": lon, "lat": lat, "radius_m": radius_m, "limit": limit}
    given |= {"anchor_lon": anchor.lon, "anchor_lat": anchor.lat}
    how = _is_narrow(radius_m), radius_m is not None and radius_m <= AT_HAND_M
    statement = _nearest_first(scope, wanted, radius_m is not None, *how)
    reach = _first_reach(limit)
    while True:
        body, farthest_m, n, index_m = await glance.one(statement, **given, reach=reach)
        if _is_complete(farthest_m, n, index_m, reach, anchor):
            return bytes(body), n or 0
        reach *= MORE


@lru_cache(maxsize=MOST_KEPT)
def _nearest_first(
    scope: Scope, wanted: CustomerFilter, has_radius: bool, is_narrow: bool, is_at_hand: bool
) -> Prepared:
    """Return the statement for the first `reach` customers in the order of the index."""
    here, anchor = open_place("lon", "lat"), open_place("anchor_lon", "anchor_lat")
    in_scope, is_walk = _in_scope(scope, wanted, is_narrow)
    conditions = [in_scope, *wanted.conditions(scope)]
    if has_radius:
        radius_m = left_open("radius_m", Double())
        conditions.append(func.ST_DWithin(Customer.geog, here, radius_m))
    reach, limit = (left_open(name, Integer()) for name in ("reach", "limit"))
    candidates = nearest(here, anchor, conditions, reach, is_walk)
    is_rare = wanted.is_found_by_value if is_at_hand else wanted.may_be_rare
    planned = Planned.FOR_VALUES if is_rare else Planned.AS_IT_SEES_FIT
    return Prepared(_collection(candidates, limit), planned)


def nearest(
    here: ColumnElement[Any],
    anchor: ColumnElement[Any],
    conditions: list[ColumnElement[bool]],
    limit: int | ColumnElement[int],
    is_walk: bool = True,
) -> Select[Any]:
    """Select the first customers in the order of the index, which is asked from the anchor.

    With `is_walk` off the rows are sorted: the index of places must not be walked for customers
    that are found in another way, as asking for each of them if it is wanted would take minutes.
    """
    order = _index_m(anchor) if is_walk else _index_m(anchor) + literal_column("0")
    return _selection(here, anchor).where(*conditions).order_by(order).limit(limit)


def _is_narrow(radius_m: float | None) -> bool:
    return radius_m is not None and radius_m <= NEAR_M


def _in_scope(
    scope: Scope, wanted: CustomerFilter, is_narrow: bool
) -> tuple[ColumnElement[bool], bool]:
    """Return the predicate of the scope, and whether to walk the index of places."""
    if scope.is_unlimited or is_narrow:
        return scopes.customers(scope), not wanted.is_of_territories
    return scopes.customers_at_large(scope), False


def _first_reach(limit: int) -> int:
    """Return how many candidates to take: some more, as the index knows the order only roughly."""
    return limit + limit // 20 + 10


def _is_complete(
    farthest_m: float | None, n: int | None, index_m: float | None, reach: int, anchor: Anchor
) -> bool:
    """Tell whether nobody beyond the candidates can be nearer than the last that was found.

    `n` candidates were there, the last of them `index_m` away by the index.
    """
    if not n or n < reach or index_m is None or farthest_m is None:
        return True
    return (index_m - anchor.shift_m) * LEAST_STRETCH >= farthest_m


async def find_in_area(
    session: AnySession,
    scope: Scope,
    area: Polygonal,
    wanted: CustomerFilter,
    after: int,
    limit: int,
) -> tuple[bytes, list[int]]:
    """Return the features of up to `limit` customers in an area, by id, as JSON bytes.

    Beside them the ids of what was found, one more than `limit` where there is a next page. Who
    stands on the border is inside; edges are straight in degrees (RFC 7946).
    """
    await session.execute(PLAN_FOR_VALUES)
    return await _find_in(session, scope, area, wanted, after, limit)


async def find_in_each_area(
    session: AnySession,
    scope: Scope,
    areas: Sequence[Polygonal],
    wanted: CustomerFilter,
    limit: int,
) -> bytes:
    """Return the first `limit` customers of each area, by id, in the order given.

    A statement each: which index leads to few depends on the area.
    """
    await session.execute(PLAN_FOR_VALUES)
    bodies = []
    for area in areas:
        features, ids = await _find_in(session, scope, area, wanted, 0, limit)
        bodies.append(
            b'{"type":"FeatureCollection","features":%b,"numberReturned":%d}'
            % (features, min(len(ids), limit))
        )
    return b'{"items":[' + b",".join(bodies) + b"]}"


async def _find_in(
    session: AnySession,
    scope: Scope,
    area: Polygonal,
    wanted: CustomerFilter,
    after: int,
    limit: int,
) -> tuple[bytes, list[int]]:
    is_small = area.area <= SMALL_DEG2
    in_scope = scopes.customers(scope) if is_small else scopes.customers_at_large(scope)
    conditions = [in_scope, *wanted.conditions(scope)]
    statement = in_area(area, conditions, after, limit)
    body, ids = (await session.execute(statement, {"limit": limit})).one()
    return bytes(body), list(ids or [])


def in_area(
    area: Polygonal, conditions: list[ColumnElement[bool]], after: int, limit: int
) -> Select[Any]:
    """Select the features of an area, and their ids; takes the parameter `limit`."""
    found = (
        select(*feature_columns())
        .where(*conditions, covered_by(area), Customer.id > after)
        .order_by(Customer.id)
        .limit(limit + 1)
        .subquery("first")
    )
    counted = select(found, func.row_number().over(order_by=found.c.id).label("nth"))
    rows = counted.subquery("found")
    ids: ColumnElement[Any] = func.array_agg(aggregate_order_by(rows.c.id, rows.c.id))
    return select(text(FEATURES), ids)


def covered_by(area: Polygonal) -> ColumnElement[bool]:
    """Match customers in an area.

    Each part is asked for by itself: the box around parts on both sides of the world is the world.
    """
    parts: list[Polygonal] = [area]
    if isinstance(area, MultiPolygon) and len(area.geoms) <= MOST_PARTS_APART:
        parts = list(area.geoms)
    return or_(
        *(
            lies_in(
                Customer.geom,
                func.ST_GeomFromWKB(literal(to_wkb(part)), 4326),
                at_edge=reaches_edge(*part.bounds),
            )
            for part in parts
        )
    )


async def find_around_each(
    session: AnySession,
    scope: Scope,
    places: Sequence[tuple[float, float]],
    radius_m: float | None,
    wanted: CustomerFilter,
    limit: int,
) -> bytes:
    """Return the `limit` nearest customers of each place (lon, lat), in the order given."""
    await session.execute(PLAN_FOR_VALUES)
    in_scope, is_walk = _in_scope(scope, wanted, _is_narrow(radius_m))
    conditions = [in_scope, *wanted.conditions(scope)]
    anchors = [anchor_of(lon, lat) for lon, lat in places]
    bodies = [b""] * len(places)
    missing, reach = list(range(len(places))), _first_reach(limit)
    while missing:
        asked = [(*places[i], anchors[i].lon, anchors[i].lat) for i in missing]
        statement = around_each(asked, radius_m, conditions, limit, reach, is_walk)
        rows = (await session.execute(statement)).all()
        for i, row in zip(missing, rows, strict=True):
            bodies[i] = bytes(row.body)
        missing = [
            i
            for i, row in zip(missing, rows, strict=True)
            if not _is_complete(row.farthest_m, row.n, row.index_m, reach, anchors[i])
        ]
        reach *= MORE
    return b'{"items":[' + b",".join(bodies) + b"]}"


def around_each(
    places: Sequence[tuple[float, float, float, float]],
    radius_m: float | None,
    conditions: list[ColumnElement[bool]],
    limit: int,
    reach: int,
    is_walk: bool = True,
) -> Select[Any]:
    """Select a collection of each place, in the order given, with what proves it complete.

    A place is its longitude and latitude and those of its anchor.
    """
    columns = (cast(list(values), ARRAY(Double)) for values in zip(*places, strict=True))
    place = (
        func.unnest(*columns)
        .table_valued("lon", "lat", "anchor_lon", "anchor_lat", with_ordinality="nth")
        .render_derived(name="place")
    )
    here = _geography(place.c.lon, place.c.lat)
    anchor = _geography(place.c.anchor_lon, place.c.anchor_lat)
    if radius_m is not None:
        conditions = [*conditions, func.ST_DWithin(Customer.geog, here, radius_m)]
    candidates = nearest(here, anchor, conditions, reach, is_walk).correlate(place)
    answer = _collection(candidates, limit).correlate(place).lateral("answer")
    return select(answer).select_from(place.join(answer, true())).order_by(place.c.nth)


def _geography(lon: ColumnElement[Any], lat: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.geography(func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326))


def _selection(here: ColumnElement[Any], anchor: ColumnElement[Any]) -> Select[Any]:
    """Select customers with their distance: exact, and as the index orders them."""
    distance = func.ST_Distance(Customer.geog, here).label("distance_m")
    return select(*feature_columns(), distance, _index_m(anchor).label("index_m"))


def _index_m(anchor: ColumnElement[Any]) -> ColumnElement[float]:
    return Customer.geog.op("<->", return_type=Double())(anchor)


def _collection(candidates: Select[Any], limit: int | ColumnElement[int]) -> Select[Any]:
    """Select the `limit` nearest candidates as one document, with what proves it complete."""
    candidate = candidates.lateral("candidate")
    found = (
        select(
            candidate,
            func.count().over().label("n"),
            func.max(candidate.c.index_m).over().label("last_m"),
        )
        .order_by(candidate.c.distance_m, candidate.c.id)
        .limit(limit)
        .lateral("found")
    )
    columns: list[Any] = [
        func.convert_to(cast(literal_column(COLLECTION), Text), "UTF8").label("body"),
        func.max(found.c.distance_m).label("farthest_m"),
        func.max(found.c.n).label("n"),
        func.max(found.c.last_m).label("index_m"),
    ]
    return select(*columns).select_from(found)
