"""What a what-if reads: the plan, who has its territories, customers and named accounts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import and_, func, select, text

from app.db.session import AnySession
from app.db.tables import Layer, Plan, Rep, Territory, TerritoryOwner
from app.errors import NotFound
from app.plans.demand import Demand
from app.plans.front_store import request_of
from app.plans.job import read_demand
from app.plans.lookups import resolve
from app.plans.rebalance_reading import (
    Chosen,
    KnownPlan,
    Sharing,
    read_chosen,
    read_plan,
    read_sharing,
)
from app.plans.request import MEASURES
from app.plans.what_if_request import RepChanges, RepLeaves, RepOnLeave, WhatIfRequest

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]
Ordinals = NDArray[np.int32]

NAMED = text("""
    -- What the named accounts of a layer carry, by the code of their territory and their cell.
    SELECT o.territory_code, cell, sum(work_minutes ORDER BY work_minutes), count(*),
        sum(potential ORDER BY potential), sum(revenue ORDER BY revenue)
    FROM customer_override AS o JOIN customer ON customer.id = o.customer_id
    WHERE o.layer_id = :layer_id AND o.during @> now()
        AND layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
    GROUP BY 1, 2 ORDER BY 1, 2
""")


@dataclass(frozen=True, slots=True)
class RepFacts:
    """A rep, there or supposed to be; home is lon, lat. What is not known is null."""

    id: int | None
    name: str
    capacity_minutes: float | None
    home: tuple[float, float] | None

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in ("id", "name", "capacity_minutes", "home")}


@dataclass(frozen=True, slots=True)
class Staff:
    """Who has the territories of a plan, by ordinal, and the reps that a request names, by id.

    `median_minutes` is that of the capacities of those who have one, else of all reps; null where
    there are no reps. `planned` are the reps that the plan was made for, by ordinal.
    """

    owners: tuple[RepFacts | None, ...]
    named: dict[int, RepFacts]
    median_minutes: float | None
    planned: tuple[RepFacts, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """Named accounts by the territory (n,) their account names and their cell (n,); sums (n, 4)."""

    cells12: Cells
    ordinals: Ordinals
    activity: Floats

    def by_territory(self, n_territories: int) -> Floats:
        """(k, 4) sums; those of no territory are left out."""
        sums = np.zeros((n_territories, len(MEASURES)))
        known = self.ordinals >= 0
        np.add.at(sums, self.ordinals[known], self.activity[known])
        return sums


@dataclass(frozen=True, slots=True)
class Standing:
    """How things are: all that a what-if starts from, as one snapshot has it.

    `movable` leaves out named accounts. `locked` is what `resolve` found of locked territories.
    """

    plan_id: int
    layer_id: int
    parameters: dict[str, Any]
    known: KnownPlan
    staff: Staff
    sharing: Sharing
    movable: Demand
    named: Named
    chosen: Chosen
    locked: dict[str, Any]
    seed: int


async def read_plan_and_staff(
    session: AnySession, plan_id: int, request: WhatIfRequest
) -> tuple[Plan, KnownPlan, Staff]:
    """Return a plan and the reps that matter for a what-if.

    Raises
    ------
    NotFound
        When there is no such plan.
    Conflict
        When it was not made by a request that can be varied.
    """
    plan = await session.get(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    request_of(plan)
    known = await read_plan(session, plan_id)
    return plan, known, await _read_staff(session, plan, known, request)


async def read_standing(session: AnySession, plan_id: int, request: WhatIfRequest) -> Standing:
    """Return all that a what-if of a plan starts from.

    Raises
    ------
    NotFound, Conflict
        As `read_plan_and_staff`.
    InvalidInput
        When the layer has no customers.
    """
    plan, known, staff = await read_plan_and_staff(session, plan_id, request)
    layer = await session.get_one(Layer, plan.layer_id)
    parameters, asked = plan.parameters, request.rebalance
    without_reps = {**parameters, "rep_ids": None, "homes": "ignore", "lock_homes": False}
    stated = {**without_reps, "n_territories": len(known.codes), "shares": None}
    plan_request = request_of(plan).model_validate({**stated, "capacity_minutes": None})
    return Standing(
        plan_id=plan_id,
        layer_id=layer.id,
        parameters=parameters,
        known=known,
        staff=staff,
        sharing=await read_sharing(session, plan, known),
        movable=await read_demand(session, layer.id, has_named=False),
        named=await _read_named(session, layer, known),
        chosen=await read_chosen(session, layer, asked),
        locked=(await resolve(session, plan_request))["locked"],
        seed=asked.seed if asked.seed is not None else int(parameters.get("seed", 1)),
    )


async def _read_staff(
    session: AnySession, plan: Plan, known: KnownPlan, request: WhatIfRequest
) -> Staff:
    owned_now = and_(
        TerritoryOwner.territory_id == Territory.id, TerritoryOwner.during.contains(func.now())
    )
    rows = await session.execute(
        select(Territory.ordinal, TerritoryOwner.rep_id)
        .join(TerritoryOwner, owned_now)
        .where(Territory.plan_id == plan.id)
    )
    owner_ids = dict(rows.all())
    planned_ids = plan.parameters.get("rep_ids") or []
    if len(planned_ids) != len(known.codes):
        planned_ids = []
    if not owner_ids:
        # A draft that was made for reps has no owners before it is published.
        owner_ids = dict(enumerate(planned_ids))
    speaks_of = RepLeaves | RepOnLeave | RepChanges
    named = [change.rep_id for change in request.changes if isinstance(change, speaks_of)]
    reps = await _read_reps(session, {*owner_ids.values(), *planned_ids, *named})
    owners = tuple(reps.get(owner_ids.get(n, 0)) for n in range(len(known.codes)))
    has_all = bool(planned_ids) and all(number in reps for number in planned_ids)
    return Staff(
        owners=owners,
        named={number: reps[number] for number in named if number in reps},
        median_minutes=await _median(session, owners),
        planned=tuple(reps[number] for number in planned_ids) if has_all else (),
    )


async def _median(session: AnySession, owners: tuple[RepFacts | None, ...]) -> float | None:
    capacities = {rep.id: rep.capacity_minutes or 0.0 for rep in owners if rep is not None}
    if capacities:
        return float(np.median(list(capacities.values())))
    middle = func.percentile_cont(0.5).within_group(Rep.capacity_minutes)
    return await session.scalar(select(middle))


async def _read_reps(session: AnySession, ids: Iterable[int]) -> dict[int, RepFacts]:
    columns = (Rep.id, Rep.name, Rep.capacity_minutes)
    home = func.ST_X(Rep.home).label("lon"), func.ST_Y(Rep.home).label("lat")
    rows = await session.execute(select(*columns, *home).where(Rep.id.in_(sorted(ids))))
    return {
        row.id: RepFacts(
            row.id, row.name, float(row.capacity_minutes),
            None if row.lon is None else (row.lon, row.lat),
        )
        for row in rows
    }  # fmt: skip


async def _read_named(session: AnySession, layer: Layer, known: KnownPlan) -> Named:
    parameters = {"layer_id": layer.id, "filter": orjson.dumps(layer.customer_filter).decode()}
    place = {code: ordinal for ordinal, code in enumerate(known.codes)}
    rows = (await session.execute(NAMED, parameters)).all()
    return Named(
        cells12=np.fromiter((row[1] for row in rows), dtype=np.uint64, count=len(rows)),
        ordinals=np.array([place.get(row[0], -1) for row in rows], dtype=np.int32),
        activity=np.array([tuple(row)[2:] for row in rows], dtype=np.float64).reshape(-1, 4),
    )
