"""Territory lookup: logical ancestors of a point's cell against the cells of the plan in force."""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, text

from app.db import scope as scopes
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import Plan, Publication, Rep, Territory, TerritoryOwner
from app.territories.schemas import Placement, RepRef, TerritoryRef
from geo.cells import CUSTOMER_RESOLUTION, ancestors, cell_to_text, cells_from_points

Cells = NDArray[np.uint64]

LOOKUP = text("""
    -- Which of these cells are in the plan; one row per cell that is.
    SELECT cell, territory_id FROM plan_cell
    WHERE plan_id = :plan_id AND cell = ANY(CAST(:cells AS bigint[]))
""")


async def find_territories(
    session: AnySession,
    scope: Scope,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    layer_id: int | None,
    as_of: datetime | None,
) -> list[list[Placement]]:
    """Return, for each of n points, the territories that hold it at an instant, one per layer.

    A point's membership is logical: the ancestors of its resolution-12 cell decide, not the
    outline. Points in no territory, or in none within the scope, get an empty list.
    """
    points = cells_from_points(lon, lat, CUSTOMER_RESOLUTION)
    placements: list[list[Placement]] = [[] for _ in range(len(points))]
    for publication in await _publications(session, layer_id, as_of):
        found = await _lookup(session, publication, points)
        territories = await _territories(session, scope, publication.plan_id, as_of)
        for index, (cell, territory_id) in found.items():
            row = territories.get(territory_id)
            if row is not None:
                placements[index].append(_placement(publication, row, cell))
    return placements


async def _publications(
    session: AnySession, layer_id: int | None, as_of: datetime | None
) -> list[Any]:
    instant = func.now() if as_of is None else as_of
    statement = (
        select(Publication.id, Publication.layer_id, Publication.plan_id, Plan.resolutions)
        .join(Plan, Plan.id == Publication.plan_id)
        .where(Publication.during.contains(instant))
        .order_by(Publication.layer_id)
    )
    if layer_id is not None:
        statement = statement.where(Publication.layer_id == layer_id)
    return list((await session.execute(statement)).all())


async def _lookup(
    session: AnySession, publication: Any, points: Cells
) -> dict[int, tuple[int, int]]:
    """Return index of the point → (deciding cell, territory id) for points inside the plan."""
    found: dict[int, tuple[int, int]] = {}
    for resolution in publication.resolutions:
        candidates = ancestors(points, resolution)
        wanted = np.unique(candidates).astype(np.int64).tolist()
        parameters = {"plan_id": publication.plan_id, "cells": wanted}
        owners: dict[int, int] = dict((await session.execute(LOOKUP, parameters)).all())
        for index, cell in enumerate(candidates.tolist()):
            if cell in owners:
                found[index] = (cell, owners[cell])
    return found


async def _territories(
    session: AnySession, scope: Scope, plan_id: int, as_of: datetime | None
) -> dict[int, Any]:
    instant = func.now() if as_of is None else as_of
    owned = (TerritoryOwner.territory_id == Territory.id) & TerritoryOwner.during.contains(instant)
    rows = await session.execute(
        select(
            Territory.id,
            Territory.code,
            Territory.name,
            Rep.id.label("rep_id"),
            Rep.name.label("rep_name"),
        )
        .outerjoin(TerritoryOwner, owned)
        .outerjoin(Rep, Rep.id == TerritoryOwner.rep_id)
        .where(Territory.plan_id == plan_id, scopes.territories(scope))
    )
    return {row.id: row for row in rows}


def _placement(publication: Any, row: Any, cell: int) -> Placement:
    return Placement(
        layer_id=publication.layer_id,
        plan_id=publication.plan_id,
        publication_id=publication.id,
        territory=TerritoryRef(id=row.id, code=row.code, name=row.name),
        rep=None if row.rep_id is None else RepRef(id=row.rep_id, name=row.rep_name),
        cell=cell_to_text(cell),
    )
