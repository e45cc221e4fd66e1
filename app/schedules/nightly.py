"""The run of a night: look, rebalance if something is out, propose or publish, and report.

Most nights nothing is out, and nothing is done: that is found from sums per cell where they tell of
the layer, in one grouped sum over its customers elsewhere.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import select, update

from app.activity import fold
from app.db.session import AnySession, WriteSession
from app.db.tables import Plan, PlanEvent, Rebalance, Schedule, ScheduleNight, Territory
from app.errors import Conflict, NotFound
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.queue import enqueue
from app.jobs.runs import RunContext
from app.plans.approval import ApprovalRule
from app.plans.front_store import plan_in_force, request_of
from app.plans.lifecycle import archive, propose
from app.plans.publishing import publish, take_turn
from app.plans.rebalance_job import CHILD, Outcome, read_inputs, store_outcome
from app.plans.rebalance_moves import WORDS
from app.plans.rebalance_request import MoveBudget, RebalanceRequest
from app.plans.request import MEASURES, Limits
from app.plans.standing import Standing, measure_standing
from app.policies import look, remember, unresolved
from app.schedules.page_files import KIND as PAGE
from app.schedules.review import review
from app.schedules.schemas import Decision

# Of what is out, in words; all of it stands in the table.
MOST_TOLD = 10


@dataclass(slots=True)
class Night:
    """What is found out in the course of a night."""

    schedule_id: int
    night_id: int
    local_date: str
    layer_id: int
    request: RebalanceRequest
    publish_within: MoveBudget | None
    timezone: str
    kind: str
    policies: dict[str, Any] = field(default_factory=dict)
    review: dict[str, Any] | None = None
    plan_id: int | None = None
    standing: dict[str, Any] | None = None
    is_out: bool = False
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note how long a step took."""
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)


async def run_nightly(context: RunContext) -> None:
    """Do what a schedule wants done on a local date; what comes of it is stored at once."""
    night = await _begin(context)
    with night.step("refresh"):
        context.report("refreshing sums", 0.02)
        await fold(context.database)
    with night.step("policies"):
        context.report("evaluating policies", 0.03)
        await _evaluate_policies(context, night)
    if night.kind == "review":
        async with context.writing() as session:
            await _end(context, session, night, "reviewed", None)
        return
    with night.step("look"):
        context.report("looking", 0.05)
        async with context.database.reading() as session:
            await _look(session, night)
    if night.plan_id is None or not night.is_out:
        decision: Decision = "no_plan" if night.plan_id is None else "nothing"
        async with context.writing() as session:
            await _end(context, session, night, decision, None)
        return
    async with context.database.reading() as session:
        inputs = await read_inputs(session, night.plan_id, night.request)
    async with work_folder() as folder:
        with night.step("rebalance"):
            await asyncio.to_thread(inputs.write, folder)
            await run_child(context, CHILD, folder, 0.1, 0.9)
            source = await inputs.source()
        context.report("storing", 0.9)
        async with context.writing() as session:
            await _hold_ground(session, night)
            outcome = await store_outcome(session, folder, inputs, source, context.run_id)
            decision = await _decide(context, session, night, outcome)
            await _end(context, session, night, decision, outcome)


async def _evaluate_policies(context: RunContext, night: Night) -> None:
    """Tell what policies find; what they propose is for people to decide."""
    on = date.fromisoformat(night.local_date)
    async with context.database.reading() as session:
        seen, outcome = await look(session, night.layer_id, on, night.timezone)
        night.plan_id = seen.plan_id
        if night.kind == "review":
            night.review = await review(session, night.layer_id, on, night.timezone, seen)
            night.reason = f"The review of {night.local_date}."
    async with context.writing() as session:
        found = await remember(session, night.layer_id, seen, outcome)
        if night.review is not None:
            lasting = await unresolved(session, night.layer_id)
            night.review["proposals"] = [alert.model_dump(mode="json") for alert in lasting]
    told = found.model_dump(mode="json")
    night.policies = {name: told[name] for name in ("fired", "resolved", "n_lasting", "unknown")}


