"""What is known of the territories of a layer: now, or at the end of a month that is over."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from app.db.session import AnySession
from app.db.tables import CustomerOverride, Layer
from app.policies.ground import Floats
from app.policies.history import CUSTOMERS, REVENUE, WORK, History
from app.policies.months import earlier, full_quarter, last_day, month_name, month_of
from app.policies.parameters import Kind
from app.policies.plans import (
    Accepted,
    PlanInForce,
    TerritoryInForce,
    find_plan,
    read_exchange,
    read_owners,
    read_plan,
)
from app.policies.rules import Facts, TerritoryFacts

NO_HISTORY = "snapshots do not tell which customers have the tags or states of the layer"
OF_TODAY = "capacity and heads of reps are those of today"
NAMED_AT_HOME = "named accounts are counted where they live"


@dataclass(frozen=True, slots=True)
class Seen:
    """The facts of a layer, or none where no plan is in force."""

    plan_id: int | None
    facts: Facts


@dataclass(slots=True)
class Reader:
    """Reads the facts of one layer; what several days share is read once."""

    session: AnySession
    layer: Layer
    time_zone: str
    accepted: Accepted = field(init=False)
    history: History = field(init=False)
    _plans: dict[int, PlanInForce] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.accepted = Accepted.by(self.layer)
        self.history = History(self.session, self.accepted.classes, self.accepted.segments)

    async def now(self, on: date) -> Seen:
        """Return the facts of now; history and vacancy are counted back from a local day."""
        instant = (await self.session.execute(select(func.now()))).scalar_one()
        found = await find_plan(self.session, self.layer.id, instant)
        if found is None:
            return _nothing(on)
        plan = await self._plan(found[0])
        territories = await read_owners(
            self.session, plan.plan_id, found[1], instant, self.time_zone
        )
        ordinal_of = {territory.code: territory.ordinal for territory in territories}
        exchange = await read_exchange(self.session, self.layer.id, plan.ground, ordinal_of)
        facts = [
            TerritoryFacts(
                **_standing(territory),
                customers=round(plan.customers[territory.ordinal] + exchange[territory.ordinal, 0]),
                work_minutes=round(
                    float(plan.work_minutes[territory.ordinal] + exchange[territory.ordinal, 1]), 2
                ),
                residents=round(plan.customers[territory.ordinal]),
                **await self._past(plan, territory, on),
            )
            for territory in territories
        ]
        return Seen(plan.plan_id, await self._told(on, facts, {}))

    async def at_end_of(self, month: date) -> Seen:
        """Return the facts of the last day of a month, as far as snapshots can tell."""
        on = last_day(month)
        found = await find_plan(self.session, self.layer.id, self._last_instant(on))
        if found is None:
            return _nothing(on)
        plan = await self._plan(found[0])
        territories = await read_owners(
            self.session, plan.plan_id, found[1], self._last_instant(on), self.time_zone
        )
        sums = await self._sums(plan, month)
        facts = [
            TerritoryFacts(
                **_standing(territory),
                **_counted(sums, territory),
                **await self._past(plan, territory, on),
            )
            for territory in territories
        ]
        missing: dict[Kind, str] = {}
        if sums is None:
            reason = self._reason(month)
            missing = {"max_customers": reason, "utilisation": reason, "growth": reason}
        return Seen(plan.plan_id, await self._told(on, facts, missing))

    async def caveats(self, kind: Kind, on: date) -> list[str]:
        """Say what snapshots cannot tell of a day, so that others are taken instead."""
        said = []
        if kind in ("utilisation", "efficiency_gap"):
            said.append(OF_TODAY)
        if kind in ("max_customers", "utilisation"):
            named = select(CustomerOverride.id).where(
                CustomerOverride.layer_id == self.layer.id,
                CustomerOverride.during.contains(self._last_instant(on)),
            )
            if await self.session.scalar(select(named.exists())):
                said.append(NAMED_AT_HOME)
        return said

    async def _plan(self, plan_id: int) -> PlanInForce:
        if plan_id not in self._plans:
            self._plans[plan_id] = await read_plan(self.session, self.accepted, plan_id)
        return self._plans[plan_id]

    async def _sums(self, plan: PlanInForce, month: date) -> Floats | None:
        if not self.accepted.is_by_kind:
            return None
        return await self.history.sums(plan.plan_id, plan.ground, month)

    async def _past(
        self, plan: PlanInForce, territory: TerritoryInForce, on: date
    ) -> dict[str, Any]:
        base = await self._sums(plan, earlier(month_of(on), 12))
        quarters = [await self._sums(plan, quarter) for quarter in _quarters(on)]
        at = territory.ordinal
        known = [sums for sums in quarters if sums is not None]
        revenue = None
        if len(known) == len(quarters):
            revenue = tuple(round(float(sums[at, REVENUE]), 2) for sums in known)
        return {
            "residents_before": None if base is None else round(base[at, CUSTOMERS]),
            "revenue": revenue,
        }

    async def _told(
        self, on: date, territories: list[TerritoryFacts], missing: dict[Kind, str]
    ) -> Facts:
        """Return the facts with the reasons for what is not among them."""
        base, quarters = earlier(month_of(on), 12), _quarters(on)
        missing = dict(missing)
        needed: dict[Kind, tuple[date, ...]] = {"growth": (base,), "efficiency_gap": quarters}
        for kind, months in needed.items():
            gone = [month for month in months if not await self._is_known(month)]
            if gone:
                missing.setdefault(kind, self._reason(*gone))
        return Facts(on, territories, base, quarters, missing)

    async def _is_known(self, month: date) -> bool:
        return self.accepted.is_by_kind and await self.history.has(month)

    def _reason(self, *months: date) -> str:
        if not self.accepted.is_by_kind:
            return NO_HISTORY
        return f"no snapshot for {' and '.join(map(month_name, months))}"

    def _last_instant(self, on: date) -> datetime:
        """Return the last instant of a local day that the database can tell from the next day."""
        zone = ZoneInfo(self.time_zone)
        next_day = on + timedelta(days=1)
        begin = datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone)
        return begin - timedelta(microseconds=1)


def _quarters(on: date) -> tuple[date, date]:
    last = full_quarter(on)
    return earlier(last, 3), last


def _standing(territory: TerritoryInForce) -> dict[str, Any]:
    return {
        "code": territory.code,
        "owner": territory.owner,
        "vacant_since": territory.vacant_since,
    }


def _counted(sums: Floats | None, territory: TerritoryInForce) -> dict[str, Any]:
    if sums is None:
        return {}
    customers = round(sums[territory.ordinal, CUSTOMERS])
    return {
        "customers": customers,
        "residents": customers,
        "work_minutes": round(float(sums[territory.ordinal, WORK]), 2),
    }


def _nothing(on: date) -> Seen:
    reason = "no plan is in force on the layer"
    kinds: tuple[Kind, ...] = (
        "max_customers", "growth", "efficiency_gap", "utilisation", "vacancy",
    )  # fmt: skip
    base = earlier(month_of(on), 12)
    return Seen(None, Facts(on, [], base, _quarters(on), dict.fromkeys(kinds, reason)))
