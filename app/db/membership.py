"""Which territory a customer belongs to: the one meaning that lists, scope and tiles share.

A customer belongs to a territory of a plan when the filter of the plan's layer accepts it and

- a named account (`customer_override`) of that layer puts it there, or
- no named account of that layer speaks of it and its cell has a logical ancestor there.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from app.db.spatial import cell_parent
from app.db.tables import Customer, CustomerOverride, Layer, Plan, PlanCell, Territory


def layer_accepts(customer_filter: Any) -> ColumnElement[bool]:
    """Match customers that a layer's filter accepts."""
    return func.layer_accepts(
        customer_filter, Customer.class_, Customer.segment, Customer.tags, Customer.status
    )


def customer_cells(resolutions: Any) -> Select[int]:
    """Select the logical ancestors of the customer's cell at a plan's resolutions."""
    return select(cell_parent(Customer.cell, func.unnest(resolutions)))


def named_account(layer_id: Any) -> Select[str]:
    """Select the territory code of the customer's named account on a layer, if it has one now."""
    return select(CustomerOverride.territory_code).where(
        CustomerOverride.customer_id == Customer.id,
        CustomerOverride.layer_id == layer_id,
        CustomerOverride.during.contains(func.now()),
    )


def in_territories(wanted: Select[int]) -> ColumnElement[bool]:
    """Match customers of any territory that `wanted` selects (plans with stored cells only)."""
    code = named_account(Plan.layer_id).correlate(Customer, Plan).scalar_subquery()
    by_cell = exists().where(
        PlanCell.plan_id == Plan.id,
        PlanCell.territory_id == Territory.id,
        PlanCell.cell.in_(customer_cells(Plan.resolutions).correlate(Customer, Plan)),
    )
    by_cell = by_cell.correlate(Customer, Plan, Territory)
    return (
        select(Territory.id)
        .join(Plan, Plan.id == Territory.plan_id)
        .join(Layer, Layer.id == Plan.layer_id)
        .where(
            Territory.id.in_(wanted),
            layer_accepts(Layer.customer_filter),
            or_(code == Territory.code, and_(code.is_(None), by_cell)),
        )
        .correlate(Customer)
        .exists()
    )
