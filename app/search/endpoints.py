"""Search over HTTP."""

import asyncio
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import Depends, Query, Request, Response

from app.auth import Detail, Glancing, Reading
from app.db.customer_filter import CustomerFilter
from app.errors import Fault, InvalidInput
from app.http.paging import Link, PagingParameters
from app.http.places import GEOJSON, AtPlace, GeoJsonResponse, JsonBytes
from app.http.routing import router
from app.http.values import Label, ServiceClass, Status
from app.search import repository
from app.search.schemas import (
    LARGEST_RADIUS_M,
    MOST_FOUND,
    AreaBatch,
    CustomersInArea,
    FoundAroundEach,
    FoundCustomers,
    FoundInEachArea,
    NearestBatch,
    RadiusBatch,
    SearchedArea,
)
from geo.antimeridian import Polygonal
from geo.errors import GeometryError
from geo.geojson import polygon_from_geojson, polygons_from_geojson

routes = router("search")


async def filter_of(
    class_: Annotated[list[ServiceClass], Query(alias="class")] = [],  # noqa: B006
    segment: Annotated[list[Label], Query(max_length=50)] = [],  # noqa: B006
    tag: Annotated[list[Label], Query(description="All of these", max_length=50)] = [],  # noqa: B006
    status: Annotated[list[Status], Query(description="By default any")] = [],  # noqa: B006
    not_visited_days: Annotated[
        int | None, Query(ge=0, le=36_500, description="Never visited, or not for so many days")
    ] = None,
    territory_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    rep_id: Annotated[
        int | None, Query(ge=1, lt=2**63, description="Of the rep's territories in force")
    ] = None,
) -> CustomerFilter:
    """Read the filters: every one given must hold, values of one are alternatives."""
    return CustomerFilter(
        classes=tuple(class_),
        segments=tuple(segment),
        tags=tuple(tag),
        statuses=tuple(status),
        not_visited_days=not_visited_days,
        territory_id=territory_id,
        rep_id=rep_id,
    )


Filters = Annotated[CustomerFilter, Depends(filter_of)]


@routes.get(
    "/search/radius",
    response_class=GeoJsonResponse,
    responses={200: {"model": FoundCustomers}},
)
async def search_radius(
    request: Request,
    glance: Glancing,
    caller: Detail,
    place: AtPlace,
    wanted: Filters,
    radius_m: Annotated[
        float, Query(gt=0, le=LARGEST_RADIUS_M, allow_inf_nan=False, examples=[3000])
    ],
    limit: Annotated[int, Query(ge=1, le=1000, description="The nearest ones")] = 100,
) -> Response:
    """Return the customers within a distance of a point, nearest first."""
    body = await repository.find_customers(
        glance, caller.scope, place.lon, place.lat, radius_m, wanted, limit, _links(request)
    )
    return GeoJsonResponse(body)


@routes.get(
    "/search/nearest",
    response_class=GeoJsonResponse,
    responses={200: {"model": FoundCustomers}},
)
async def search_nearest(
    request: Request,
    glance: Glancing,
    caller: Detail,
    place: AtPlace,
    wanted: Filters,
    k: Annotated[int, Query(ge=1, le=1000, description="How many")] = 10,
) -> Response:
    """Return the customers nearest to a point, however far they are."""
    body = await repository.find_customers(
        glance, caller.scope, place.lon, place.lat, None, wanted, k, _links(request)
    )
    return GeoJsonResponse(body)


@routes.post(
    "/search/polygon",
    response_class=GeoJsonResponse,
    responses={200: {"model": CustomersInArea}},
)
async def search_polygon(
    body: SearchedArea, session: Reading, caller: Detail, page: PagingParameters
) -> Response:
    """Return the customers in an area, by id; it may cross 180°, and its border is inside."""
    # Checking tens of thousands of vertices takes a while.
    area = await asyncio.to_thread(_area, body.geometry)
    features, ids = await repository.find_in_area(
        session, caller.scope, area, body.as_filter(), page.after, page.limit
    )
    links = [{**link.model_dump(), "type": GEOJSON} for link in page.links(ids)]
    count = str(min(len(ids), page.limit)).encode()
    return GeoJsonResponse(
        b'{"type":"FeatureCollection","features":'
        + features
        + b',"numberReturned":'
        + count
        + b',"links":'
        + orjson.dumps(links)
        + b"}"
    )


@routes.post(
    "/search/polygon:batch",
    response_class=JsonBytes,
    responses={200: {"model": FoundInEachArea}},
)
async def search_polygon_many(body: AreaBatch, session: Reading, caller: Detail) -> Response:
    """Return the first customers in each of up to 100 areas, as `/search/polygon` finds them."""
    _refuse_too_many(len(body.areas), "areas", body.limit, "/limit")
    areas = await asyncio.to_thread(_areas, body.areas)
    return JsonBytes(
        await repository.find_in_each_area(
            session, caller.scope, areas, body.as_filter(), body.limit
        )
    )


@routes.post(
    "/search/radius:batch",
    response_class=JsonBytes,
    responses={200: {"model": FoundAroundEach}},
)
async def search_radius_many(body: RadiusBatch, session: Reading, caller: Detail) -> Response:
    """Return the customers within a distance of each of up to 1,000 places."""
    _refuse_too_many(len(body.points), "places", body.limit, "/limit")
    return JsonBytes(
        await repository.find_around_each(
            session, caller.scope, body.places, body.radius_m, body.as_filter(), body.limit
        )
    )


@routes.post(
    "/search/nearest:batch",
    response_class=JsonBytes,
    responses={200: {"model": FoundAroundEach}},
)
async def search_nearest_many(body: NearestBatch, session: Reading, caller: Detail) -> Response:
    """Return the customers nearest to each of up to 1,000 places."""
    _refuse_too_many(len(body.points), "places", body.k, "/k")
    return JsonBytes(
        await repository.find_around_each(
            session, caller.scope, body.places, None, body.as_filter(), body.k
        )
    )


def _refuse_too_many(n_asked: int, what: str, limit: int, pointer: str) -> None:
    if n_asked * limit > MOST_FOUND:
        detail = f"{n_asked} {what} times {limit} are more than {MOST_FOUND:,} customers"
        raise InvalidInput("Ask for less at once.", [Fault("too-many", detail, pointer)])


def _area(geometry: dict[str, Any]) -> Polygonal:
    try:
        return polygon_from_geojson(geometry)
    except GeometryError as error:
        raise _refusal(error, "/geometry") from None


def _areas(geometries: list[dict[str, Any]]) -> list[Polygonal]:
    try:
        return polygons_from_geojson(geometries)
    except GeometryError as error:
        raise _refusal(error, "/areas") from None


def _refusal(error: GeometryError, member: str) -> InvalidInput:
    fault = Fault(error.code.replace("_", "-"), error.message, member + error.pointer)
    return InvalidInput("The geometry cannot be used.", [fault])


def _links(request: Request) -> bytes:
    query = urlencode(request.query_params.multi_items())
    link = Link(rel="self", href=f"{request.url.path}?{query}", type=GEOJSON)
    return orjson.dumps([link.model_dump()])
