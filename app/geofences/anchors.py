"""Making service circles and catchments round a set of anchors, all of them or none."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from sqlalchemy import text

from app.db.session import AnySession, WriteSession
from app.errors import Conflict, Fault, InvalidInput
from app.geofences import repository
from app.geofences.anchor_schemas import (
    MOST_CATCHMENT_CELLS,
    MOST_PAIRS,
    Anchor,
    Catchment,
    CatchmentReport,
    Catchments,
    Demand,
    ServiceCircles,
)
from app.geofences.shapes import check_place
from geo import gravity
from geo.antimeridian import Polygonal
from geo.cells import CellArray, IntArray
from geo.circle import circle_outline
from geo.errors import TooManyCellsError
from geo.outlines import territory_outlines
from geo.sphere import FloatArray

INSERT = text("""
    -- A fence per anchor; ids rise in the order given.
    INSERT INTO geofence (kind, name, group_name, geom, centre, radius_m, attributes, model)
    SELECT :kind, name, :group, ST_Multi(ST_GeomFromWKB(wkb, 4326)),
        CASE WHEN CAST(:radius_m AS float) IS NOT NULL
            THEN ST_SetSRID(ST_MakePoint(lon, lat), 4326) END,
        CAST(:radius_m AS float), CAST(attributes AS jsonb), CAST(model AS jsonb)
    FROM unnest(CAST(:names AS text[]), CAST(:lon AS float[]), CAST(:lat AS float[]),
        CAST(:outlines AS bytea[]), CAST(:attributes AS text[]), CAST(:models AS text[]))
        WITH ORDINALITY AS given (name, lon, lat, wkb, attributes, model, n)
    ORDER BY n
    RETURNING id
""")
DEMAND = text("""
    -- What is in each cell, by the rollup: at most two seconds behind the customers.
    SELECT n, sum(customers), sum(work_minutes), sum(potential)
    FROM unnest(CAST(:cells AS bigint[])) WITH ORDINALITY AS wanted (cell, n)
    JOIN activity_cell ON activity_cell.resolution = :resolution
        AND activity_cell.cell = wanted.cell
    GROUP BY n