async def _begin(context: RunContext) -> Night:
    parameters = context.parameters
    async with context.database.reading() as session:
        schedule = await session.get(Schedule, parameters["schedule_id"])
    if schedule is None:
        raise NotFound(f"There is no schedule {parameters['schedule_id']} any more.")
    budget = schedule.publish_within
    return Night(
        schedule_id=schedule.id,
        night_id=parameters["night_id"],
        local_date=parameters["local_date"],
        layer_id=schedule.layer_id,
        request=RebalanceRequest.model_validate(schedule.rebalance),
        publish_within=None if budget is None else MoveBudget.model_validate(budget),
        timezone=schedule.timezone,
        kind=schedule.kind,
    )


async def _look(session: AnySession, night: Night) -> None:
    """Find out whether anything is out of what it may be."""
    plan = await plan_in_force(session, night.layer_id)
    if plan is None:
        night.reason = "No plan is in force on the layer."
        return
    night.plan_id = plan.id
    standing = await measure_standing(session, plan.id)
    triggers = _triggers(plan, night.request)
    night.standing = _document(standing, triggers)
    out = [
        f"{code} is at {1 + off:.1%} of its target of {WORDS[measure]}"
        for measure, trigger in triggers.items()
        for code, off in zip(
            standing.codes, standing.imbalance[:, MEASURES.index(measure)].tolist(), strict=True
        )
        if abs(off) > trigger
    ]
    uncovered = round(standing.uncovered[MEASURES.index("customers")])
    new = uncovered - await _uncovered_before(session, night, plan)
    if out:
        more = f"; {len(out) - MOST_TOLD} more" if len(out) > MOST_TOLD else ""
        night.reason = "; ".join(out[:MOST_TOLD]) + f"{more}."
    elif new > 0:
        night.reason = f"{new} customers more than before are in no territory."
    elif _has_limits(plan):
        night.reason = "The plan has limits, which sums do not tell."
    else:
        night.reason = "Nothing is beyond its trigger."
    night.is_out = bool(out) or new > 0 or _has_limits(plan)


def _triggers(plan: Plan, request: RebalanceRequest) -> dict[str, float]:
    tolerances = plan.parameters["tolerances"]
    return {
        name: max(
            getattr(request.triggers, name) or tolerances[name],
            request.return_to * tolerances[name],
        )
        for name in MEASURES
        if tolerances.get(name) is not None
    }


def _has_limits(plan: Plan) -> bool:
    request = request_of(plan)
    return request.limits != Limits() or request.max_radius_km is not None


async def _uncovered_before(session: AnySession, night: Night, plan: Plan) -> int:
    """Return how many customers were in no territory when the plan was made, or last looked at.

    Those whom the plan cannot take in would have it put to the solver every night.
    """
    scores = await session.scalars(select(Territory.scores).where(Territory.plan_id == plan.id))
    held = sum(row["activity"]["customers"] for row in scores)
    counted = plan.manifest.get("recounted") or plan.manifest.get("input", {})
    when_made = int(counted.get("customers", held) - held)
    told = ScheduleNight.report["standing"]["uncovered_customers"].as_integer()
    last = await session.scalar(
        select(told)
        .where(
            ScheduleNight.schedule_id == night.schedule_id,
            ScheduleNight.report["plan_id"].as_integer() == plan.id,
        )
        .order_by(ScheduleNight.local_date.desc())
        .limit(1)
    )
    return when_made if last is None else int(last)


def _document(standing: Standing, triggers: dict[str, float]) -> dict[str, Any]:
    work, customers = MEASURES.index("work_minutes"), MEASURES.index("customers")
    return {
        "triggers": triggers,
        "max_imbalance": {name: standing.worst(name) for name in triggers},
        "uncovered_customers": round(standing.uncovered[customers]),
        "territories": [
            {
                "code": code,
                "customers": round(standing.sums[ordinal, customers]),
                "work_minutes": float(standing.sums[ordinal, work]),
                "target_work_minutes": float(standing.targets[ordinal, work]),
                "imbalance": {
                    name: float(standing.imbalance[ordinal, MEASURES.index(name)])
                    for name in triggers
                },
            }
            for ordinal, code in enumerate(standing.codes)
        ],
    }


