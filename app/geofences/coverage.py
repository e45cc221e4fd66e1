"""How many customers a group of fences covers, and how often."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, case, func, literal_column, select, text, true
from sqlalchemy.exc import DBAPIError

from app.auth import FEWEST_SHOWN, Caller
from app.auth.few import hidden_parts, is_few
from app.db import scope as scopes
from app.db.customer_filter import CustomerFilter
from app.db.heat import heat_rows, read_packed
from app.db.heat_sums import Sums as HeatSums
from app.db.scope import EVERYTHING, Scope
from app.db.session import AnySession, WriteSession, sqlstate
from app.db.spatial import is_on_edge
from app.db.tables import Customer, Geofence, GeofenceCell
from app.errors import Fault, InvalidInput, NotFound
from app.geofences.anchor_schemas import Coverage, FenceCoverage, Overlap, Sums, WithoutReport
from geo.cell_sets import positions_in
from geo.cells import area_km2, cells_from_points, mean_area_km2, points_from_cells
from geo.sphere import polygon_area_km2

MEASURES = ("customers", "work_minutes", "potential")
# Finding a pair takes 6 µs, and a statement may take 10 s.
MOST_PAIRS = 1_500_000
# By cells of this resolution, of 253 km², pairs are estimated: there are few of them.
ROUGH = 5
KM_PER_DEGREE = 111.2
# What PostgreSQL says when it gives up a statement.
OUT_OF_TIME = "57014"
Shapes = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Hiding:
    """What a caller without the right to detail is not shown: numbers of a few customers."""

    is_on: bool

    def hides(self, customers: int) -> bool:
        """Tell whether a number is of so few customers that they could be known by it."""
        return self.is_on and is_few(customers, FEWEST_SHOWN)

    def parts(self, counts: list[int]) -> list[int | None]:
        """Return the parts of a known sum, without those that tell of a few customers."""
        hidden = hidden_parts(counts, FEWEST_SHOWN if self.is_on else 1)
        return [None if is_hidden else n for n, is_hidden in zip(counts, hidden, strict=True)]


async def coverage_of(session: AnySession, caller: Caller, group: str) -> Coverage:
    """Return the report of a group.

    Raises
    ------
    NotFound
        When no fence is of the group.
    InvalidInput
        When its fences hold customers too many times.
    """
    statement = select(Geofence.id, Geofence.name, func.ST_AsBinary(Geofence.geom))
    fences = (
        await session.execute(statement.where(Geofence.group_name == group).order_by(Geofence.id))
    ).all()
    if not fences:
        raise NotFound(f"There is no geofence of the group {group!r}.")
    shapes = await asyncio.to_thread(_shapes, [bytes(wkb) for _, _, wkb in fences])
    await _refuse_too_many_pairs(session, shapes)
    covered_km2 = await asyncio.to_thread(_area_km2, shapes)
    total = (await session.execute(total_of(caller.scope))).one()
    covered = (await session.execute(covered_of(caller.scope, group))).all()
    hiding = Hiding(not caller.sees_detail)
    times = {row.times: row.customers for row in covered if row.fence_id is None}
    n_covered = sum(times.values())
    by_times = [total.customers - n_covered, times.get(1, 0), times.get(2, 0), times.get(3, 0)]
    none, one, two, more = hiding.parts(by_times)
    is_hidden = none is None or hiding.hides(n_covered)
    sums = [sum(getattr(row, name) for row in covered if row.fence_id is None) for name in MEASURES]
    of_all = _sums([getattr(total, name) for name in MEASURES], hiding.hides(total.customers))
    of_covered = _sums(sums, is_hidden)
    inside = {row.fence_id: (row.customers, row.alone) for row in covered if row.fence_id}
    return Coverage(
        group=group,
        n_geofences=len(fences),
        area_km2=covered_km2,
        total=of_all,
        covered=of_covered,
        share={name: _share(getattr(of_covered, name), getattr(of_all, name)) for name in MEASURES},
        covered_by=Overlap(none=none, one=one, two=two, three_or_more=more),
        geofences=_fences([(row[0], row[1]) for row in fences], inside, hiding),
    )


async def report_of_circles(
    session: WriteSession, caller: Caller, group: str
) -> Coverage | WithoutReport:
    """Return the report of circles that were just made, or why there is none: they stay."""
    try:
        async with session.begin_nested():
            return await coverage_of(session, caller, group)
    except InvalidInput as refusal:
        reason = refusal.faults[0].detail
    except DBAPIError as error:
        if sqlstate(error) != OUT_OF_TIME:
            raise
        reason = "the database was given no more time for it"
    counted = select(func.count()).where(Geofence.group_name == group)
    n_geofences = (await session.execute(counted)).scalar_one()
    return WithoutReport(group=group, n_geofences=n_geofences, no_report=reason)


async def _refuse_too_many_pairs(session: AnySession, shapes: Shapes) -> None:
    statement = heat_rows(EVERYTHING, "customers", CustomerFilter(), ROUGH, None, 1)
    sums = await read_packed(session, statement)
    pairs = await asyncio.to_thread(expected_pairs, shapes, sums)
    if pairs > MOST_PAIRS:
        # How many is not said: not every caller may know of so many customers.
        detail = (
            f"its geofences hold customers more than {MOST_PAIRS:,} times, each counted in every "
            "one, which takes too long: group fewer or smaller ones"
        )
        fault = Fault("too-many-pairs", detail, "/query/group")
        raise InvalidInput("This group is too large for a report.", [fault])


def expected_pairs(shapes: Shapes, sums: HeatSums) -> float:
    """Return about how many pairs of a customer and a fence that holds it there are.

    Of a cell whose centre is in a fence all customers count; of the cell round a fence that is
    smaller than a cell, as many as are on ground of its size.
    """
    within = shapely.point_on_surface(shapes)
    lon, lat = shapely.get_x(within), shapely.get_y(within)
    size_km2 = shapely.area(shapes) * KM_PER_DEGREE**2 * np.cos(np.radians(lat))
    is_small = size_km2 < mean_area_km2(ROUGH)
    points: Shapes = np.asarray(shapely.points(*points_from_cells(sums.cells)), dtype=np.object_)
    _, inside = shapely.STRtree(points).query(shapes[~is_small], "intersects")
    around = positions_in(sums.cells, cells_from_points(lon[is_small], lat[is_small], ROUGH))
    is_there = around >= 0
    density = sums.customers[around[is_there]] / area_km2(sums.cells[around[is_there]])
    return float(sums.customers[inside].sum() + density @ size_km2[is_small][is_there])


def total_of(scope: Scope) -> Select[Any]:
    """Select the sums over all customers in scope."""
    return select(*_measures(Customer)).where(
        Customer.status != "inactive", scopes.customers_at_large(scope)
    )


def covered_of(scope: Scope, group: str) -> Select[Any]:
    """Select sums by the number of fences (fence_id null; 3 is 3 or more), and by fence."""
    held = _held(group).cte("held").prefix_with("MATERIALIZED", dialect="postgresql")
    per_customer = (
        select(
            held.c.customer_id,
            func.count().label("times"),
            func.array_agg(held.c.fence_id).label("fences"),
        )
        .group_by(held.c.customer_id)
        .subquery("per_customer")
    )
    mine = (
        select(
            func.least(per_customer.c.times, 3).label("times"),
            per_customer.c.fences,
            Customer.work_minutes,
            Customer.potential,
        )
        .join(Customer, Customer.id == per_customer.c.customer_id)
        .where(Customer.status != "inactive", scopes.customers_at_large(scope))
        .cte("mine")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    nothing: ColumnElement[Any] = literal_column("NULL::bigint")
    by_times = select(
        nothing.label("fence_id"), mine.c.times, nothing.label("alone"), *_measures(mine.c)
    ).group_by(mine.c.times)
    each = func.unnest(mine.c.fences).table_valued("fence_id").render_derived(name="each")
    by_fence = (
        select(
            each.c.fence_id,
            literal_column("0"),
            func.sum(case((mine.c.times == 1, 1), else_=0)),
            *_measures(mine.c),
        )
        .select_from(mine)
        .join(each, true())
        .group_by(each.c.fence_id)
    )
    return cast("Select[Any]", by_times.union_all(by_fence))


def _held(group: str) -> Any:
    """Select pairs of a customer and a fence that holds it; each kind by its own index."""
    columns = Customer.id.label("customer_id"), Geofence.id.label("fence_id")
    of_group = Geofence.group_name == group
    polygons = select(*columns).join(
        Customer, func.ST_Intersects(Geofence.geom, Customer.geom)
    ).where(of_group, Geofence.kind == "polygon")  # fmt: skip
    # What the map has in several places may be inside where it is not written.
    at_edge = select(*columns).join(
        Customer,
        is_on_edge(Customer.geom)
        & func.ST_Intersects(Geofence.geom, func.everywhere_on_map(Customer.geom))
        & ~func.ST_Intersects(Geofence.geom, Customer.geom),
    ).where(of_group, Geofence.kind == "polygon")  # fmt: skip
    circles = select(*columns).join(
        Customer,
        func.ST_DWithin(Customer.geog, func.geography(Geofence.centre), Geofence.radius_m),
    ).where(of_group, Geofence.centre.is_not(None))  # fmt: skip
    first, last = func.cell_first(GeofenceCell.cell), func.cell_last(GeofenceCell.cell)
    resident = (
        select(Customer.id)
        .where(Customer.cell.between(first, last))
        # See `members._in_cells`.
        .offset(0)
        .correlate(GeofenceCell)
        .lateral("resident")
    )
    cells = (
        select(resident.c.id, Geofence.id)
        .select_from(Geofence)
        .join(GeofenceCell, GeofenceCell.geofence_id == Geofence.id)
        .join(resident, true())
        .where(of_group)
    )
    return polygons.union_all(at_edge, circles, cells)


def _measures(table: Any) -> list[Any]:
    return [
        func.count().label("customers"),
        func.coalesce(func.sum(table.work_minutes), text("0")).label("work_minutes"),
        func.coalesce(func.sum(table.potential), text("0")).label("potential"),
    ]


def _fences(
    fences: list[tuple[int, str]], inside: dict[int, tuple[int, int]], hiding: Hiding
) -> list[FenceCoverage]:
    found = [inside.get(fence_id, (0, 0)) for fence_id, _ in fences]
    alone = hiding.parts([only for _, only in found])
    return [
        FenceCoverage(
            geofence_id=fence_id,
            name=name,
            customers=None if hiding.hides(customers) else customers,
            # What it shares with others is the difference of the two.
            exclusively=None if hiding.hides(customers - only) else shown,
        )
        for (fence_id, name), (customers, only), shown in zip(fences, found, alone, strict=True)
    ]


def _sums(values: list[Any], is_hidden: bool) -> Sums:
    customers, work_minutes, potential = [None] * 3 if is_hidden else values
    return Sums(customers=customers, work_minutes=work_minutes, potential=potential)


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _shapes(blocks: list[bytes]) -> Shapes:
    shapes: Shapes = shapely.from_wkb(np.array(blocks, dtype=np.object_))
    return shapes


def _area_km2(shapes: Shapes) -> float:
    return round(polygon_area_km2(shapely.union_all(shapes)), 3)
