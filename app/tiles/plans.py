"""Which plan a tile shows."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, select

from app.db import scope as scopes
from app.db.prepared import Prepared, left_open
from app.db.scope import Scope
from app.db.session import AnyReader, rows
from app.db.tables import Layer, Plan, Publication
from app.errors import NotFound

HAS_LAYER = Prepared(select(Layer.id).where(Layer.id == left_open("layer_id", BigInteger())))
# Statements kept, two for each scope.
MOST_KEPT = 512


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """What a tile needs to know of its plan."""

    id: int
    layer_id: int
    customer_filter: dict[str, Any]
    resolutions: tuple[int, ...]
    version: int
    is_draft: bool
    made_at: datetime

    @property
    def is_rolled_up(self) -> bool:
        """Whether the rollups, kept by class and segment, know the customers of the layer."""
        return self.customer_filter.keys() <= {"class", "segment"}


async def find_plan(
    reader: AnyReader, scope: Scope, plan_id: int | None, layer_id: int | None
) -> ShownPlan | None:
    """Return the plan of this id, drafts too, or else the one in force on the layer.

    Without a layer it is the first one that has a plan in force; nothing when none has.

    Raises
    ------
    NotFound
        When the plan or the layer named does not exist or is out of scope.
    """
    statement = _statement(scope, plan_id is not None, layer_id is not None)
    for row in await rows(reader, statement, plan_id=plan_id, layer_id=layer_id):
        number, layer, accepted, resolutions, *others = row
        return ShownPlan(number, layer, accepted, tuple(resolutions), *others)
    if plan_id is not None:
        raise NotFound(f"There is no plan {plan_id}.")
    if layer_id is not None and not await rows(reader, HAS_LAYER, layer_id=layer_id):
        raise NotFound(f"There is no layer {layer_id}.")
    return None


@lru_cache(maxsize=MOST_KEPT)
def _statement(scope: Scope, is_named: bool, has_layer: bool) -> Prepared:
    """Return the statement for the plan `plan_id`, or for the one in force, of `layer_id`."""
    statement = (
        select(
            Plan.id,
            Plan.layer_id,
            Layer.customer_filter,
            Plan.resolutions,
            Plan.version,
            (Plan.state == "draft").label("is_draft"),
            Plan.created_at.label("made_at"),
        )
        .join(Layer, Layer.id == Plan.layer_id)
        .where(scopes.plans(scope))
        .order_by(Plan.layer_id)
        .limit(1)
    )
    if has_layer:
        statement = statement.where(Plan.layer_id == left_open("layer_id", BigInteger()))
    if is_named:
        return Prepared(statement.where(Plan.id == left_open("plan_id", BigInteger())))
    in_force = scopes.in_force()
    return Prepared(statement.join(Publication, Publication.plan_id == Plan.id).where(in_force))
