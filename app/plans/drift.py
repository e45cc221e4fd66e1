"""Drift: a plan's balance with the customers of today."""

import orjson
from sqlalchemy import text

from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import Layer
from app.errors import Conflict
from app.plans.repository import get_plan
from app.plans.schemas import DriftView, TerritoryDrift

DRIFT = text("""
    -- Customers of the layer by the territory that holds them now: a named account first, else the
    -- ancestor of their cell at one of the plan's resolutions; null is no territory.
    SELECT CASE WHEN o.id IS NULL THEN placed.territory_id ELSE named.id END AS territory_id,
        count(*) AS customers,
        sum(customer.work_minutes) AS work_minutes
    FROM customer
    LEFT JOIN LATERAL (
        SELECT territory_id FROM plan_cell
        WHERE plan_id = :plan_id AND cell IN (
            SELECT cell_parent(customer.cell, r) FROM unnest(CAST(:resolutions AS int[])) AS r)
    ) AS placed ON true
    LEFT JOIN customer_override AS o ON o.customer_id = customer.id AND o.layer_id = :layer_id
        AND o.during @> now()
    LEFT JOIN territory AS named ON named.plan_id = :plan_id AND named.code = o.territory_code
    WHERE layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
    GROUP BY 1
""")


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
    layer = await session.get_one(Layer, plan.layer_id)
    rows = await session.execute(
        DRIFT,
        {
            "plan_id": plan_id,
            "layer_id": plan.layer_id,
            "resolutions": plan.resolutions,
            "filter": orjson.dumps(layer.customer_filter).decode(),
        },
    )
    today = {row.territory_id: (row.customers, float(row.work_minutes)) for row in rows}
    tolerance = plan.tolerances["work_minutes"]
    covered = sum(work for territory, (_, work) in today.items() if territory is not None)
    designed = sum(row.target_work_minutes or 0.0 for row in plan.balance)
    territories = []
    for row in plan.balance:
        customers, work = today.get(row.territory_id, (0, 0.0))
        target = (row.target_work_minutes or 0.0) / designed * covered if designed else 0.0
        imbalance = (work - target) / target if target else 0.0
        territories.append(
            TerritoryDrift(
                territory_id=row.territory_id,
                code=row.code,
                customers=customers,
                work_minutes=work,
                target_work_minutes=target,
                imbalance=imbalance,
                imbalance_as_designed=row.imbalance["work_minutes"],
                is_within_tolerance=abs(imbalance) <= tolerance,
            )
        )
    uncovered = today.get(None, (0, 0.0))
    return DriftView(
        plan_id=plan_id,
        tolerance=tolerance,
        max_imbalance=max((abs(row.imbalance) for row in territories), default=0.0),
        is_within_tolerance=all(row.is_within_tolerance for row in territories),
        territories=territories,
        uncovered_customers=uncovered[0],
        uncovered_work_minutes=uncovered[1],
    )
