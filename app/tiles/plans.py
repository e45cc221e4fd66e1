"""Which plan a tile shows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app.db import scope as scopes
from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import Layer, Plan, Publication
from app.errors import NotFound


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """What a tile needs to know of its plan."""

    id: int
    layer_id: int
    customer_filter: dict[str, Any]
    resolutions: tuple[int, ...]


async def find_plan(
    session: AnySession, scope: Scope, plan_id: int | None, layer_id: int | None
) -> ShownPlan | None:
    """Return the plan of this id, drafts too, or else the one in force on the layer.

    Without a layer it is the first one that has a plan in force; nothing when none has.

    Raises
    ------
    NotFound
        When the plan or the layer named does not exist or is out of scope.
    """
    statement = (
        select(Plan.id, Plan.layer_id, Layer.customer_filter, Plan.resolutions)
        .join(Layer, Layer.id == Plan.layer_id)
        .where(scopes.plans(scope))
        .order_by(Plan.layer_id)
        .limit(1)
    )
    if layer_id is not None:
        statement = statement.where(Plan.layer_id == layer_id)
    if plan_id is not None:
        statement = statement.where(Plan.id == plan_id)
    else:
        statement = statement.join(Publication, Publication.plan_id == Plan.id).where(
            scopes.in_force()
        )
    row = (await session.execute(statement)).one_or_none()
    if row is not None:
        return ShownPlan(row.id, row.layer_id, row.customer_filter, tuple(row.resolutions))
    if plan_id is not None:
        raise NotFound(f"There is no plan {plan_id}.")
    if layer_id is not None and await session.get(Layer, layer_id) is None:
        raise NotFound(f"There is no layer {layer_id}.")
    return None
