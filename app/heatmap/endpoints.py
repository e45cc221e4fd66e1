"""The heatmap over HTTP."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, get_args

from fastapi import Depends, Query, Response

from app import __version__
from app.auth import Anyone, Reading
from app.auth.reticence import refuse_named_heat
from app.db.customer_filter import CustomerFilter
from app.db.heat import is_rolled_up
from app.db.heat_sums import COARSEST, FINEST, Measure
from app.errors import Fault, InvalidInput
from app.heatmap import service
from app.heatmap.repository import read_freshness
from app.heatmap.request import AnyMeasure, HeatRequest
from app.heatmap.schemas import HeatCells, HeatCollection, Month
from app.http.etags import IfNoneMatch, entity_tag, is_known
from app.http.places import GEOJSON, GeoJsonResponse, InBox
from app.http.routing import router
from app.http.values import Label, ServiceClass
from geo.tiles import MAX_ZOOM

routes = router("heatmap")

MEDIA_TYPES = {"geojson": GEOJSON, "cells": "application/json"}
CACHING = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}


async def filter_of(
    class_: Annotated[list[ServiceClass], Query(alias="class")] = [],  # noqa: B006
    segment: Annotated[list[Label], Query(max_length=50)] = [],  # noqa: B006
    status: Annotated[list[Literal["lead", "active"]], Query()] = [],  # noqa: B006
    tag: Annotated[list[Label], Query(max_length=50)] = [],  # noqa: B006
    not_visited_days: Annotated[int | None, Query(ge=0, le=36_500)] = None,
    territory_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    rep_id: Annotated[
        int | None, Query(ge=1, lt=2**63, description="Of the rep's territories in force")
    ] = None,
) -> CustomerFilter:
    """Read which customers count."""
    return CustomerFilter(
        classes=tuple(class_),
        segments=tuple(segment),
        statuses=tuple(status),
        tags=tuple(tag),
        not_visited_days=not_visited_days,
        territory_id=territory_id,
        rep_id=rep_id,
    )


@dataclass(frozen=True, slots=True)
class Level:
    """How fine: fit for a zoom, or a resolution; one of the two."""

    zoom: int | None
    resolution: int | None


async def level_of(
    zoom: Annotated[
        int | None, Query(ge=0, le=MAX_ZOOM, description="Takes the resolution fit for it")
    ] = None,
    resolution: Annotated[int | None, Query(ge=COARSEST, le=FINEST)] = None,
) -> Level:
    """Read how fine the answer is to be."""
    if (zoom is None) == (resolution is None):
        fault = Fault("one-of", "give either zoom or resolution", "/query/zoom")
        raise InvalidInput("Either zoom or resolution is needed.", [fault])
    return Level(zoom, resolution)


@routes.get(
    "/heatmap",
    response_class=GeoJsonResponse,
    responses={
        200: {
            "description": "Hexagons with `format=geojson`, a table with `format=cells`",
            "model": HeatCollection,
            "content": {"application/json": {"schema": HeatCells.model_json_schema()}},
        },
        304: {"description": "The answer is still what `If-None-Match` names"},
    },
)
async def get_heatmap(
    session: Reading,
    caller: Anyone,
    bbox: InBox,
    customers: Annotated[CustomerFilter, Depends(filter_of)],
    level: Annotated[Level, Depends(level_of)],
    measure: Annotated[
        AnyMeasure,
        Query(
            description="density: customers per km²; visit_gap: share of customers whose visit is "
            "overdue; hot_spot: z-score Gi* of Getis and Ord among the cells of the view; "
            "change: between two months; the others are sums"
        ),
    ] = "customers",
    of: Annotated[
        Measure | None, Query(description="What hot_spot and change are of; else not allowed")
    ] = None,
    rings: Annotated[
        int | None, Query(ge=1, le=3, description="Reach of the neighbourhood of hot_spot")
    ] = None,
    since: Annotated[Month | None, Query(alias="from", description="Month of change")] = None,
    until: Annotated[Month | None, Query(alias="to", description="Now, if not given")] = None,
    format: Annotated[Literal["geojson", "cells"], Query()] = "geojson",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return sums over customers per H3 cell, inactive ones not counted.

    Give either `zoom` or `resolution`; from resolution 5 on a `bbox` is needed. Changes of
    customers show within a few seconds. `status`, `tag` and `not_visited_days` are for views with
    up to 100,000 customers, `territory_id` and `rep_id` for territories with so many; viewers may
    not ask for these two.
    """
    _check_members(measure, of, rings, since, until)
    refuse_named_heat(caller, customers)
    wanted = HeatRequest(
        measure=measure,
        bbox=bbox,
        customers=customers,
        format=format,
        fewest=caller.fewest_shown,
        of=of or (measure if measure in get_args(Measure) else "customers"),  # type: ignore[arg-type]
        rings=rings or 1,
        since=since,
        until=until,
    )
    fresh = await read_freshness(session, caller.scope, wanted)
    etag = None
    if is_rolled_up(caller.scope, wanted.customers) and measure != "change":
        # The answer follows from these alone, so that it need not be computed to be known.
        etag = entity_tag(repr((__version__, wanted, level, fresh)).encode())
        if is_known(if_none_match, etag):
            return Response(status_code=304, headers={**CACHING, "ETag": etag})
    if level.resolution is None:
        assert level.zoom is not None
        body = await service.heat_for_zoom(session, caller.scope, wanted, level.zoom, fresh)
    else:
        body = await service.heat_at_resolution(
            session, caller.scope, wanted, level.resolution, fresh
        )
    headers = {**CACHING, "ETag": etag or entity_tag(body)}
    if is_known(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=MEDIA_TYPES[format], headers=headers)


def _check_members(
    measure: str, of: str | None, rings: int | None, since: date | None, until: date | None
) -> None:
    """Refuse parameters that have no meaning with the measure, so that none is passed over."""
    others = {
        "of": (of, ("hot_spot", "change")),
        "rings": (rings, ("hot_spot",)),
        "from": (since, ("change",)),
        "to": (until, ("change",)),
    }
    faults = [
        Fault("not-applicable", f"only with measure={' or '.join(measures)}", f"/query/{name}")
        for name, (value, measures) in others.items()
        if value is not None and measure not in measures
    ]
    if faults:
        raise InvalidInput("A parameter does not go with the measure.", faults)
