"""Evaluations of a layer now, and of its past."""

import asyncio
from datetime import date

from sqlalchemy import select

from app.db.session import AnySession, WriteSession
from app.db.tables import Layer
from app.errors import Fault, InvalidInput
from app.policies import alerts, repository
from app.policies.facts import Reader, Seen
from app.policies.months import earlier, month_ends, month_of
from app.policies.rules import Finding, Outcome, evaluate
from app.policies.schemas import (
    AlertView,
    BacktestMonth,
    BacktestRequest,
    BacktestView,
    EvaluationView,
    PolicyView,
    UnknownView,
    WouldFire,
)

LONGEST_YEARS = 10


async def evaluate_layer(
    session: WriteSession, layer_id: int, on: date, *, time_zone: str = "UTC"
) -> list[AlertView]:
    """Evaluate the policies of a layer and store what fires; return that. For jobs.

    `on` is the local date. The transaction is the caller's.
    """
    seen, outcome = await look(session, layer_id, on, time_zone)
    return (await remember(session, layer_id, seen, outcome)).fired


async def look(
    session: AnySession, layer_id: int, on: date, time_zone: str
) -> tuple[Seen, Outcome]:
    """Return the facts of a layer and what its policies find in them.

    In a session that reads one snapshot the facts are of one instant.

    Raises
    ------
    InvalidInput
        When the layer does not exist.
    """
    await repository.require_layer(session, layer_id)
    rules = await repository.rules_of(session, layer_id)
    layer = await session.get_one(Layer, layer_id)
    seen = await Reader(session, layer, time_zone).now(on)
    return seen, await asyncio.to_thread(evaluate, rules, seen.facts)


async def remember(
    session: WriteSession, layer_id: int, seen: Seen, outcome: Outcome
) -> EvaluationView:
    """Store what fires and does not last already, and resolve what is over."""
    # Two evaluations at once would fire twice; publications wait as well, readers do not.
    await session.execute(select(Layer.id).where(Layer.id == layer_id).with_for_update())
    # Policies may have been changed since the facts were read, which takes seconds.
    rules = await repository.rules_of(session, layer_id)
    changed = await alerts.keep(session, layer_id, rules, seen, outcome)
    return EvaluationView(
        layer_id=layer_id,
        plan_id=seen.plan_id,
        on=seen.facts.on,
        fired=await alerts.get_alerts(session, changed.fired),
        resolved=await alerts.get_alerts(session, changed.resolved),
        n_lasting=len(changed.lasting),
        unknown=[
            UnknownView(policy_id=item.rule.policy_id, kind=item.rule.kind, reason=item.reason)
            for item in outcome.unknown
        ],
    )


async def backtest(
    session: AnySession, policy_id: int, asked: BacktestRequest, today: date, time_zone: str
) -> BacktestView:
    """Return what a policy as it is now would have found at the ends of months until today.

    Raises
    ------
    NotFound
        When the policy does not exist.
    InvalidInput
        When the days or the layer cannot be meant.
    """
    policy = await repository.get_policy(session, policy_id)
    _check_days(asked)
    layer_id = _layer_of(policy, asked)
    await repository.require_layer(session, layer_id)
    reader = Reader(session, await session.get_one(Layer, layer_id), time_zone)
    ends = list(month_ends(asked.from_, min(asked.to, today)))
    months = []
    before: set[str] = set()
    if ends:
        _, before = await _month(reader, policy, earlier(month_of(ends[0]), 1), set())
    for end in ends:
        month, before = await _month(reader, policy, month_of(end), before)
        months.append(month)
    return BacktestView(
        policy_id=policy.id, policy_version=policy.version, layer_id=layer_id, months=months
    )


async def _month(
    reader: Reader, policy: PolicyView, month: date, before: set[str]
) -> tuple[BacktestMonth, set[str]]:
    """Return a month, and the territories for which the policy would stand at its end."""
    seen = await reader.at_end_of(month)
    outcome = evaluate([repository.rule_of(policy)], seen.facts)
    unknown = outcome.unknown[0].reason if outcome.unknown else None
    found = BacktestMonth(
        on=seen.facts.on,
        plan_id=seen.plan_id,
        fired=[_would_fire(finding, before) for finding in outcome.findings],
        unknown=unknown,
        caveats=[] if unknown else await reader.caveats(policy.kind, seen.facts.on),
    )
    # What nobody can tell has not changed.
    standing = {finding.territory_code for finding in outcome.findings}
    return found, before if unknown else standing


def _would_fire(finding: Finding, before: set[str]) -> WouldFire:
    return WouldFire(
        territory_code=finding.territory_code,
        is_new=finding.territory_code not in before,
        sentence=finding.sentence,
        proposal=finding.rule.proposal,
        evidence=finding.evidence,
    )


def _check_days(asked: BacktestRequest) -> None:
    if asked.from_ > asked.to:
        fault = Fault("backwards", f"is before from, {asked.from_}", "/to")
        raise InvalidInput("The days are the wrong way round.", [fault])
    if (asked.to - asked.from_).days > LONGEST_YEARS * 366:
        fault = Fault("too-long", f"at most {LONGEST_YEARS} years after from", "/to")
        raise InvalidInput(f"A back-test spans at most {LONGEST_YEARS} years.", [fault])


def _layer_of(policy: PolicyView, asked: BacktestRequest) -> int:
    layer_id = asked.layer_id or policy.layer_id
    if layer_id is None:
        fault = Fault("required", "the policy is for all layers: say which one", "/layer_id")
        raise InvalidInput("A back-test is of one layer.", [fault])
    if policy.layer_id not in (None, layer_id):
        detail = f"the policy is of layer {policy.layer_id}"
        raise InvalidInput(
            "The policy is of another layer.", [Fault("other-layer", detail, "/layer_id")]
        )
    return layer_id
