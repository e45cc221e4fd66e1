"""Search over HTTP."""

from typing import Annotated
from urllib.parse import urlencode

import orjson
from fastapi import Depends, Query, Request, Response

from app.auth import Anyone
from app.db.customer_filter import CustomerFilter
from app.http.dependencies import Reading
from app.http.paging import Link
from app.http.places import GEOJSON, AtPlace, GeoJsonResponse
from app.http.routing import router
from app.http.values import Label, ServiceClass, Status
from app.search import repository
from app.search.schemas import FoundCustomers

routes = router("search")

LARGEST_RADIUS_M = 500_000


def filter_of(
    class_: Annotated[list[ServiceClass], Query(alias="class")] = [],  # noqa: B006
    segment: Annotated[list[Label], Query(max_length=50)] = [],  # noqa: B006
    tag: Annotated[list[Label], Query(description="All of these", max_length=50)] = [],  # noqa: B006
    status: Annotated[list[Status], Query(description="By default any")] = [],  # noqa: B006
    not_visited_days: Annotated[
        int | None, Query(ge=0, le=36_500, description="Never visited, or not for so many days")
    ] = None,
    territory_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> CustomerFilter:
    """Read the filters: every one given must hold, values of one are alternatives."""
    return CustomerFilter(
        classes=tuple(class_),
        segments=tuple(segment),
        tags=tuple(tag),
        statuses=tuple(status),
        not_visited_days=not_visited_days,
        territory_id=territory_id,
    )


Filters = Annotated[CustomerFilter, Depends(filter_of)]


@routes.get(
    "/search/radius",
    response_class=GeoJsonResponse,
    responses={200: {"model": FoundCustomers}},
)
async def search_radius(
    request: Request,
    session: Reading,
    caller: Anyone,
    place: AtPlace,
    wanted: Filters,
    radius_m: Annotated[
        float, Query(gt=0, le=LARGEST_RADIUS_M, allow_inf_nan=False, examples=[3000])
    ],
    limit: Annotated[int, Query(ge=1, le=1000, description="The nearest ones")] = 100,
) -> Response:
    """Return the customers within a distance of a point, nearest first."""
    body = await repository.find_customers(
        session, caller.scope, place.lon, place.lat, radius_m, wanted, limit, _links(request)
    )
    return GeoJsonResponse(body)


@routes.get(
    "/search/nearest",
    response_class=GeoJsonResponse,
    responses={200: {"model": FoundCustomers}},
)
async def search_nearest(
    request: Request,
    session: Reading,
    caller: Anyone,
    place: AtPlace,
    wanted: Filters,
    k: Annotated[int, Query(ge=1, le=1000, description="How many")] = 10,
) -> Response:
    """Return the customers nearest to a point, however far they are."""
    body = await repository.find_customers(
        session, caller.scope, place.lon, place.lat, None, wanted, k, _links(request)
    )
    return GeoJsonResponse(body)


def _links(request: Request) -> str:
    query = urlencode(request.query_params.multi_items())
    link = Link(rel="self", href=f"{request.url.path}?{query}", type=GEOJSON)
    return orjson.dumps([link.model_dump()]).decode()
