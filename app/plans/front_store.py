"""Fronts in the database: what one is computed from, and what comes of it."""

from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import delete, exists, func, insert, select

from app.db.scope import Scope
from app.db.session import AnySession, WriteSession
from app.db.tables import Plan, PlanFront, PlanFrontPoint, Publication, Run, Territory
from app.errors import Conflict, Fault, NotFound
from app.jobs.queue import enqueue
from app.plans.front_schemas import FrontPoint, FrontView
from app.plans.repository import state
from app.plans.request import PlanRequest
from app.plans.snapshot import Source
from app.plans.store import Origin, store_plan

KIND = "front"
# The asked tolerance times these. Where customers have not changed since the plan was made, the
# plan itself is the one at 1.
LADDER = (0.2, 0.35, 0.6, 1.0, 1.6, 2.5, 4.0)
LEAST_TOLERANCE, LARGEST_TOLERANCE = 0.001, 0.5
LONGEST_NAME = 150


async def request_front(session: WriteSession, plan_id: int, requested_by: str) -> Run:
    """Queue the computing of a front around a plan.

    Raises
    ------
    NotFound
        When there is no such plan.
    Conflict
        When the plan was not made by a request that can be varied, or a run is at work on the
        layer.
    """
    plan = await session.get(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    request_of(plan)
    return await enqueue(session, KIND, {"plan_id": plan_id}, requested_by, plan.layer_id)


def request_of(plan: Plan) -> PlanRequest:
    """Return the request a plan was designed by.

    Raises
    ------
    Conflict
        When it has none that is understood.
    """
    try:
        return PlanRequest.model_validate(plan.parameters)
    except ValidationError:
        raise Conflict(
            f"Plan {plan.id} was not designed by a request that can be varied."
        ) from None


def ladder(request: PlanRequest, is_same_demand: bool) -> list[float]:
    """Return the tolerances to design at, rising: around the one asked for, within limits."""
    asked = request.tolerances.work_minutes
    low = max(asked * LADDER[0], LEAST_TOLERANCE)
    high = min(asked * LADDER[-1], LARGEST_TOLERANCE)
    steps = [asked * factor for factor in LADDER]
    if steps[0] < low or steps[-1] > high:
        # As many steps in what is left of the range, evenly spaced by ratio.
        last = len(LADDER) - 1
        steps = [low * (high / low) ** (step / last) for step in range(len(LADDER))]
    return [step for step in steps if step != asked or not is_same_demand]


async def plan_in_force(session: AnySession, layer_id: int) -> Plan | None:
    """Return the plan in force on a layer now."""
    plan: Plan | None = await session.scalar(
        select(Plan)
        .join(Publication, Publication.plan_id == Plan.id)
        .where(Publication.layer_id == layer_id, Publication.during.contains(func.now()))
    )
    return plan


async def targets_of(session: AnySession, plan_id: int) -> list[dict[str, float]]:
    """Return what each territory of a plan was to have, by measure, in their order."""
    rows = await session.scalars(
        select(Territory.scores).where(Territory.plan_id == plan_id).order_by(Territory.ordinal)
    )
    return [dict(scores["target"]) for scores in rows]


async def store_front(
    session: WriteSession,
    folder: Path,
    plan: Plan,
    incumbent_id: int | None,
    manifest: dict[str, Any],
    run_id: int,
    source: Source,
) -> None:
    """Replace the front of a plan; members of the old one that nobody has touched go."""
    document = orjson.loads((folder / "points.json").read_bytes())
    await _delete_front(session, plan.id)
    facts = {**document["facts"], "demand": manifest["input"], "incumbent_plan_id": incumbent_id}
    facts["is_demand_of_plan"] = facts["demand"]["sha256"] == plan.manifest["input"]["sha256"]
    session.add(PlanFront(plan_id=plan.id, run_id=run_id, facts=facts))
    await session.flush()
    ids = {"plan": plan.id, "incumbent": incumbent_id}
    for position, point in enumerate(document["points"]):
        name = point.pop("folder", None)
        member_id = ids.get(point["kind"])
        if name is not None:
            request = _member_request(plan, point["tolerance"])
            facts = {**manifest, "parameters": request, "front": {"plan_id": plan.id}}
            origin = Origin("front", plan.id)
            member_id = await store_plan(
                session, folder / name, request, facts, None, origin, source=source
            )
        await session.execute(
            insert(PlanFrontPoint).values(
                plan_id=plan.id, position=position, member_plan_id=member_id,
                kind=point.pop("kind"), scores=point,
            )
        )  # fmt: skip


def _member_request(plan: Plan, tolerance: float) -> dict[str, Any]:
    """Return the request of a member: the plan's own but for the tolerance and the name."""
    parameters = plan.parameters
    return {
        **parameters,
        "tolerances": {**parameters["tolerances"], "work_minutes": tolerance},
        "name": f"{plan.name[:LONGEST_NAME]} at {tolerance:.2%}",
    }


async def _delete_front(session: WriteSession, plan_id: int) -> None:
    """Delete a front, and of its members those that are as they were made.

    A member that was published once, changed, or has a front of its own is somebody's work.
    """
    members = select(PlanFrontPoint.member_plan_id).where(
        PlanFrontPoint.plan_id == plan_id, PlanFrontPoint.kind == "member"
    )
    untouched = (
        await session.scalars(
            select(Plan.id).where(
                Plan.id.in_(members),
                Plan.state == "draft",
                Plan.version == 1,
                ~exists().where(Publication.plan_id == Plan.id),
                ~exists().where(PlanFront.plan_id == Plan.id),
            )
        )
    ).all()
    await session.execute(delete(PlanFront).where(PlanFront.plan_id == plan_id))
    await session.execute(delete(Plan).where(Plan.id.in_(untouched)))


async def get_front(session: AnySession, scope: Scope, plan_id: int) -> FrontView:
    """Return the front around a plan.

    Raises
    ------
    NotFound
        When there is no such plan, or its front is not made; the fault says how to make it.
    """
    plan = await session.get(Plan, plan_id)
    if plan is None or not scope.is_unlimited:
        raise NotFound(f"There is no plan {plan_id}.")
    front = await session.get(PlanFront, plan_id)
    if front is None:
        raise await _not_made(session, plan)
    rows = await session.execute(
        select(PlanFrontPoint, Plan.name, state())
        .join(Plan, Plan.id == PlanFrontPoint.member_plan_id)
        .where(PlanFrontPoint.plan_id == plan_id)
        .order_by(PlanFrontPoint.position)
    )
    return FrontView(
        plan_id=plan_id,
        run_id=front.run_id,
        created_at=front.created_at,
        **front.facts,
        points=[
            FrontPoint(
                plan_id=row.PlanFrontPoint.member_plan_id,
                href=f"/v1/plans/{row.PlanFrontPoint.member_plan_id}",
                kind=row.PlanFrontPoint.kind,
                name=row.name,
                state=row.state_now,
                **row.PlanFrontPoint.scores,
            )
            for row in rows
        ],
    )


async def _not_made(session: AnySession, plan: Plan) -> NotFound:
    run_id = await session.scalar(
        select(Run.id).where(
            Run.kind == KIND,
            Run.layer_id == plan.layer_id,
            Run.parameters["plan_id"].as_integer() == plan.id,
            Run.state.in_(("queued", "running")),
        )
    )
    if run_id is not None:
        fault = Fault("run-active", f"/v1/runs/{run_id}")
        return NotFound(f"The front of plan {plan.id} is being made by run {run_id}.", [fault])
    fault = Fault("not-made", f"POST /v1/plans/{plan.id}:front")
    return NotFound(f"The front of plan {plan.id} was not made yet.", [fault])
