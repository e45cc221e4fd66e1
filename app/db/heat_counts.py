"""Heat that no sums are kept for is read from customers one by one: how many, and how many may be.

Views ask for it whenever they move, so what would take seconds is refused before it begins.
"""

import asyncio
from typing import Any

from sqlalchemy import Select, and_, func, select

from app.db.customer_filter import CustomerFilter
from app.db.heat import heat_rows, is_rolled_up
from app.db.heat_sums import FINEST
from app.db.own_heat import find_own_ground
from app.db.prepared import Planned, Prepared
from app.db.scope import EVERYTHING, Scope, territories
from app.db.session import AnyReader, rows
from app.db.spatial import cell_parent
from app.db.tables import ActivityCell, PlanCell, Territory
from app.errors import Fault, InvalidInput
from geo.bbox import BoundingBox
from geo.cover import cover

MAX_CUSTOMERS = 100_000
# The sum does not depend on the resolution; few cells are quickly added up.
FINEST_COUNTED = 6


async def is_summed(reader: AnyReader, scope: Scope, wanted: CustomerFilter) -> bool:
    """Tell whether kept sums answer this, or else the customers are read one by one."""
    return is_rolled_up(scope, wanted) or await find_own_ground(reader, scope, wanted) is not None


async def refuse_too_many(
    reader: AnyReader,
    scope: Scope,
    wanted: CustomerFilter,
    view: BoundingBox | None,
    resolution: int,
    pointer: str,
) -> None:
    """Refuse heat that would be read from too many customers.

    Raises
    ------
    InvalidInput
        With how many they are, about; its fault points to `pointer`.
    """
    n_customers = await count_customers(
        reader, scope, wanted, view, min(resolution, FINEST_COUNTED)
    )
    if n_customers > MAX_CUSTOMERS:
        detail = (
            f"about {n_customers:,} customers would be read one by one for these filters, at "
            f"most {MAX_CUSTOMERS:,} are; zoom in, or filter by class and segment only"
        )
        fault = Fault("too-many-customers", detail, pointer)
        raise InvalidInput("The view holds too many customers: zoom in.", [fault])


async def count_customers(
    reader: AnyReader,
    scope: Scope,
    wanted: CustomerFilter,
    view: BoundingBox | None,
    resolution: int,
) -> int:
    """Return how many customers at most an answer would read one by one, about.

    Those in view or those of the territories, whichever are fewer.
    """
    counts = []
    if view is not None or not wanted.is_of_territories:
        counts.append(await _count_in_view(reader, wanted, view, resolution))
    if not scope.is_unlimited or wanted.is_of_territories:
        counts.append(await _count_of_territories(reader, scope, wanted))
    return min(counts)


async def _count_in_view(
    reader: AnyReader, wanted: CustomerFilter, view: BoundingBox | None, resolution: int
) -> int:
    kept_by = CustomerFilter(classes=wanted.classes, segments=wanted.segments)
    covering = None if view is None else await asyncio.to_thread(cover, view, resolution)
    sums = heat_rows(EVERYTHING, "customers", kept_by, resolution, covering, 1).subquery()
    return await _number(reader, select(func.sum(sums.c.customers)))


async def _count_of_territories(reader: AnyReader, scope: Scope, wanted: CustomerFilter) -> int:
    """Return how many customers the cells of territories hold, whether or not in view.

    Some more where the cells are finer than those that sums are kept of.
    """
    level = func.least(func.cell_resolution(PlanCell.cell), FINEST)
    is_wanted = [territories(scope)]
    if wanted.territory_id is not None:
        is_wanted.append(Territory.id == wanted.territory_id)
    elif wanted.rep_id is not None:
        is_wanted.append(territories(Scope(frozenset({wanted.rep_id}))))
    held = (
        select(cell_parent(PlanCell.cell, level).label("cell"))
        .join(Territory, Territory.id == PlanCell.territory_id)
        .where(PlanCell.plan_id == Territory.plan_id, *is_wanted)
        .distinct()
        .subquery()
    )
    same = and_(
        ActivityCell.resolution == func.cell_resolution(held.c.cell),
        ActivityCell.cell == held.c.cell,
    )
    counted = select(func.sum(ActivityCell.customers)).select_from(held).join(ActivityCell, same)
    return await _number(reader, counted)


async def _number(reader: AnyReader, statement: Select[Any]) -> int:
    ((found,),) = await rows(reader, Prepared(statement, Planned.FOR_VALUES))
    return int(found or 0)
