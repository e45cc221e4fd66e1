"""A layer and a plan, straight into the tables."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import func, insert, text
from sqlalchemy.dialects.postgresql import Range

from app.db.alignment import pack
from app.db.session import Database, WriteSession
from app.db.tables import Layer, Plan, Publication, Rep, Territory, TerritoryOwner
from geo.cells import cells_from_points, points_from_cells, resolutions
from geo.outlines import simplified_outlines, territory_outlines

ALWAYS = Range(datetime(2020, 1, 1, tzinfo=UTC), None)
Cells = NDArray[np.uint64]


def patch(lon: float, lat: float, size_deg: float, resolution: int) -> Cells:
    """The cells of a square round a point."""
    steps = np.linspace(-size_deg / 2, size_deg / 2, 120)
    lons, lats = np.meshgrid(lon + steps, lat + steps)
    return np.unique(cells_from_points(lons.ravel(), lats.ravel(), resolution))


def quarters(cells: Cells) -> NDArray[np.int64]:
    """Four territories: south-west, south-east, north-west, north-east."""
    lon, lat = points_from_cells(cells)
    return (lon > np.median(lon)) * 1 + (lat > np.median(lat)) * 2


async def add_plan(
    database: Database,
    cells: Cells,
    alignment: NDArray[np.int64],
    *,
    layer: str = "field",
    customer_filter: dict[str, Any] | None = None,
    is_published: bool = True,
) -> tuple[int, list[int]]:
    """Store a plan on a new layer, in force if published; return its id and its territories'."""
    n = int(alignment.max()) + 1
    outlines = territory_outlines(cells, alignment)
    overviews = simplified_outlines(outlines, 0.02)
    async with database.writing() as session:
        layer_id = await _inserted(
            session, Layer, name=layer, title=layer, customer_filter=customer_filter or {}
        )
        plan_id = await _inserted(
            session, Plan, layer_id=layer_id, name="Test", parameters={},
            resolutions=np.unique(resolutions(cells)).tolist(), n_territories=n,
            n_cells=len(cells), alignment=pack(cells, alignment), scores={}, manifest={},
            state="published" if is_published else "draft",
        )  # fmt: skip
        territories = []
        for ordinal, (outline, overview) in enumerate(zip(outlines, overviews, strict=True)):
            values = {
                "plan_id": plan_id,
                "ordinal": ordinal,
                "code": f"T{ordinal + 1:02d}",
                "name": f"Territory {ordinal + 1}",
                "colour": ordinal % 12,
                "scores": _scores(ordinal),
                "outline": _shape(outline),
                "label_point": _point(outline),
                "tile_outline": _mercator(outline),
                "tile_overview": _mercator(overview),
            }
            territories.append(await _inserted(session, Territory, **values))
        if is_published:
            await _publish(session, layer_id, plan_id, cells, [territories[i] for i in alignment])
    return plan_id, territories


async def add_owner(database: Database, territory_id: int, name: str) -> int:
    """Make a new rep responsible for a territory; return the rep's id."""
    async with database.writing() as session:
        rep_id = await _inserted(session, Rep, external_id=name, name=name)
        await _inserted(
            session, TerritoryOwner, territory_id=territory_id, rep_id=rep_id, during=ALWAYS
        )
    return rep_id


async def _publish(
    session: WriteSession, layer_id: int, plan_id: int, cells: Cells, owners: list[int]
) -> None:
    await _inserted(
        session, Publication, layer_id=layer_id, plan_id=plan_id, during=ALWAYS, published_by="test"
    )
    await session.execute(text("SELECT create_plan_partition(:id)"), {"id": plan_id})
    await session.execute(
        text(
            f"INSERT INTO plan_cell_{plan_id} SELECT :id, * FROM "
            "unnest(CAST(:cells AS bigint[]), CAST(:owners AS bigint[]))"
        ),
        {"id": plan_id, "cells": cells.astype(np.int64).tolist(), "owners": owners},
    )
    await session.execute(text("SELECT attach_plan_partition(:id)"), {"id": plan_id})


async def _inserted(session: WriteSession, table: Any, **values: Any) -> int:
    done = await session.execute(insert(table).values(**values).returning(table.id))
    return int(done.scalar_one())


def _scores(ordinal: int) -> dict[str, Any]:
    activity = {"customers": 10 + ordinal, "work_minutes": 600.5, "potential": 1000}
    return {"activity": activity, "imbalance": {"work_minutes": 0.01 * ordinal, "customers": 0}}


def _shape(geometry: Any) -> Any:
    return func.ST_Multi(func.ST_GeomFromWKB(shapely.to_wkb(geometry), 4326))


def _mercator(geometry: Any) -> Any:
    return func.ST_Transform(_shape(geometry), 3857)


def _point(geometry: Any) -> Any:
    point = geometry.representative_point()
    return func.ST_SetSRID(func.ST_MakePoint(point.x, point.y), 4326)
