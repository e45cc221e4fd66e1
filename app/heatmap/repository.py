"""Sums per H3 cell; PostGIS writes the document."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, Double, Select, cast, func, or_, select, text
from sqlalchemy.dialects.postgresql import array

from app.db import scope as scopes
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.spatial import box
from app.db.tables import ActivityCell, CellShape, Customer
from app.heatmap.schemas import Measure
from geo.bbox import BoundingBox

MAX_CELLS = 20_000

SUMMARY = """
    -- Quantiles of the values as borders between up to seven classes. A class that began at the
    -- lowest value would leave none below it.
    'breaks', (
        SELECT coalesce(json_agg(edge ORDER BY edge), '[]')
        FROM (
            SELECT DISTINCT unnest(percentile_disc(
                ARRAY[1 / 7.0, 2 / 7.0, 3 / 7.0, 4 / 7.0, 5 / 7.0, 6 / 7.0]
            ) WITHIN GROUP (ORDER BY value)) AS edge
            FROM heat
        ) AS edges
        WHERE edge > (SELECT min(value) FROM heat)),
    'total', coalesce(
        CASE WHEN :measure = 'density' THEN sum(customers) / sum(area_km2) ELSE sum(value) END, 0),
    'measure', CAST(:measure AS text),
    'resolution', CAST(:resolution AS integer)
"""

DOCUMENTS = {
    "geojson": f"""
    -- The rows of `heat` as hexagons; those cut at 180° have two parts. 6 digits are 0.1 m.
    convert_to(json_build_object(
        'type', 'FeatureCollection',
        'features', coalesce(json_agg(json_build_object(
            'type', 'Feature',
            'id', to_hex(cell),
            'geometry', ST_AsGeoJSON(
                CASE ST_NumGeometries(geom) WHEN 1 THEN ST_GeometryN(geom, 1) ELSE geom END, 6
            )::json,
            'properties', json_build_object('cell', to_hex(cell), 'value', value)
        ) ORDER BY cell), '[]'),
        {SUMMARY}
    )::text, 'UTF8')""",
    "cells": f"""
    -- The rows of `heat` as pairs of cell and value.
    convert_to(json_build_object(
        'cells', coalesce(json_agg(json_build_array(to_hex(cell), value) ORDER BY cell), '[]'),
        {SUMMARY}
    )::text, 'UTF8')""",
}


@dataclass(frozen=True, slots=True)
class HeatRequest:
    """What is asked for; empty filters accept everything, no box means everywhere."""

    measure: Measure
    bbox: BoundingBox | None = None
    classes: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    format: Literal["geojson", "cells"] = "geojson"


async def read_heat(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int
) -> bytes | None:
    """Return the document at a resolution, or nothing when it would hold too many cells.

    Cells that touch the box and have customers, inactive ones not counted, are in it.
    """
    sums = _from_rollup if scope.is_unlimited else _from_customers
    heat = sums(scope, wanted, resolution).limit(MAX_CELLS + 1).cte("heat")
    statement = select(text(DOCUMENTS[wanted.format]), func.count()).select_from(heat)
    parameters = {"measure": wanted.measure, "resolution": resolution}
    body, n_cells = (await session.execute(statement, parameters)).one()
    return None if n_cells > MAX_CELLS else bytes(body)


def _from_rollup(scope: Scope, wanted: HeatRequest, resolution: int) -> Select[Any]:
    """Select sums per cell over the rollup, which an unlimited caller may read."""
    customers, amount = func.sum(ActivityCell.customers), func.sum(_amount(wanted, ActivityCell))
    return (
        select(*_columns(CellShape, wanted, customers, amount))
        .join(ActivityCell, ActivityCell.cell == CellShape.cell)
        .where(*_in_view(wanted, resolution), *_filters(wanted, ActivityCell))
        .group_by(CellShape.cell)
    )


def _from_customers(scope: Scope, wanted: HeatRequest, resolution: int) -> Select[Any]:
    """Select sums per cell over the customers in scope: coarse cells straddle territories."""
    sums = array([cast(func.count(), Double), func.sum(_amount(wanted, Customer))])
    of_cell = select(sums).where(
        # The descendants of a cell are one range of the index.
        Customer.cell >= func.cell_first(CellShape.cell),
        Customer.cell <= func.cell_last(CellShape.cell),
        Customer.status != "inactive",
        *_filters(wanted, Customer),
        scopes.customers(scope),
    )
    column = of_cell.correlate(CellShape).scalar_subquery().label("sums")
    # The offset has the sums computed once per cell, not once per mention below.
    cells = (
        select(CellShape.cell, CellShape.area_km2, CellShape.geom, column)
        .where(*_in_view(wanted, resolution))
        .offset(0)
        .subquery()
    )
    customers, amount = cells.c.sums[1], cells.c.sums[2]
    return select(*_columns(cells.c, wanted, customers, amount)).where(customers > 0)


def _columns(
    cells: Any, wanted: HeatRequest, customers: ColumnElement[Any], amount: ColumnElement[Any]
) -> list[Any]:
    customers = cast(customers, BigInteger)
    values = {"customers": customers, "density": customers / cells.area_km2}
    value = values.get(wanted.measure, amount).label("value")
    return [cells.cell, cells.area_km2, cells.geom, customers.label("customers"), value]


def _filters(
    wanted: HeatRequest, table: type[ActivityCell | Customer]
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.classes:
        conditions.append(table.class_.in_(wanted.classes))
    if wanted.segments:
        conditions.append(table.segment.in_(wanted.segments))
    return conditions


def _amount(wanted: HeatRequest, table: type[ActivityCell | Customer]) -> Any:
    """Return the column whose sum is the value, unless customers are counted."""
    others = {"potential": table.potential, "revenue": table.revenue}
    return others.get(wanted.measure, table.work_minutes)


def _in_view(wanted: HeatRequest, resolution: int) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [CellShape.resolution == resolution]
    if wanted.bbox is not None:
        boxes = (box(*part.as_tuple()) for part in wanted.bbox.parts())
        conditions.append(or_(*(func.ST_Intersects(CellShape.geom, part) for part in boxes)))
    return conditions
