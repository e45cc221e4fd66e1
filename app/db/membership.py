"""Which territory a customer belongs to: the one meaning that lists, scope and tiles share.

A customer belongs to a territory of a plan when the filter of the plan's layer accepts it and

- a named account (`customer_override`) of that layer puts it there, or
- no named account of that layer speaks of it and its cell has a logical ancestor there.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    TableValuedAlias,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from app.db.spatial import cell_parent
from app.db.tables import (
    Customer,
    CustomerOverride,
    Layer,
    Plan,
    PlanCell,
    Publication,
    Rep,
    Territory,
    TerritoryOwner,
)


def layer_accepts(customer_filter: Any, customer: Any = Customer) -> ColumnElement[bool]:
    """Match customers (the table, or an alias of it) that a layer's filter accepts."""
    return func.layer_accepts(
        customer_filter, customer.class_, customer.segment, customer.tags, customer.status
    )


def customer_cells(resolutions: Any) -> Select[int]:
    """Select the logical ancestors of the customer's cell at a plan's resolutions."""
    return select(cell_parent(Customer.cell, func.unnest(resolutions)))


def named_account(layer_id: Any, customer_id: Any = Customer.id) -> Select[str]:
    """Select the territory code of the customer's named account on a layer, if it has one now."""
    return select(CustomerOverride.territory_code).where(
        CustomerOverride.customer_id == customer_id,
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


def territories_of_customer() -> Select[Any]:
    """Select the territories in force that customers belong to, with who owns them now.

    The same meaning as `in_territories`, asked of a customer: add which one to the conditions.
    """
    code = named_account(Publication.layer_id).correlate(Customer, Publication).scalar_subquery()
    by_name, by_cell = aliased(Territory), PlanCell
    named = select(by_name.id).where(by_name.plan_id == Publication.plan_id, by_name.code == code)
    placed = select(by_cell.territory_id).where(
        by_cell.plan_id == Publication.plan_id,
        by_cell.cell.in_(customer_cells(Plan.resolutions).correlate(Customer, Plan)),
    )
    home = case(
        (code.is_(None), placed.correlate(Customer, Publication, Plan).scalar_subquery()),
        else_=named.correlate(Customer, Publication).scalar_subquery(),
    )
    now = func.now()
    owned = and_(TerritoryOwner.territory_id == Territory.id, TerritoryOwner.during.contains(now))
    columns: list[Any] = [
        Publication.layer_id,
        Publication.plan_id,
        Publication.id.label("publication_id"),
        Territory.id,
        Territory.code,
        Territory.name,
        Rep.id.label("rep_id"),
        Rep.name.label("rep_name"),
        code.is_not(None).label("is_named"),
    ]
    return (
        select(*columns)
        .select_from(Customer)
        .join(Publication, Publication.during.contains(now))
        .join(Plan, Plan.id == Publication.plan_id)
        .join(Layer, Layer.id == Publication.layer_id)
        .join(Territory, Territory.id == home)
        .outerjoin(TerritoryOwner, owned)
        .outerjoin(Rep, Rep.id == TerritoryOwner.rep_id)
        .where(layer_accepts(Layer.customer_filter))
        .order_by(Publication.layer_id)
    )


def belongs_to(
    is_wanted: ColumnElement[bool], span: TableValuedAlias | None = None
) -> ColumnElement[bool]:
    """Match the customers of the territories that a predicate on `territory` matches.

    The same customers as `in_territories` finds, by another road: that one asks every customer for
    its territory, which is right where another index has left few of them; this one walks the
    cells of the territories, which is right for listing them whole.

    With disjoint `spans` only the customers in these ranges of cells are looked for: the cells of
    the territories that reach into one are found from the cells of its two ends.
    """
    by_cell, by_name = _members_by_cell(is_wanted, span), _members_by_name(is_wanted, span)
    # Materialised: where other conditions seem to leave one customer, the planner would look for
    # all members once more for each that they do leave.
    members = by_cell.union_all(by_name).cte().prefix_with("MATERIALIZED", dialect="postgresql")
    return Customer.id.in_(select(members.c.id))


def _members_by_cell(is_wanted: ColumnElement[bool], span: TableValuedAlias | None) -> Select[int]:
    everyone = aliased(Customer)
    given: list[Any] = [PlanCell] if span is None else [PlanCell, span]
    first, last = func.cell_first(PlanCell.cell), func.cell_last(PlanCell.cell)
    if span is not None:
        first, last = func.greatest(first, span.c.first), func.least(last, span.c.last)
    in_cell = (
        select(everyone)
        .where(everyone.cell.between(first, last))
        # OFFSET keeps the planner from reading all customers once instead of a range per cell.
        .offset(0)
        .correlate(*given)
        .lateral()
    )
    resident = aliased(Customer, in_cell)
    is_named = exists().where(
        CustomerOverride.customer_id == resident.id,
        CustomerOverride.layer_id == Plan.layer_id,
        CustomerOverride.during.contains(func.now()),
    )
    of_territory = and_(PlanCell.plan_id == Plan.id, PlanCell.territory_id == Territory.id)
    members = (
        select(resident.id)
        .select_from(Territory)
        .join(Plan, Plan.id == Territory.plan_id)
        .join(Layer, Layer.id == Plan.layer_id)
    )
    if span is not None:
        level = func.unnest(Plan.resolutions).table_valued("resolution").render_derived("level")
        members = members.join(level, true()).join(span, true())
        low = cell_parent(span.c.first, level.c.resolution)
        high = cell_parent(span.c.last, level.c.resolution)
        of_territory = and_(of_territory, PlanCell.cell.between(low, high))
    return (
        members.join(PlanCell, of_territory)
        .join(resident, true())
        .where(is_wanted, layer_accepts(Layer.customer_filter, resident), ~is_named)
    )


def _members_by_name(is_wanted: ColumnElement[bool], span: TableValuedAlias | None) -> Select[int]:
    named = aliased(Customer)
    members = (
        select(named.id)
        .select_from(Territory)
        .join(Plan, Plan.id == Territory.plan_id)
        .join(Layer, Layer.id == Plan.layer_id)
        .join(
            CustomerOverride,
            and_(
                CustomerOverride.layer_id == Plan.layer_id,
                CustomerOverride.territory_code == Territory.code,
            ),
        )
        .join(named, named.id == CustomerOverride.customer_id)
        .where(
            is_wanted,
            CustomerOverride.during.contains(func.now()),
            layer_accepts(Layer.customer_filter, named),
        )
    )
    if span is None:
        return members
    return members.join(span, named.cell.between(span.c.first, span.c.last))
