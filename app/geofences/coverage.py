"""How many customers a group of fences covers, and how often."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import shapely
from sqlalchemy import ColumnElement, Select, case, func, literal_column, select, text, true

from app.auth import FEWEST_SHOWN, Caller
from app.auth.few import hidden_parts, is_few
from app.db import scope as scopes
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.spatial import is_on_edge
from app.db.tables import Customer, Geofence, GeofenceCell
from app.errors import NotFound
from app.geofences.anchor_schemas import Coverage, FenceCoverage, Overlap, Sums
from geo.sphere import polygon_area_km2

MEASURES = ("customers", "work_minutes", "potential")


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
    """
    statement = select(Geofence.id, Geofence.name, func.ST_AsBinary(Geofence.geom))
    fences = (
        await session.execute(statement.where(Geofence.group_name == group).order_by(Geofence.id))
    ).all()
    if not fences:
        raise NotFound(f"There is no geofence of the group {group!r}.")
    area_km2 = await asyncio.to_thread(_area_km2, [bytes(wkb) for _, _, wkb in fences])
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
        area_km2=area_km2,
        total=of_all,
        covered=of_covered,
        share={name: _share(getattr(of_covered, name), getattr(of_all, name)) for name in MEASURES},
        covered_by=Overlap(none=none, one=one, two=two, three_or_more=more),
        geofences=_fences([(row[0], row[1]) for row in fences], inside, hiding),
    )


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


def _area_km2(blocks: list[bytes]) -> float:
    shapes = shapely.from_wkb(np.array(blocks, dtype=np.object_))
    return round(polygon_area_km2(shapely.union_all(shapes)), 3)
