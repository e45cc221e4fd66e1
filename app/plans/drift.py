"""Drift: a plan's balance with the customers of today."""

from app.db.scope import Scope
from app.db.session import AnySession
from app.errors import Conflict
from app.plans.repository import get_plan
from app.plans.request import MEASURES
from app.plans.schemas import DriftView, TerritoryDrift
from app.plans.standing import measure_standing


async def measure_drift(session: AnySession, scope: Scope, plan_id: int) -> DriftView:
    """Return how far each territory of a published plan is from its target today.

    A target keeps its share of the total: when customers come everywhere, nothing has drifted.

    Raises
    ------
    NotFound
        When the plan does not exist or is out of scope.
    Conflict
        When the plan was never published.
    """
    plan = await get_plan(session, scope, plan_id, fewest=1)
    if plan.state not in ("published", "superseded"):
        raise Conflict(f"Plan {plan_id} is a {plan.state}: drift is measured of published plans.")
    standing = await measure_standing(session, plan_id)
    tolerance = plan.tolerances["work_minutes"]
    work, customers = (MEASURES.index(name) for name in ("work_minutes", "customers"))
    imbalance = standing.imbalance[:, work].tolist()
    territories = [
        TerritoryDrift(
            territory_id=row.territory_id,
            code=row.code,
            customers=round(standing.sums[ordinal, customers]),
            work_minutes=standing.sums[ordinal, work],
            target_work_minutes=standing.targets[ordinal, work],
            imbalance=imbalance[ordinal],
            imbalance_as_designed=row.imbalance["work_minutes"],
            is_within_tolerance=abs(imbalance[ordinal]) <= tolerance,
        )
        for ordinal, row in enumerate(plan.balance)
    ]
    return DriftView(
        plan_id=plan_id,
        tolerance=tolerance,
        max_imbalance=max((abs(row.imbalance) for row in territories), default=0.0),
        is_within_tolerance=all(row.is_within_tolerance for row in territories),
        territories=territories,
        uncovered_customers=round(standing.uncovered[customers]),
        uncovered_work_minutes=standing.uncovered[work],
    )
