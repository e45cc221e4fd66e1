"""Rebalances in the database: asking for one, and what came of it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select, true

from app.db.membership import layer_accepts
from app.db.scope import Scope
from app.db.session import AnySession, WriteSession
from app.db.spatial import cell_parent, spans
from app.db.tables import Customer, CustomerOverride, Layer, Plan, PlanMove, Rebalance, Run
from app.errors import NotFound
from app.jobs.queue import enqueue
from app.plans.front_store import request_of
from app.plans.rebalance_reading import read_plan, refuse_unknown
from app.plans.rebalance_request import RebalanceRequest
from app.plans.rebalance_schemas import MovedCustomer, MoveView, OptionView, RebalanceView
from geo.cells import CUSTOMER_RESOLUTION, as_cells, cells_to_text

KIND = "rebalance"


async def request_rebalance(
    session: WriteSession, plan_id: int, request: RebalanceRequest, requested_by: str
) -> Run:
    """Queue the rebalancing of a plan.

    Raises
    ------
    NotFound
        When there is no such plan.
    InvalidInput
        When the request names a territory that it has not.
    Conflict
        When the plan was not made by a request that can be varied, or a run is at work on the
        layer.
    """
    plan = await session.get(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    request_of(plan)
    refuse_unknown(request, (await read_plan(session, plan_id)).codes)
    parameters = {"plan_id": plan_id, "request": request.model_dump(mode="json")}
    return await enqueue(session, KIND, parameters, requested_by, plan.layer_id)


async def get_rebalance(session: AnySession, scope: Scope, rebalance_id: int) -> RebalanceView:
    """Return what a rebalance found.

    Raises
    ------
    NotFound
        When there is none, or the caller may not see all customers.
    """
    found = await session.get(Rebalance, rebalance_id) if scope.is_unlimited else None
    if found is None:
        raise NotFound(f"There is no rebalance {rebalance_id}.")
    return _view(found)


async def list_rebalances(
    session: AnySession, scope: Scope, plan_id: int, after: int, limit: int
) -> list[RebalanceView]:
    """Return up to `limit` rebalances of a plan, newest first; `after` is the last id before.

    Raises
    ------
    NotFound
        When there is no such plan, or the caller may not see all customers.
    """
    await _require(session, scope, plan_id)
    statement = (
        select(Rebalance)
        .where(Rebalance.plan_id == plan_id, Rebalance.id < after if after else true())
        .order_by(Rebalance.id.desc())
        .limit(limit)
    )
    return [_view(found) for found in await session.scalars(statement)]


async def list_moves(
    session: AnySession,
    scope: Scope,
    plan_id: int,
    customer_id: int | None,
    after: int,
    limit: int,
) -> list[MoveView]:
    """Return up to `limit` moves that made a plan from another, the most work first.

    Parameters
    ----------
    customer_id
        Only of the ground where this customer is.
    after
        Moves so far.

    Raises
    ------
    NotFound
        When there is no such plan or customer, or the caller may not see all customers.
    """
    plan = await _require(session, scope, plan_id)
    statement = select(PlanMove).where(PlanMove.plan_id == plan_id, PlanMove.position >= after)
    if customer_id is not None:
        cell = await session.scalar(select(Customer.cell).where(Customer.id == customer_id))
        if cell is None:
            raise NotFound(f"There is no customer {customer_id}.")
        moves_with_ground = select(Customer.id).where(
            Customer.id == customer_id, *_of_layer(plan.layer_id)
        )
        if await session.scalar(moves_with_ground) is None:
            # A named account stays where it is, and who is not of the layer moves nowhere.
            return []
        above = func.array(
            select(cell_parent(cell, func.unnest(plan.resolutions))).scalar_subquery()
        )
        statement = statement.where(PlanMove.cells.overlap(above))
    moves = await session.scalars(statement.order_by(PlanMove.position).limit(limit))
    return [_move(move) for move in moves]


async def list_moved_customers(
    session: AnySession, scope: Scope, plan_id: int, position: int, after: int, limit: int
) -> Sequence[MovedCustomer]:
    """Return up to `limit` customers of today on the ground of a move, by id.

    Named accounts are not among them: they are where their account puts them.

    Raises
    ------
    NotFound
        When there is no such plan or move, or the caller may not see all customers.
    """
    plan = await _require(session, scope, plan_id)
    move = await session.get(PlanMove, (plan_id, position))
    if move is None:
        raise NotFound(f"Plan {plan_id} has no move {position}.")
    span = spans(as_cells(move.cells), CUSTOMER_RESOLUTION)
    statement = (
        select(
            Customer.id, Customer.external_id, Customer.name, Customer.work_minutes,
            Customer.revenue,
        )
        .join(span, Customer.cell.between(span.c.first, span.c.last))
        .where(*_of_layer(plan.layer_id), Customer.id > after)
        .order_by(Customer.id)
        .limit(limit)
    )  # fmt: skip
    return [MovedCustomer(**row._mapping) for row in await session.execute(statement)]


def _of_layer(layer_id: int) -> list[ColumnElement[bool]]:
    """Match customers whose ground says where they belong on a layer."""
    is_named = select(CustomerOverride.id).where(
        CustomerOverride.customer_id == Customer.id,
        CustomerOverride.layer_id == layer_id,
        CustomerOverride.during.contains(func.now()),
    )
    accepted = select(Layer.customer_filter).where(Layer.id == layer_id).scalar_subquery()
    return [layer_accepts(accepted), ~is_named.exists()]


async def _require(session: AnySession, scope: Scope, plan_id: int) -> Plan:
    plan = await session.get(Plan, plan_id) if scope.is_unlimited else None
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    return plan


def _view(found: Rebalance) -> RebalanceView:
    outcome: dict[str, Any] = dict(found.outcome)
    options = [
        OptionView(**option, is_picked=number == outcome["picked"])
        for number, option in enumerate(outcome.pop("options"))
    ]
    told = {name: value for name, value in outcome.items() if name in RebalanceView.model_fields}
    return RebalanceView(
        id=found.id, plan_id=found.plan_id, new_plan_id=found.new_plan_id, run_id=found.run_id,
        created_at=found.created_at, request=found.request, options=options, **told,
    )  # fmt: skip


def _move(move: PlanMove) -> MoveView:
    names = set(MoveView.model_fields) - {"cells"}
    cells = cells_to_text(as_cells(move.cells))
    return MoveView(cells=cells, **{name: getattr(move, name) for name in names})
