"""Whether the customers of a plan have changed since it was counted, and what that does to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import select

from app.db.session import AnySession
from app.db.tables import Plan, Territory
from app.errors import Conflict, Fault
from app.plans.ground_demand import demand_on
from app.plans.repository import load_alignment
from app.plans.request import MEASURES

# Fewer customers more or less are no other plan.
MOST_CHANGED = 0.01
# Designs use their tolerance up, since that buys compactness: a single customer more can be enough
# to miss it. What misses it by less than a fifth is still the plan that was agreed to.
BEYOND = 1.2
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Changes:
    """Customers, work and the largest imbalance by measure, when a plan was counted and now."""

    customers: tuple[int, int]
    work_minutes: tuple[float, float]
    imbalance: dict[str, tuple[float, float]]
    tolerances: dict[str, float]

    @property
    def share(self) -> float:
        """Customers more or less than then, over those of then."""
        then, now = self.customers
        return abs(now - then) / then if then else float(now > 0)

    @property
    def outside(self) -> list[str]:
        """Measures that were within their tolerance and are clearly not now."""
        return [
            name
            for name, (then, now) in self.imbalance.items()
            if then <= self.tolerances[name] + ROUNDING and now > BEYOND * self.tolerances[name]
        ]

    @property
    def is_large(self) -> bool:
        """Whether this is another plan than the one that was agreed to."""
        return self.share > MOST_CHANGED or bool(self.outside)

    def document(self) -> dict[str, Any]:
        """Return it for the events of the plan."""
        return {
            "customers": self.customers,
            "work_minutes": self.work_minutes,
            "max_imbalance": self.imbalance,
        }


async def find_changes(session: AnySession, plan: Plan) -> Changes | None:
    """Return what has changed since a plan was counted; None where it was never told.

    One sum over the customers of the layer, grouped by the plan's cells.
    """
    then = plan.manifest.get("recounted") or plan.manifest.get("input")
    if not then or "customers" not in then:
        return None
    cells, ordinals = await load_alignment(session, plan.id)
    demand = await demand_on(session, plan.layer_id, cells)
    rows = await session.execute(
        select(Territory.code, Territory.scores)
        .where(Territory.plan_id == plan.id)
        .order_by(Territory.ordinal)
    )
    codes, scores = zip(*rows, strict=True)
    sums = demand.by_territory(ordinals, list(codes))
    given = plan.parameters["tolerances"]
    tolerances = {name: given[name] for name in MEASURES if given.get(name) is not None}
    before = plan.scores["max_imbalance"]
    return Changes(
        customers=(int(then["customers"]), int(demand.total[1])),
        work_minutes=(float(then["work_minutes"]), float(demand.total[0])),
        imbalance={
            name: (
                float(before[name]),
                _worst(sums[:, MEASURES.index(name)], [s["target"].get(name, 0) for s in scores]),
            )
            for name in tolerances
            if name in before
        },
        tolerances=tolerances,
    )


def refuse_large(plan: Plan, changes: Changes) -> None:
    """Let a plan through whose customers are much as they were when it was counted.

    Raises
    ------
    Conflict
        With what has changed, and what can be done.
    """
    if not changes.is_large:
        return
    (n_then, n_now), (work_then, work_now) = changes.customers, changes.work_minutes
    faults = [
        Fault("customers-changed", f"{n_then} customers then, {n_now} now ({changes.share:.1%})"),
        Fault("customers-changed", f"{work_then:.0f} minutes of work then, {work_now:.0f} now"),
    ]
    faults += [
        Fault(
            "customers-changed",
            f"{name} was off by up to {then:.1%}, by {now:.1%} now; "
            f"{changes.tolerances[name]:.1%} is allowed",
        )
        for name, (then, now) in changes.imbalance.items()
    ]
    raise Conflict(
        f"The customers have changed since plan {plan.id} was counted. Count the draft anew "
        f"(POST /v1/plans/{plan.id}:refresh) and look at it, or publish with accept_changes.",
        [*faults, Fault("accept", "true publishes it as it is", "/accept_changes")],
    )


def _worst(sums: Any, targets: list[float]) -> float:
    """Return the largest imbalance when each target keeps its part of the whole."""
    wanted = np.array(targets, dtype=np.float64)
    total = wanted.sum()
    if total <= 0 or sums.sum() <= 0:
        return 0.0
    wanted *= sums.sum() / total
    off = np.divide(sums - wanted, wanted, out=np.zeros_like(wanted), where=wanted > 0)
    return float(np.abs(off).max())
