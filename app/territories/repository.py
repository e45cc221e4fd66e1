"""Territory lookup: logical ancestors of a point's cell against the cells of the plan in force.

One statement does it all: a place a millisecond away from its territory, rep and plan is not to be
asked about four times. PostgreSQL writes the JSON.
"""

from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import array

from app.db import scope as scopes
from app.db.glance import Glance
from app.db.prepared import Prepared, left_open
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.spatial import cell_parent
from app.db.tables import Layer, Plan, PlanCell, Publication, Rep, Territory, TerritoryOwner
from app.errors import NotFound
from geo.cells import CUSTOMER_RESOLUTION, cell_from_point, cells_from_points

PLACEMENT = """json_build_object(
    'layer_id', layer_id, 'plan_id', plan_id, 'publication_id', publication_id,
    'territory', json_build_object('id', territory_id, 'code', code, 'name', name),
    'rep', CASE WHEN rep_id IS NOT NULL
        THEN json_build_object('id', rep_id, 'name', rep_name) END,
    'cell', to_hex(cell))"""
AT_ONE = f"""
    -- The placements of one point as a document.
    convert_to(json_build_object('items', coalesce(
        json_agg({PLACEMENT} ORDER BY layer_id), '[]'))::text, 'UTF8')"""
OF_EACH = f"json_agg({PLACEMENT} ORDER BY layer_id)::text"
EMPTY = "[]"
# As PostgreSQL writes it.
NOTHING = b'{"items" : []}'
# Statements kept, one for each scope and layer.
MOST_KEPT = 512


async def find_at(
    glance: Glance,
    scope: Scope,
    lon: float,
    lat: float,
    layer_id: int | None,
    as_of: datetime | None,
) -> bytes:
    """Return the territories that hold a point at an instant, one per layer, as JSON bytes.

    A point's membership is logical: the ancestors of its resolution-12 cell decide, not the
    outline. Points in no territory, or in none within the scope, get an empty list.

    Raises
    ------
    NotFound
        When there is no such layer.
    """
    statement = _lookup(scope, layer_id, as_of is not None)
    cell = cell_from_point(lon, lat, CUSTOMER_RESOLUTION)
    (body,) = await glance.one(statement, cell=cell, as_of=as_of)
    if bytes(body) == NOTHING and layer_id is not None:
        # Asked only when nothing is found: where something is, there is a layer.
        (is_there,) = await glance.one(_is_layer(), layer_id=layer_id)
        if not is_there:
            raise NotFound(f"There is no layer {layer_id}.")
    return bytes(body)


@cache
def _is_layer() -> Prepared:
    return Prepared(select(exists().where(Layer.id == left_open("layer_id", BigInteger()))))


@lru_cache(maxsize=MOST_KEPT)
def _lookup(scope: Scope, layer_id: int | None, is_dated: bool) -> Prepared:
    """Return the statement for one point, its `cell` and the instant `as_of` left open."""
    cell = left_open("cell", BigInteger())
    as_of = left_open("as_of", DateTime(timezone=True)) if is_dated else None
    return Prepared(lookup_one(cell, scope, layer_id, as_of))


async def find_at_each(
    session: AnySession,
    scope: Scope,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    layer_id: int | None,
    as_of: datetime | None,
) -> bytes:
    """Return a list of placements for each of n points, in their order, as JSON bytes.

    Raises
    ------
    NotFound
        When there is no such layer.
    """
    cells = _cells(lon, lat)
    rows = (await session.execute(lookup_each(cells, scope, layer_id, as_of))).all()
    if not rows:
        await _refuse_missing(session, layer_id)
    items = [EMPTY] * len(cells)
    for nth, found in rows:
        items[nth - 1] = found
    return ('{"items":[' + ",".join(items) + "]}").encode()


async def _refuse_missing(session: AnySession, layer_id: int | None) -> None:
    # Asked only when nothing is found: where something is, there is a layer.
    if layer_id is not None and await session.get(Layer, layer_id) is None:
        raise NotFound(f"There is no layer {layer_id}.")


def lookup_one(
    cell: int | ColumnElement[int],
    scope: Scope,
    layer_id: int | None,
    as_of: ColumnElement[datetime] | None,
) -> Select[Any]:
    """Select the document of one point, by its cell at resolution 12."""
    placed = placements(cast(array([cell]), ARRAY(BigInteger)), scope, layer_id, as_of)
    return select(text(AT_ONE)).select_from(placed.subquery("placed"))


def lookup_each(
    cells: list[int], scope: Scope, layer_id: int | None, as_of: datetime | None
) -> Select[Any]:
    """Select the number (from 1) and the JSON list of each point that is in a territory."""
    instant = None if as_of is None else literal(as_of, DateTime(timezone=True))
    placed = placements(cast(cells, ARRAY(BigInteger)), scope, layer_id, instant).subquery("placed")
    found: ColumnElement[str] = literal_column(OF_EACH, Text())
    return select(placed.c.nth, found).group_by(placed.c.nth)


def placements(
    cells: ColumnElement[Any],
    scope: Scope,
    layer_id: int | None,
    as_of: ColumnElement[datetime] | None,
) -> Select[Any]:
    """Select a row for each point and layer with the territory, and who owns it at the instant."""
    instant = func.now() if as_of is None else as_of
    point = (
        func.unnest(cells).table_valued("cell", with_ordinality="nth").render_derived(name="point")
    )
    level = func.unnest(Plan.resolutions).table_valued("resolution").render_derived(name="level")
    ancestor = cell_parent(point.c.cell, level.c.resolution)
    rows = (
        point.join(Publication, Publication.during.contains(instant))
        .join(Plan, Plan.id == Publication.plan_id)
        .join(level, true())
        .join(PlanCell, and_(PlanCell.plan_id == Publication.plan_id, PlanCell.cell == ancestor))
        .join(Territory, Territory.id == PlanCell.territory_id)
        .outerjoin(
            TerritoryOwner,
            and_(
                TerritoryOwner.territory_id == Territory.id,
                TerritoryOwner.during.contains(instant),
            ),
        )
        # A limited caller's territory may have been somebody else's at the instant.
        .outerjoin(Rep, and_(Rep.id == TerritoryOwner.rep_id, scopes.reps(scope)))
    )
    statement = (
        select(
            point.c.nth,
            Publication.layer_id,
            Publication.plan_id,
            Publication.id.label("publication_id"),
            Territory.id.label("territory_id"),
            Territory.code,
            Territory.name,
            Rep.id.label("rep_id"),
            Rep.name.label("rep_name"),
            PlanCell.cell,
        )
        .select_from(rows)
        .where(scopes.territories(scope))
    )
    return statement if layer_id is None else statement.where(Publication.layer_id == layer_id)


def _cells(lon: Any, lat: Any) -> list[int]:
    found = cells_from_points(np.asarray(lon), np.asarray(lat), CUSTOMER_RESOLUTION)
    cells: list[int] = found.astype(np.int64).tolist()
    return cells
