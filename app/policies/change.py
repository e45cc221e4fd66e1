"""What changed on the ground of a layer since a month: by territory, and where most."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from sqlalchemy import func, select, text

from app.db.session import AnySession
from app.db.tables import Layer
from app.policies.history import CUSTOMERS, REVENUE, WORK, History
from app.policies.plans import Accepted, find_plan, read_owners, read_plan
from geo.cells import cells_to_text, points_from_cells

MOST_PLACES = 20
PLACES = text("""
    -- Cells of resolution 6 whose work changed most between two months.
    SELECT cell, sum(customers) FILTER (WHERE month = :now) AS customers,
        sum(customers) FILTER (WHERE month = :before) AS customers_before,
        coalesce(sum(work_minutes) FILTER (WHERE month = :now), 0) AS work_minutes,
        coalesce(sum(work_minutes) FILTER (WHERE month = :before), 0) AS work_minutes_before
    FROM measure_snapshot
    WHERE month IN (:now, :before)
        AND (CAST(:classes AS text[]) IS NULL OR class = ANY(CAST(:classes AS text[])))
        AND (CAST(:segments AS text[]) IS NULL OR segment = ANY(CAST(:segments AS text[])))
    GROUP BY cell
    ORDER BY abs(coalesce(sum(work_minutes) FILTER (WHERE month = :now), 0)
        - coalesce(sum(work_minutes) FILTER (WHERE month = :before), 0)) DESC, cell
    LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class TerritoryChange:
    """Sums on the ground of a territory in two months, named accounts where they live."""

    code: str
    customers: int
    customers_before: int
    work_minutes: float
    work_minutes_before: float
    revenue: float
    revenue_before: float


@dataclass(frozen=True, slots=True)
class PlaceChange:
    """The same of an H3 cell of resolution 6, whose middle is at lon, lat."""

    cell: str
    lon: float
    lat: float
    customers: int
    customers_before: int
    work_minutes: float
    work_minutes_before: float


@dataclass(frozen=True, slots=True)
class Change:
    """What changed between two months; `reason` says why nothing is known, if so."""

    month: date
    month_before: date
    territories: tuple[TerritoryChange, ...] = ()
    places: tuple[PlaceChange, ...] = ()
    reason: str | None = None


async def change_between(
    session: AnySession, layer_id: int, month: date, before: date, time_zone: str
) -> Change:
    """Return what changed between the snapshots of two months, on the plan in force now."""
    layer = await session.get_one(Layer, layer_id)
    accepted = Accepted.by(layer)
    if not accepted.is_by_kind:
        reason = "snapshots do not tell which customers have the tags or states of the layer"
        return Change(month, before, reason=reason)
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    found = await find_plan(session, layer_id, now)
    if found is None:
        return Change(month, before, reason="no plan is in force")
    plan = await read_plan(session, accepted, found[0])
    history = History(session, accepted.classes, accepted.segments)
    sums = [await history.sums(plan.plan_id, plan.ground, each) for each in (month, before)]
    if sums[0] is None or sums[1] is None:
        missing = month if sums[0] is None else before
        return Change(month, before, reason=f"no snapshot for {missing:%Y-%m}")
    territories = await read_owners(session, plan.plan_id, found[1], now, time_zone)
    kinds = {
        name: None if kind is None else list(kind)
        for name, kind in (("classes", accepted.classes), ("segments", accepted.segments))
    }
    given = {"now": month, "before": before, "most": MOST_PLACES, **kinds}
    rows = (await session.execute(PLACES, given)).all()
    cells = np.array([row.cell for row in rows], dtype=np.uint64)
    lon, lat = points_from_cells(cells)
    return Change(
        month,
        before,
        tuple(
            TerritoryChange(
                code=territory.code,
                customers=round(float(sums[0][territory.ordinal, CUSTOMERS])),
                customers_before=round(float(sums[1][territory.ordinal, CUSTOMERS])),
                work_minutes=round(float(sums[0][territory.ordinal, WORK]), 2),
                work_minutes_before=round(float(sums[1][territory.ordinal, WORK]), 2),
                revenue=round(float(sums[0][territory.ordinal, REVENUE]), 2),
                revenue_before=round(float(sums[1][territory.ordinal, REVENUE]), 2),
            )
            for territory in territories
        ),
        tuple(
            PlaceChange(
                cell=cell,
                lon=round(float(lon[nth]), 5),
                lat=round(float(lat[nth]), 5),
                customers=int(row.customers or 0),
                customers_before=int(row.customers_before or 0),
                work_minutes=round(float(row.work_minutes), 2),
                work_minutes_before=round(float(row.work_minutes_before), 2),
            )
            for nth, (cell, row) in enumerate(zip(cells_to_text(cells), rows, strict=True))
        ),
    )
