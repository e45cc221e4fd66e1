"""Territory lookup and white space over HTTP."""

from typing import Annotated

import numpy as np
from fastapi import Query, Response

from app.auth import FEWEST_SHOWN, Anyone, Detail, Glancing, Reading
from app.http.paging import Page, PagingParameters
from app.http.places import AtPlace, JsonBytes
from app.http.routing import router
from app.http.values import Instant
from app.territories import repository, white_space
from app.territories.schemas import (
    BatchPlacements,
    LookupBatch,
    Placements,
    UncoveredCount,
    UncoveredCustomer,
)

routes = router("territories")

OfLayer = Annotated[int, Query(ge=1, lt=2**63, description="Layer id")]


@routes.get("/territories/at", response_class=JsonBytes, responses={200: {"model": Placements}})
async def find_territories_at(
    place: AtPlace,
    glance: Glancing,
    caller: Anyone,
    layer: Annotated[int | None, Query(ge=1, lt=2**63, description="Layer id")] = None,
    as_of: Annotated[Instant | None, Query(description="By default now")] = None,
) -> Response:
    """Return the territories that hold a point, one per layer with a plan in force."""
    return JsonBytes(
        await repository.find_at(glance, caller.scope, place.lon, place.lat, layer, as_of)
    )


@routes.post(
    "/territories/at:batch", response_class=JsonBytes, responses={200: {"model": BatchPlacements}}
)
async def find_territories_at_many(body: LookupBatch, session: Reading, caller: Anyone) -> Response:
    """Return the territories that hold each of up to 10,000 points, in the order given."""
    lon = np.array([point.lon for point in body.points])
    lat = np.array([point.lat for point in body.points])
    return JsonBytes(
        await repository.find_at_each(session, caller.scope, lon, lat, body.layer, body.as_of)
    )


@routes.get("/territories/white-space")
async def list_white_space(
    session: Reading, caller: Detail, layer: OfLayer, page: PagingParameters
) -> Page[UncoveredCustomer]:
    """List the customers of a layer that are in none of its territories in force.

    They come in the order of their H3 cells, neighbours after one another.

    They are in nobody's scope: callers who see their own territories only get an empty list.
    """
    found = await white_space.list_uncovered(
        session, caller.scope, layer, page.position, page.limit + 1
    )
    ids, cells = [customer.id for customer in found], [int(customer.cell, 16) for customer in found]
    return Page(items=found[: page.limit], links=page.links(ids, cells))


@routes.get("/territories/white-space/count")
async def count_white_space(session: Reading, caller: Anyone, layer: OfLayer) -> UncoveredCount:
    """Count the customers of a layer that are in none of its territories in force, by class.

    Counts of one to four are null for callers without a right to detail, and so is the sum then.
    """
    plan_id, counts = await white_space.count_uncovered(session, caller.scope, layer)
    is_hidden = not caller.sees_detail and any(0 < n < FEWEST_SHOWN for n in counts.values())
    shown = {name: None if is_hidden and 0 < n < FEWEST_SHOWN else n for name, n in counts.items()}
    return UncoveredCount(
        layer_id=layer,
        plan_id=plan_id,
        customers=None if is_hidden else sum(counts.values()),
        by_class=shown,
    )
