"""The rebalance run: a plan and the customers of today in, and a draft out where one is better."""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import ValidationError
from sqlalchemy import insert, select

from app.db.session import AnySession, WriteSession
from app.db.tables import Layer, Plan, PlanMove, Rebalance
from app.errors import Conflict, InvalidInput, NotFound
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.plans.demand import Demand
from app.plans.job import make_manifest, read_demand
from app.plans.lookups import resolve
from app.plans.rebalance_folder import write_folder
from app.plans.rebalance_reading import (
    Chosen,
    KnownPlan,
    design_document,
    read_chosen,
    read_named,
    read_plan,
    read_sharing,
    refuse_unknown,
    rename_locked,
)
from app.plans.rebalance_request import RebalanceRequest
from app.plans.request import MEASURES, PlanRequest
from app.plans.snapshot import Given, Source, make_source
from app.plans.store import Origin, store_plan
from geo.membership import units_of

CHILD = "app.plans.rebalance"


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a rebalance is made from, as one snapshot has it.

    `demand` is that of all customers; `movable` leaves out named accounts, whose sums stand in
    `named` (k, 4) by territory.
    """

    plan_id: int
    layer_id: int
    parameters: dict[str, Any]
    alignment_sha256: str
    request: RebalanceRequest
    document: dict[str, Any]
    resolved: dict[str, Any]
    known: KnownPlan
    chosen: Chosen
    demand: Demand
    movable: Demand
    named: list[list[float]]
    seed: int

    def given(self) -> dict[str, Any]:
        """Return all that the child is given but customers and what was looked up, for JSON."""
        movable = None
        if self.movable is not self.demand:
            cells12, activity = self.movable.cells12.tolist(), self.movable.activity.tolist()
            movable = {"cells12": cells12, "activity": activity}
        known = self.known
        return {
            "document": self.document,
            "plan": {"cells": known.cells.tolist(), "ordinals": known.ordinals.tolist()},
            "chosen": {name: part.tolist() for name, part in self.chosen.arrays().items()},
            "movable": movable,
            "wanted": {
                "request": self.request.model_dump(mode="json"),
                "codes": known.codes,
                "names": known.names,
                "colours": known.colours,
                "named": self.named,
                "digest": self.demand.digest,
                "seed": self.seed,
            },
        }

    async def source(self) -> Source:
        """Return all of it, packed to be stored with a plan."""
        return await make_source(self.demand, Given(self.resolved, rebalance=self.given()))

    def write(self, folder: Path) -> None:
        """Write what the child reads."""
        write_folder(folder, self.given(), self.resolved, self.demand)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was stored."""

    rebalance_id: int
    new_plan_id: int | None
    code: str
    reason: str

    def document(self) -> dict[str, Any]:
        """Return the result of a run."""
        return {
            "rebalance_id": self.rebalance_id,
            "href": f"/v1/rebalances/{self.rebalance_id}",
            "plan_id": self.new_plan_id,
            "code": self.code,
            "reason": self.reason,
        }


async def run_rebalance(context: RunContext) -> None:
    """Rebalance a plan; what is found is stored at once or not at all."""
    plan_id = int(context.parameters["plan_id"])
    request = RebalanceRequest.model_validate(context.parameters["request"])
    async with context.database.reading() as session:
        inputs = await read_inputs(session, plan_id, request)
    async with work_folder() as folder:
        await asyncio.to_thread(inputs.write, folder)
        await run_child(context, CHILD, folder, 0.05, 0.95)
        source = await inputs.source()
        context.report("storing", 0.95)
        async with context.writing() as session:
            outcome = await store_outcome(session, folder, inputs, source, context.run_id)
            await context.succeed(session, outcome.document())