async def _hold_ground(session: WriteSession, night: Night) -> None:
    """Keep others from publishing on the layer, and see that all is as when the night looked.

    Raises
    ------
    Conflict
        When another plan came into force, or the schedule was deleted.
    """
    assert night.plan_id is not None
    await take_turn(session, night.plan_id)
    now = await plan_in_force(session, night.layer_id)
    schedule = await session.get(
        Schedule, night.schedule_id, with_for_update=True, populate_existing=True
    )
    if now is None or now.id != night.plan_id or schedule is None:
        raise Conflict(
            f"While the night was at work plan {night.plan_id} ceased to be in force, or the "
            "schedule was deleted: nothing was done."
        )
    budget = schedule.publish_within if schedule.enabled else None
    night.publish_within = None if budget is None else MoveBudget.model_validate(budget)


async def _decide(
    context: RunContext, session: WriteSession, night: Night, outcome: Outcome
) -> Decision:
    night.reason = f"{night.reason} {outcome.reason}"
    if outcome.new_plan_id is None:
        return "nothing"
    await _withdraw_older(session, night)
    found = await session.get_one(Rebalance, outcome.rebalance_id)
    option = found.outcome["options"][found.outcome["picked"]]
    within = night.publish_within
    if within is not None and option["is_within_triggers"] and _is_within(option, within):
        rule = ApprovalRule.of(context.settings)
        try:
            await publish(session, outcome.new_plan_id, None, False, context.requested_by, rule)
        except Conflict as conflict:
            # Nothing is changed by then: what may not come into force by itself is proposed.
            night.reason = f"{night.reason} {conflict.detail}"
        else:
            return "published"
    plan = await session.get_one(Plan, outcome.new_plan_id)
    await propose(session, plan, context.requested_by, night.reason)
    return "proposed"


def _is_within(option: dict[str, Any], budget: MoveBudget) -> bool:
    shares = [
        option["moved"][name] <= share
        for name in MEASURES
        if (share := getattr(budget, name)) is not None
    ]
    most = budget.cells_per_territory
    return all(shares) and (most is None or option["most_cells_per_territory"] <= most)


async def _withdraw_older(session: WriteSession, night: Night) -> None:
    """Archive what the schedule proposed before and nobody has taken up."""
    proposed = select(ScheduleNight.new_plan_id).where(
        ScheduleNight.schedule_id == night.schedule_id, ScheduleNight.new_plan_id.is_not(None)
    )
    older = (
        select(Plan)
        .where(Plan.id.in_(proposed), Plan.state == "proposed")
        .order_by(Plan.id)
        .with_for_update()
    )
    actor = f"schedule {night.schedule_id}"
    for plan in (await session.scalars(older)).all():
        # What people have rejected, changed and proposed again is theirs.
        proposer = (
            select(PlanEvent.actor)
            .where(PlanEvent.plan_id == plan.id, PlanEvent.action == "proposed")
            .order_by(PlanEvent.id.desc())
            .limit(1)
        )
        if await session.scalar(proposer) == actor:
            await archive(session, plan, actor, "Proposed anew.")


async def _end(
    context: RunContext,
    session: WriteSession,
    night: Night,
    decision: Decision,
    outcome: Outcome | None,
) -> None:
    """Write the report and end the run, in one transaction with what was decided."""
    new_plan_id = None if outcome is None else outcome.new_plan_id
    report = {
        "schedule_id": night.schedule_id,
        "layer_id": night.layer_id,
        "local_date": night.local_date,
        "decision": decision,
        "reason": night.reason,
        "plan_id": night.plan_id,
        "new_plan_id": new_plan_id,
        "rebalance_id": None if outcome is None else outcome.rebalance_id,
        "kind": night.kind,
        "policies": night.policies,
        "review": night.review,
        "standing": night.standing,
        "seconds": night.seconds,
    }
    await session.execute(
        update(ScheduleNight)
        .where(ScheduleNight.id == night.night_id)
        .values(decision=decision, new_plan_id=new_plan_id, report=report)
    )
    told = ("schedule_id", "local_date", "decision", "reason", "plan_id", "new_plan_id")
    result = {name: report[name] for name in told}
    # The page is drawn by a run of its own: it takes longer than a night in which nothing is done.
    await enqueue(session, PAGE, {"night_id": night.night_id}, context.requested_by)
    href = f"/v1/schedules/{night.schedule_id}/nights/{night.local_date}"
    await context.succeed(session, {**result, "href": href})
