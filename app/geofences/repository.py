"""Geofences in the database. They are ground, not customers: every caller may read all.

What a catchment may expect is the one thing of them that tells of customers: see `shown_to`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from psycopg.errors import UniqueViolation
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from app.auth import Caller
from app.db.scope import EVERYTHING, Scope
from app.db.session import AnySession, WriteSession
from app.db.spatial import point, touches
from app.db.tables import Geofence, GeofenceCell
from app.errors import Conflict, Fault, NotFound
from app.geofences.schemas import GeofenceBody, GeofenceSummary, GeofenceView
from app.geofences.shapes import Shape
from geo.bbox import BoundingBox
from geo.cells import CellArray, cells_to_text

# Everything but the geometry, which can be large.
SUMMARY: list[Any] = [
    Geofence.id,
    Geofence.name,
    Geofence.kind,
    Geofence.group_name.label("group"),
    Geofence.external_id,
    func.ST_X(Geofence.centre).label("lon"),
    func.ST_Y(Geofence.centre).label("lat"),
    Geofence.radius_m,
    Geofence.attributes,
    Geofence.version,
    Geofence.created_at,
    Geofence.updated_at,
]
ADD_CELLS = text("""
    INSERT INTO geofence_cell (cell, geofence_id)
    SELECT * FROM unnest(CAST(:cells AS bigint[]), CAST(:fences AS bigint[]))
""")


@dataclass(frozen=True, slots=True)
class FenceFilter:
    """Every member given must hold; empty members accept everything."""

    kinds: tuple[str, ...] = ()
    group: str | None = None
    external_id: str | None = None
    bbox: BoundingBox | None = None

    def conditions(self) -> list[Any]:
        """Return the predicates on `geofence`."""
        found: list[Any] = []
        if self.kinds:
            found.append(Geofence.kind.in_(self.kinds))
        if self.group is not None:
            found.append(Geofence.group_name == self.group)
        if self.external_id is not None:
            found.append(Geofence.external_id == self.external_id)
        if self.bbox is not None:
            found.append(touches(Geofence.geom, self.bbox))
        return found


async def create_geofence(
    session: WriteSession,
    kind: str,
    external_id: str | None,
    body: GeofenceBody,
    shape: Shape,
) -> int:
    """Insert a geofence and return its id.

    Raises
    ------
    Conflict
        When the external id is taken.
    """
    values = {"kind": kind, "external_id": external_id}
    statement = insert(Geofence).values(**values, **_content(body), **_ground(shape))
    try:
        async with session.begin_nested():
            fence_id: int = (await session.execute(statement.returning(Geofence.id))).scalar_one()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        fault = Fault("taken", "another geofence has this external id", "/external_id")
        raise Conflict(f"The external id {external_id!r} is taken.", [fault]) from None
    if shape.cells is not None:
        await add_cells(session, [fence_id], [shape.cells])
    return fence_id


async def change_geofence(
    session: WriteSession, fence_id: int, body: GeofenceBody, shape: Shape | None
) -> None:
    """Overwrite a geofence that was locked; without a shape its ground stays as it is."""
    values = {**_content(body), **({} if shape is None else _ground(shape))}
    values |= {"version": Geofence.version + 1, "updated_at": func.now()}
    await session.execute(update(Geofence).where(Geofence.id == fence_id).values(**values))
    if shape is not None and shape.cells is not None:
        await session.execute(delete(GeofenceCell).where(GeofenceCell.geofence_id == fence_id))
        await add_cells(session, [fence_id], [shape.cells])


async def add_cells(
    session: WriteSession, fence_ids: Sequence[int], sets: Sequence[CellArray]
) -> None:
    """Insert the cells of fences."""
    owners = np.repeat(np.array(fence_ids, dtype=np.int64), [len(cells) for cells in sets])
    cells = np.concatenate(sets).astype(np.int64)
    order = np.argsort(cells)
    values = {"cells": cells[order].tolist(), "fences": owners[order].tolist()}
    await session.execute(ADD_CELLS, values)


async def list_geofences(
    session: AnySession, scope: Scope, wanted: FenceFilter, after: int, limit: int
) -> list[GeofenceSummary]:
    """Return up to `limit` geofences in the order of their ids."""
    statement = select(*SUMMARY).where(Geofence.id > after, *wanted.conditions())
    rows = await session.execute(statement.order_by(Geofence.id).limit(limit))
    return [GeofenceSummary(**row._mapping) for row in rows]


async def get_geofence(session: AnySession, scope: Scope, fence_id: int) -> GeofenceView:
    """Return one geofence with its geometry.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    # 7 digits are a centimetre.
    geometry = func.ST_AsGeoJSON(Geofence.geom, 7).label("geometry")
    cells = select(func.array_agg(GeofenceCell.cell)).where(GeofenceCell.geofence_id == fence_id)
    columns = [*SUMMARY, geometry, Geofence.model, cells.scalar_subquery().label("cells")]
    row = (await session.execute(select(*columns).where(Geofence.id == fence_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no geofence {fence_id}.")
    shown = None if row.cells is None else cells_to_text(np.sort(np.array(row.cells, np.uint64)))
    geometry = orjson.loads(row.geometry)
    return GeofenceView(**{**row._mapping, "geometry": geometry, "cells": shown})


def shown_to(caller: Caller, fence: GeofenceView) -> GeofenceView:
    """Return a geofence without the sums over customers that the caller may not be told.

    What a catchment may expect was summed up over all customers. It counts each of them once at
    most, so that five expected ones are of five customers or more.
    """
    expected = (fence.model or {}).get("expected")
    if expected is None:
        return fence
    is_many = caller.fewest_shown == 1 or expected["customers"] >= caller.fewest_shown
    if caller.scope.is_unlimited and is_many:
        return fence
    model = {name: value for name, value in (fence.model or {}).items() if name != "expected"}
    return fence.model_copy(update={"model": model})


async def lock_geofence(session: WriteSession, fence_id: int) -> GeofenceView:
    """Return a geofence that nobody else can change until this transaction ends.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    await session.execute(select(Geofence.id).where(Geofence.id == fence_id).with_for_update())
    return await get_geofence(session, EVERYTHING, fence_id)


async def delete_geofence(session: WriteSession, fence_id: int) -> None:
    """Delete a geofence that was locked."""
    await session.execute(delete(Geofence).where(Geofence.id == fence_id))


async def delete_group(session: WriteSession, group: str) -> int:
    """Delete every geofence of a group; return how many there were."""
    gone = delete(Geofence).where(Geofence.group_name == group).returning(Geofence.id)
    return len((await session.scalars(gone)).all())


async def get_summaries(
    session: AnySession, scope: Scope, fence_ids: Sequence[int]
) -> list[GeofenceSummary]:
    """Return geofences by their ids, in the order of these."""
    statement = select(*SUMMARY).where(Geofence.id.in_(fence_ids)).order_by(Geofence.id)
    return [GeofenceSummary(**row._mapping) for row in await session.execute(statement)]


def _content(body: GeofenceBody) -> dict[str, Any]:
    return {"name": body.name, "group_name": body.group, "attributes": body.attributes}


def _ground(shape: Shape) -> dict[str, Any]:
    return {
        "geom": func.ST_Multi(func.ST_GeomFromWKB(shape.area.wkb, 4326)),
        "centre": None if shape.centre is None else point(*shape.centre),
        "radius_m": shape.radius_m,
    }