""")
TAKEN = text("SELECT EXISTS (SELECT FROM geofence WHERE group_name = :group)")


async def create_service_circles(session: WriteSession, body: ServiceCircles) -> list[int]:
    """Insert a circle per anchor and return their ids in the order given.

    Raises
    ------
    InvalidInput
        When an anchor is not on Earth.
    Conflict
        When the group has fences already: its report would be about both.
    """
    lon, lat = _places(body.anchors)
    await _refuse_taken(session, body.group)
    outlines = await asyncio.to_thread(
        lambda: [circle_outline(x, y, body.radius_m) for x, y in zip(lon, lat, strict=True)]
    )
    models = [{"lon": x, "lat": y} for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    return await _insert(session, "service_circle", body, body.anchors, outlines, models)


async def create_catchments(session: WriteSession, body: Catchments) -> CatchmentReport:
    """Insert a set of cells per anchor that is the likeliest anywhere, and return the report.

    Raises
    ------
    InvalidInput
        When an anchor is not on Earth, or cells would be too many; nothing is filled then.
    Conflict
        When the group has fences already.
    """
    lon, lat = _places(body.anchors)
    await _refuse_taken(session, body.group)
    try:
        cells, probabilities = await asyncio.to_thread(_model, body, lon, lat)
    except TooManyCellsError as error:
        fault = Fault(error.code.replace("_", "-"), error.message, "/resolution")
        raise InvalidInput("This model would have too many cells.", [fault]) from None
    winners = gravity.most_likely(probabilities, len(cells))
    demand = await _demand(session, cells, body.resolution)
    n_anchors = len(body.anchors)
    expected = [
        Demand(customers=customers, work_minutes=work, potential=potential)
        for customers, work, potential in zip(
            *(
                gravity.expected_demand(probabilities, column, n_anchors).tolist()
                for column in demand.T
            ),
            strict=True,
        )
    ]
    sizes = np.bincount(winners[winners >= 0], minlength=n_anchors)
    ids = await _store(session, body, cells, winners, expected)
    return CatchmentReport(
        group=body.group,
        n_cells=int(sizes.sum()),
        catchments=[
            Catchment(
                name=anchor.name,
                geofence_id=ids.get(j),
                n_cells=int(sizes[j]),
                expected=expected[j],
            )
            for j, anchor in enumerate(body.anchors)
        ],
    )


def _model(
    body: Catchments, lon: FloatArray, lat: FloatArray
) -> tuple[CellArray, gravity.Probabilities]:
    gravity.refuse_too_many_pairs(len(lon), body.max_distance_m, body.resolution, MOST_PAIRS)
    cells = gravity.cells_within(
        lon, lat, body.max_distance_m, body.resolution, MOST_CATCHMENT_CELLS
    )
    attraction = np.array([anchor.attraction for anchor in body.anchors])
    found = gravity.huff_probabilities(
        cells, lon, lat, attraction, body.distance_exponent, body.max_distance_m
    )
    return cells, found


async def _demand(session: AnySession, cells: CellArray, resolution: int) -> FloatArray:
    """Return customers, work and potential per cell, (n_cells, 3)."""
    demand = np.zeros((len(cells), 3))
    values = {"cells": cells.astype(np.int64).tolist(), "resolution": resolution}
    for n, *sums in await session.execute(DEMAND, values):
        demand[n - 1] = sums
    return demand


async def _store(
    session: WriteSession,
    body: Catchments,
    cells: CellArray,
    winners: IntArray,
    expected: list[Demand],
) -> dict[int, int]:
    """Insert the catchments that have cells; return their ids by the row of the anchor."""
    outlines = await asyncio.to_thread(territory_outlines, cells, winners, len(body.anchors))
    order = np.argsort(winners, kind="stable")
    rows, starts = np.unique(winners[order], return_index=True)
    sets = np.split(cells[order], starts[1:]) if len(rows) else []
    kept = [(int(j), own) for j, own in zip(rows, sets, strict=True) if j >= 0]
    if not kept:
        return {}
    anchors = [body.anchors[j] for j, _ in kept]
    models = [
        {
            "lon": anchor.lon,
            "lat": anchor.lat,
            "attraction": anchor.attraction,
            "distance_exponent": body.distance_exponent,
            "max_distance_m": body.max_distance_m,
            "resolution": body.resolution,
            "expected": expected[j].model_dump(),
        }
        for anchor, (j, _) in zip(anchors, kept, strict=True)
    ]
    drawn = [outlines[j] for j, _ in kept]
    ids = await _insert(session, "catchment", body, anchors, drawn, models)
    await repository.add_cells(session, ids, [own for _, own in kept])
    return {j: fence_id for (j, _), fence_id in zip(kept, ids, strict=True)}


async def _insert(
    session: WriteSession,
    kind: str,
    body: ServiceCircles | Catchments,
    anchors: Sequence[Anchor],
    outlines: list[Polygonal],
    models: list[dict[str, Any]],
) -> list[int]:
    values = {
        "kind": kind,
        "group": body.group,
        "radius_m": body.radius_m if isinstance(body, ServiceCircles) else None,
        "names": [anchor.name for anchor in anchors],
        "lon": [anchor.lon for anchor in anchors],
        "lat": [anchor.lat for anchor in anchors],
        "outlines": [outline.wkb for outline in outlines],
        "attributes": [orjson.dumps(anchor.attributes).decode() for anchor in anchors],
        "models": [orjson.dumps(model).decode() for model in models],
    }
    return sorted((await session.scalars(INSERT, values)).all())


async def _refuse_taken(session: WriteSession, group: str) -> None:
    if await session.scalar(TAKEN, {"group": group}):
        fault = Fault("taken", "delete the group first, or name another one", "/group")
        raise Conflict(f"The group {group!r} has geofences already.", [fault])


def _places(anchors: Sequence[Anchor]) -> tuple[FloatArray, FloatArray]:
    for index, anchor in enumerate(anchors):
        check_place(anchor.lon, anchor.lat, f"/anchors/{index}")
    lon = np.array([anchor.lon for anchor in anchors], dtype=np.float64)
    lat = np.array([anchor.lat for anchor in anchors], dtype=np.float64)
    return lon, lat
