"""Territory lookup over HTTP."""

from typing import Annotated

import numpy as np
from fastapi import Query

from app.auth import Anyone
from app.http.dependencies import Reading
from app.http.places import AtPlace
from app.http.routing import router
from app.http.values import Instant
from app.territories import repository
from app.territories.schemas import BatchPlacements, LookupBatch, Placements

routes = router("territories")


@routes.get("/territories/at")
async def find_territories_at(
    place: AtPlace,
    session: Reading,
    caller: Anyone,
    layer: Annotated[int | None, Query(ge=1, lt=2**63, description="Layer id")] = None,
    as_of: Annotated[Instant | None, Query(description="By default now")] = None,
) -> Placements:
    """Return the territories that hold a point, one per layer with a plan in force."""
    places = await repository.find_territories(
        session, caller.scope, np.array([place.lon]), np.array([place.lat]), layer, as_of
    )
    return Placements(items=places[0])


@routes.post("/territories/at:batch")
async def find_territories_at_many(
    body: LookupBatch, session: Reading, caller: Anyone
) -> BatchPlacements:
    """Return the territories that hold each of up to 10,000 points, in the order given."""
    lon = np.array([point.lon for point in body.points])
    lat = np.array([point.lat for point in body.points])
    return BatchPlacements(
        items=await repository.find_territories(
            session, caller.scope, lon, lat, body.layer, body.as_of
        )
    )
