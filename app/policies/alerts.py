"""Alerts in the database: what fired, once for as long as it lasts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, select, true, update

from app.auth import Caller
from app.auth.caller import FEWEST_SHOWN
from app.auth.few import hidden_parts
from app.db.scope import Scope, visible_territory_ids
from app.db.session import AnySession, WriteSession
from app.db.tables import Plan, Policy, PolicyFiring, PolicyVersion, Territory
from app.errors import Conflict, NotFound
from app.policies.facts import Seen
from app.policies.rules import Finding, Outcome, Rule
from app.policies.schemas import AlertView, State

OVER = "the condition no longer holds"
OUT_OF_USE = "the policy does not count here any more"
PAGE: tuple[Any, ...] = (
    PolicyFiring,
    PolicyVersion.name.label("policy_name"),
    Policy.kind,
)
STORED = AlertView.model_fields.keys() - {"policy_name", "kind"}


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Every member given must hold; empty members accept everything."""

    layer_id: int | None = None
    policy_id: int | None = None
    states: tuple[State, ...] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the predicates on `policy_firing`."""
        found: list[ColumnElement[bool]] = []
        if self.layer_id is not None:
            found.append(PolicyFiring.layer_id == self.layer_id)
        if self.policy_id is not None:
            found.append(PolicyFiring.policy_id == self.policy_id)
        if self.states:
            found.append(PolicyFiring.state.in_(self.states))
        return found


@dataclass(frozen=True, slots=True)
class Changed:
    """Ids of alerts by what an evaluation did to them."""

    fired: list[int]
    resolved: list[int]
    lasting: list[int]


async def list_alerts(
    session: AnySession, scope: Scope, wanted: AlertFilter, after: int, limit: int
) -> list[AlertView]:
    """Return up to `limit` alerts in the order in which they fired."""
    statement = _selection(scope).where(PolicyFiring.id > after, *wanted.conditions())
    rows = await session.execute(statement.order_by(PolicyFiring.id).limit(limit))
    return [_view(row) for row in rows]


async def get_alert(session: AnySession, scope: Scope, alert_id: int) -> AlertView:
    """Return one alert.

    Raises
    ------
    NotFound
        When it does not exist or is out of scope.
    """
    row = (
        await session.execute(_selection(scope).where(PolicyFiring.id == alert_id))
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no alert {alert_id}.")
    return _view(row)


async def get_alerts(session: AnySession, ids: Iterable[int]) -> list[AlertView]:
    """Return alerts by their ids, in this order of ids."""
    statement = _selection(Scope()).where(PolicyFiring.id.in_(sorted(ids)))
    return [_view(row) for row in await session.execute(statement.order_by(PolicyFiring.id))]


async def unresolved(session: AnySession, layer_id: int) -> list[AlertView]:
    """Return the alerts of a layer that last, by id."""
    wanted = select(PolicyFiring.id).where(
        PolicyFiring.layer_id == layer_id, PolicyFiring.state != "resolved"
    )
    return await get_alerts(session, await session.scalars(wanted))


def shown_to(caller: Caller, alerts: list[AlertView], of_few: set[int]) -> list[AlertView]:
    """Return alerts as a caller may see them.

    What planners write is between them. Who may not see single customers sees no evidence on a few,
    and of a sentence only what it is about.
    """
    if caller.role in ("admin", "planner"):
        return alerts
    hidden = {"acknowledged_by": None, "note": None}
    shown = [alert.model_copy(update=hidden) for alert in alerts]
    if caller.sees_detail:
        return shown
    return [_without_few(alert) if alert.id in of_few else alert for alert in shown]


async def of_few(session: AnySession, alerts: list[AlertView]) -> set[int]:
    """Return the ids of those alerts whose evidence tells of a few customers."""
    ids = [alert.id for alert in alerts]
    statement = select(PolicyFiring.id).where(PolicyFiring.id.in_(ids), PolicyFiring.is_of_few)
    return set(await session.scalars(statement))


async def acknowledge(session: WriteSession, alert_id: int, by: str, note: str | None) -> None:
    """Write down that somebody has seen an alert.

    Raises
    ------
    NotFound
        When it does not exist.
    Conflict
        When it is resolved.
    """
    state = await session.scalar(
        select(PolicyFiring.state).where(PolicyFiring.id == alert_id).with_for_update()
    )
    if state is None:
        raise NotFound(f"There is no alert {alert_id}.")
    if state == "resolved":
        raise Conflict(f"Alert {alert_id} is resolved: nothing is left to acknowledge.")
    values = {
        "state": "acknowledged",
        "acknowledged_at": func.clock_timestamp(),
        "acknowledged_by": by,
        "note": note,
    }
    await session.execute(update(PolicyFiring).where(PolicyFiring.id == alert_id).values(**values))


async def keep(
    session: WriteSession, layer_id: int, rules: list[Rule], seen: Seen, outcome: Outcome
) -> Changed:
    """Store what fires and does not last already, and resolve what no longer holds.

    What nobody can tell now stays as it is. The layer is locked by the caller, `rules` are those
    that count now: of a version that the outcome is not about nothing is known either.
    """
    found = {
        (finding.rule.policy_id, finding.territory_code): finding
        for finding in outcome.findings
        if finding.rule in rules
    }
    counted = {rule.policy_id for rule in rules}
    unknown = {item.rule.policy_id for item in outcome.unknown}
    unknown |= {rule.policy_id for rule in rules if rule not in outcome.rules}
    lasting = await session.execute(
        select(PolicyFiring.id, PolicyFiring.policy_id, PolicyFiring.territory_code).where(
            PolicyFiring.layer_id == layer_id, PolicyFiring.state != "resolved"
        )
    )
    stay: list[int] = []
    over: list[int] = []
    out_of_use: list[int] = []
    for alert_id, policy_id, code in lasting.all():
        if policy_id not in counted:
            out_of_use.append(alert_id)
        elif found.pop((policy_id, code), None) is not None:
            stay.append(alert_id)
        elif policy_id not in unknown:
            over.append(alert_id)
    on = seen.facts.on
    await session.execute(update(PolicyFiring).where(PolicyFiring.id.in_(stay)).values(seen_on=on))
    await _resolve(session, PolicyFiring.id.in_(over), on, OVER)
    await _resolve(session, PolicyFiring.id.in_(out_of_use), on, OUT_OF_USE)
    fired = await _insert(session, layer_id, seen, list(found.values()))
    return Changed(fired, sorted(over + out_of_use), sorted(stay))


async def resolve_all(session: WriteSession, policy_id: int, on: date) -> None:
    """Resolve the alerts of a policy that is taken out of use."""
    await _resolve(session, PolicyFiring.policy_id == policy_id, on, OUT_OF_USE)


async def _resolve(
    session: WriteSession, which: ColumnElement[bool], on: date, resolution: str
) -> None:
    values = {"state": "resolved", "resolved_on": on, "resolution": resolution}
    await session.execute(
        update(PolicyFiring).where(which, PolicyFiring.state != "resolved").values(**values)
    )


async def _insert(
    session: WriteSession, layer_id: int, seen: Seen, findings: list[Finding]
) -> list[int]:
    """Insert findings in the order of policies and territories; return their ids."""
    if not findings:
        return []
    territories = seen.facts.territories
    hidden = hidden_parts([t.customers or 0 for t in territories], FEWEST_SHOWN)
    few = {t.code for t, is_hidden in zip(territories, hidden, strict=True) if is_hidden}
    values = [
        {
            "policy_id": finding.rule.policy_id,
            "policy_version": finding.rule.version,
            "layer_id": layer_id,
            "plan_id": seen.plan_id,
            "territory_code": finding.territory_code,
            "fired_on": seen.facts.on,
            "seen_on": seen.facts.on,
            "evidence": finding.evidence,
            "sentence": finding.sentence,
            "is_of_few": finding.territory_code in few,
            "proposal": finding.rule.proposal,
        }
        for finding in findings
    ]
    done = await session.scalars(insert(PolicyFiring).returning(PolicyFiring.id), values)
    return sorted(done)


def _selection(scope: Scope) -> Select[Any]:
    return (
        select(*PAGE)
        .join(
            PolicyVersion,
            and_(
                PolicyVersion.policy_id == PolicyFiring.policy_id,
                PolicyVersion.version == PolicyFiring.policy_version,
            ),
        )
        .join(Policy, Policy.id == PolicyFiring.policy_id)
        .where(_visible(scope))
    )


def _visible(scope: Scope) -> ColumnElement[bool]:
    """Match what a caller may see: limited ones what is about a territory that is theirs now.

    Not what compares it with those of others.
    """
    if scope.is_unlimited:
        return true()
    own = (
        select(Territory.id)
        .join(Plan, Plan.id == Territory.plan_id)
        .where(
            Territory.id.in_(visible_territory_ids(scope)),
            Territory.code == PolicyFiring.territory_code,
            Plan.layer_id == PolicyFiring.layer_id,
        )
        .correlate(PolicyFiring)
    )
    return and_(own.exists(), Policy.kind != "efficiency_gap")


def _view(row: Any) -> AlertView:
    firing: PolicyFiring = row.PolicyFiring
    values = {name: getattr(firing, name) for name in STORED}
    return AlertView(policy_name=row.policy_name, kind=row.kind, **values)


def _without_few(alert: AlertView) -> AlertView:
    sentence = f"{alert.territory_code}: {alert.policy_name}"
    return alert.model_copy(update={"evidence": None, "sentence": sentence})
