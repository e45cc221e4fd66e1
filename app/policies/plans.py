"""The plan in force on a layer at an instant: its ground, its owners, its customers of today."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from sqlalchemy import (
    BigInteger,
    Double,
    Integer,
    Text,
    and_,
    cast,
    func,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from app.db.alignment import Cells, unpack
from app.db.heat_sums import COARSEST, FINEST, packing
from app.db.heat_sums import unpack as unpack_sums
from app.db.membership import layer_accepts
from app.db.piece_sums import Kinds, read_piece_sums
from app.db.prepared import Prepared, left_open, written
from app.db.session import AnySession, rows
from app.db.spatial import cell_parent, open_spans
from app.db.tables import Customer, CustomerOverride, HeatState, Layer, Plan, Publication, Territory
from app.policies.ground import Floats, Ground, ground_of, shared_cells
from app.policies.rules import Owner
from geo.cell_sets import owners_of
from geo.cells import CUSTOMER_RESOLUTION, CellArray, descendant_range, resolutions

OWNERS = text("""
    -- The territories of a plan that have no parts, with who owned each at an instant, else since
    -- when nobody did; null is never.
    SELECT territory.ordinal, territory.code, rep.id AS rep_id, rep.fte, rep.capacity_minutes, (
            SELECT max(upper(past.during)) FROM territory_owner AS past
            WHERE past.territory_id = territory.id AND upper(past.during) <= :instant
        ) AS left_at
    FROM territory
    LEFT JOIN territory_owner AS owned ON owned.territory_id = territory.id
        AND owned.during @> CAST(:instant AS timestamptz)
    LEFT JOIN rep ON rep.id = owned.rep_id
    WHERE territory.plan_id = :plan_id
        AND NOT EXISTS (SELECT FROM territory AS part WHERE part.parent_id = territory.id)
    ORDER BY territory.code
""")
# Given as a value: what is accepted becomes a part of the statement, and is not asked row by row.
ACCEPTS = cast(left_open("accepts", Text()), JSONB)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which customers a layer is about, as far as sums by class and segment can tell."""

    document: str
    classes: Kinds
    segments: Kinds
    is_by_kind: bool

    @classmethod
    def by(cls, layer: Layer) -> "Accepted":
        """Return what a layer accepts."""
        kinds: list[Kinds] = []
        for name in ("class", "segment"):
            accepted = layer.customer_filter.get(name)
            kinds.append(None if accepted is None else tuple(accepted))
        is_by_kind = layer.customer_filter.keys() <= {"class", "segment"}
        document = orjson.dumps(layer.customer_filter).decode()
        return cls(document, kinds[0], kinds[1], is_by_kind)


@dataclass(frozen=True, slots=True)
class PlanInForce:
    """A plan with its ground, and the customers and work (n_territories,) on it today."""

    plan_id: int
    ground: Ground
    customers: Floats
    work_minutes: Floats


@dataclass(frozen=True, slots=True)
class TerritoryInForce:
    """A territory with its owner, or since when it has none."""

    ordinal: int
    code: str
    owner: Owner | None
    vacant_since: date | None


async def find_plan(
    session: AnySession, layer_id: int, instant: datetime
) -> tuple[int, datetime] | None:
    """Return the plan in force at an instant and since when it is, if there is one."""
    found = await session.execute(
        select(Publication.plan_id, func.lower(Publication.during)).where(
            Publication.layer_id == layer_id, Publication.during.contains(instant)
        )
    )
    row = found.one_or_none()
    return None if row is None else (row[0], row[1])


async def read_plan(session: AnySession, accepted: Accepted, plan_id: int) -> PlanInForce:
    """Read the ground of a plan and who lives on it today, named accounts where they live."""
    data = (await session.execute(select(Plan.alignment).where(Plan.id == plan_id))).scalar_one()
    largest = select(func.max(Territory.ordinal)).where(Territory.plan_id == plan_id)
    n_territories = int(await session.scalar(largest) or 0) + 1
    cells, ordinals = await asyncio.to_thread(unpack, data)
    # Sums that wait to be made anew say nothing.
    is_stale = bool(await session.scalar(select(HeatState.is_stale)))
    shared = shared_cells(cells)
    if accepted.is_by_kind and not is_stale:
        customers, work = await _from_sums(session, accepted, cells)
        within, _ = await _from_sums(session, accepted, shared)
    else:
        customers, work = await _from_everyone(session, accepted, cells)
        # Of these no snapshot tells.
        within = np.zeros(len(shared))
    ground = await asyncio.to_thread(ground_of, cells, ordinals, n_territories, customers, within)
    return PlanInForce(
        plan_id,
        ground,
        np.bincount(ordinals, customers, n_territories).astype(np.float64),
        np.bincount(ordinals, work, n_territories).astype(np.float64),
    )


async def read_owners(
    session: AnySession, plan_id: int, since: datetime, instant: datetime, time_zone: str
) -> list[TerritoryInForce]:
    """Return the territories of a plan by code; vacant at most since the plan is in force."""
    zone = ZoneInfo(time_zone)
    found = await session.execute(OWNERS, {"plan_id": plan_id, "instant": instant})
    territories = []
    for row in found:
        owner, vacant_since = None, None
        if row.rep_id is not None:
            owner = Owner(row.rep_id, row.fte, row.capacity_minutes)
        else:
            left_at = max(row.left_at or since, since)
            vacant_since = left_at.astimezone(zone).date()
        territories.append(TerritoryInForce(row.ordinal, row.code, owner, vacant_since))
    return territories