async def read_inputs(session: AnySession, plan_id: int, request: RebalanceRequest) -> Inputs:
    """Return what a rebalance of a plan is made from now.

    Raises
    ------
    NotFound
        When there is no such plan.
    InvalidInput
        When the request names what is not there, or the layer has no work.
    Conflict
        When the plan was not made by a request that can be varied.
    """
    plan = await session.get(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    layer = await session.get_one(Layer, plan.layer_id)
    known = await read_plan(session, plan_id)
    refuse_unknown(request, known.codes)
    demand = movable = await read_demand(session, layer.id)
    sums = await read_named(session, layer)
    named = [sums.get(code, [0.0] * len(MEASURES)) for code in known.codes]
    if sums:
        movable = await read_demand(session, layer.id, has_named=False)
    by_name = np.array([row[0] for row in named])
    is_held = units_of(movable.cells12, known.cells) >= 0
    total = float(movable.activity[is_held, 0].sum() + by_name.sum())
    if total <= 0:
        raise InvalidInput("The customers of this plan have no work to balance any more.")
    sharing = await read_sharing(session, plan, known)
    document = design_document(plan.parameters, known.codes, sharing, by_name, total)
    try:
        resolved = await resolve(session, PlanRequest.model_validate(document))
    except ValidationError:
        detail = f"Plan {plan_id} was not designed by a request that can be varied."
        raise Conflict(detail) from None
    rename_locked(document, resolved, known.codes)
    return Inputs(
        plan_id=plan_id,
        layer_id=layer.id,
        parameters=plan.parameters,
        alignment_sha256=await _digest(session, plan_id),
        request=request,
        document=document,
        resolved=resolved,
        known=known,
        chosen=await read_chosen(session, layer, request),
        demand=demand,
        movable=movable,
        named=named,
        seed=request.seed if request.seed is not None else int(plan.parameters.get("seed", 1)),
    )


async def store_outcome(
    session: WriteSession, folder: Path, inputs: Inputs, source: Source, run_id: int | None
) -> Outcome:
    """Store what the child found, and the plan where one is to follow.

    Raises
    ------
    Conflict
        When the plan has been changed meanwhile.
    """
    locked = select(Plan.id).where(Plan.id == inputs.plan_id).with_for_update(read=True)
    await session.execute(locked)
    if await _digest(session, inputs.plan_id) != inputs.alignment_sha256:
        raise Conflict(f"Plan {inputs.plan_id} was changed while it was being rebalanced.")
    found = orjson.loads((folder / "outcome.json").read_bytes())
    new_plan_id = None
    if found["has_plan"]:
        new_plan_id = await _store_plan(session, folder, inputs, source, run_id)
    statement = insert(Rebalance).values(
        run_id=run_id,
        plan_id=inputs.plan_id,
        new_plan_id=new_plan_id,
        request=inputs.request.model_dump(mode="json"),
        outcome=found,
    )
    number = (await session.execute(statement.returning(Rebalance.id))).scalar_one()
    return Outcome(number, new_plan_id, found["code"], found["reason"])


async def _store_plan(
    session: WriteSession, folder: Path, inputs: Inputs, source: Source, run_id: int | None
) -> int:
    parameters = {
        **inputs.parameters,
        "layer_id": inputs.layer_id,
        "name": inputs.request.name or f"Rebalanced from plan {inputs.plan_id}",
        "seed": inputs.seed,
    }
    manifest = {
        **make_manifest(parameters, inputs.demand, inputs.resolved),
        "rebalance": {
            "plan_id": inputs.plan_id,
            "alignment_sha256": inputs.alignment_sha256,
            "request": inputs.request.model_dump(mode="json"),
        },
    }
    origin = Origin("rebalance", inputs.plan_id)
    plan_id = await store_plan(session, folder, parameters, manifest, run_id, origin, source=source)
    moves = orjson.loads((folder / "moves.json").read_bytes())
    rows = [
        {
            "plan_id": plan_id,
            "position": position,
            **{name: value for name, value in move.items() if name != "measure"},
            "customers": round(move["customers"]),
        }
        for position, move in enumerate(moves)
    ]
    if rows:
        await session.execute(insert(PlanMove), rows)
    return plan_id


async def _digest(session: AnySession, plan_id: int) -> str:
    data = await session.scalar(select(Plan.alignment).where(Plan.id == plan_id))
    return hashlib.sha256(data or b"").hexdigest()
