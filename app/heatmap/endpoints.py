"""The heatmap over HTTP."""

from typing import Annotated, Literal

from fastapi import Query, Response

from app.activity.rollup import COARSEST, FINEST
from app.auth import Anyone
from app.errors import Fault, InvalidInput
from app.heatmap import service
from app.heatmap.repository import HeatRequest
from app.heatmap.schemas import HeatCells, HeatCollection, Measure
from app.http.dependencies import Reading
from app.http.places import GEOJSON, GeoJsonResponse, InBox
from app.http.routing import router
from app.http.values import Label, ServiceClass
from geo.tiles import MAX_ZOOM

routes = router("heatmap")

MEDIA_TYPES = {"geojson": GEOJSON, "cells": "application/json"}


@routes.get(
    "/heatmap",
    response_class=GeoJsonResponse,
    responses={
        200: {
            "description": "Hexagons with `format=geojson`, a table with `format=cells`",
            "model": HeatCollection,
            "content": {"application/json": {"schema": HeatCells.model_json_schema()}},
        }
    },
)
async def get_heatmap(
    session: Reading,
    caller: Anyone,
    bbox: InBox,
    measure: Annotated[Measure, Query(description="Density in customers per km²")] = "customers",
    zoom: Annotated[
        int | None, Query(ge=0, le=MAX_ZOOM, description="Takes the resolution fit for it")
    ] = None,
    resolution: Annotated[int | None, Query(ge=COARSEST, le=FINEST)] = None,
    class_: Annotated[list[ServiceClass], Query(alias="class")] = [],  # noqa: B006
    segment: Annotated[list[Label], Query(max_length=50)] = [],  # noqa: B006
    format: Annotated[Literal["geojson", "cells"], Query()] = "geojson",
) -> Response:
    """Return sums over customers per H3 cell, inactive ones not counted.

    Give either `zoom` or `resolution`; from resolution 5 on a `bbox` is needed. Changes of
    customers show within a few seconds.
    """
    wanted = HeatRequest(measure, bbox, tuple(class_), tuple(segment), format)
    if zoom is not None and resolution is None:
        body = await service.heat_for_zoom(session, caller.scope, wanted, zoom)
    elif resolution is not None and zoom is None:
        body = await service.heat_at_resolution(session, caller.scope, wanted, resolution)
    else:
        fault = Fault("one-of", "give either zoom or resolution", "/query/zoom")
        raise InvalidInput("Either zoom or resolution is needed.", [fault])
    return Response(body, media_type=MEDIA_TYPES[format])