async def read_exchange(
    session: AnySession, layer_id: int, ground: Ground, ordinal_of: dict[str, int]
) -> Floats:
    """Return what named accounts add (n_territories, 2) to customers and work on the ground.

    They are taken away where they live and added where their account is.
    """
    found = await rows(session, _named(), layer_id=layer_id)
    change = np.zeros((ground.n_territories, 2))
    cells = np.array([row.cell for row in found], dtype=np.uint64)
    for row, home in zip(found, owners_of(ground.cells, cells).tolist(), strict=True):
        amounts = np.array([1.0, row.work_minutes])
        if home >= 0:
            change[ground.ordinals[home]] -= amounts
        if row.territory_code in ordinal_of:
            change[ordinal_of[row.territory_code]] += amounts
    return change


async def _from_sums(
    session: AnySession, accepted: Accepted, cells: CellArray
) -> tuple[Floats, Floats]:
    """Return customers and work of cells (n,), from the rollups where there are such."""
    has_sums = resolutions(cells) <= FINEST
    customers, work = np.zeros(len(cells)), np.zeros(len(cells))
    summed = cells[has_sums]
    found = await read_piece_sums(
        session, "work_minutes", summed, COARSEST, accepted.classes, accepted.segments
    )
    # The sums of a cell coarser than any rollup are those of its descendants.
    at = owners_of(summed, found.cells)
    customers[has_sums] = np.bincount(at, found.customers, len(summed))
    work[has_sums] = np.bincount(at, found.amounts, len(summed))
    if not has_sums.all():
        fine = ~has_sums
        customers[fine], work[fine] = await _from_customers(session, accepted, cells[fine])
    return customers, work


async def _from_everyone(
    session: AnySession, accepted: Accepted, cells: Cells
) -> tuple[Floats, Floats]:
    """Return customers and work of cells (n,), which are most of the ground, in one pass."""
    finest = min(int(resolutions(cells).max(initial=0)), CUSTOMER_RESOLUTION)
    ((packed,),) = await rows(session, _everyone(), accepts=accepted.document, resolution=finest)
    found = unpack_sums(packed)
    at = await asyncio.to_thread(owners_of, cells, found.cells)
    is_in = at >= 0
    customers = np.bincount(at[is_in], found.customers[is_in], len(cells))
    work = np.bincount(at[is_in], found.amounts[is_in], len(cells))
    return customers.astype(np.float64), work.astype(np.float64)


async def _from_customers(
    session: AnySession, accepted: Accepted, cells: Cells
) -> tuple[Floats, Floats]:
    """Return customers and work of a few small cells (n,), range by range."""
    first, last = descendant_range(cells)
    spans = {
        "first": written(first),
        "last": written(last),
        "nth": written(np.arange(len(cells))),
    }
    found = await rows(session, _residents(), accepts=accepted.document, **spans)
    customers, work = np.zeros(len(cells)), np.zeros(len(cells))
    for nth, count, minutes in found:
        customers[nth], work[nth] = count, minutes
    return customers, work


@lru_cache(maxsize=1)
def _everyone() -> Prepared:
    """Return the statement for sums of all customers of a layer by cell."""
    cell = cell_parent(Customer.cell, left_open("resolution", Integer())).label("cell")
    columns: list[Any] = [
        cell,
        func.count().label("customers"),
        func.sum(Customer.work_minutes).label("amount"),
    ]
    # By its number: the same value given twice would be two to the database.
    return packing(select(*columns).where(layer_accepts(ACCEPTS)).group_by(literal_column("1")))


@lru_cache(maxsize=1)
def _residents() -> Prepared:
    """Return the statement for sums of the customers in ranges of cells."""
    span = open_spans(nth=Integer)
    everyone = aliased(Customer)
    columns: list[Any] = [
        func.count().label("customers"),
        func.sum(everyone.work_minutes).label("work_minutes"),
    ]
    here = (
        select(*columns)
        .where(everyone.cell.between(span.c.first, span.c.last), layer_accepts(ACCEPTS, everyone))
        # OFFSET keeps the planner from reading all customers once instead of a range per cell.
        .offset(0)
        .correlate(span)
        .lateral()
    )
    return Prepared(
        select(span.c.nth, here.c.customers, here.c.work_minutes)
        .join_from(span, here, true())
        .where(here.c.customers > 0)
    )


@lru_cache(maxsize=1)
def _named() -> Prepared:
    """Return the statement for the named accounts of a layer."""
    return Prepared(
        select(
            Customer.cell,
            CustomerOverride.territory_code,
            cast(Customer.work_minutes, Double).label("work_minutes"),
        )
        .join(Customer, Customer.id == CustomerOverride.customer_id)
        .join(Layer, Layer.id == CustomerOverride.layer_id)
        .where(
            and_(
                CustomerOverride.layer_id == left_open("layer_id", BigInteger()),
                CustomerOverride.during.contains(func.now()),
            ),
            layer_accepts(Layer.customer_filter),
        )
    )
