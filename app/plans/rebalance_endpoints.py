"""Rebalances over HTTP."""

from typing import Annotated

from fastapi import Path, Query, Response

from app.auth import Detail, Planner, Reading, Writing
from app.http.admission import HEAVY
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.jobs.schemas import RunView
from app.plans import rebalance_store
from app.plans.endpoints import PlanId
from app.plans.rebalance_request import RebalanceRequest
from app.plans.rebalance_schemas import MovedCustomer, MoveView, RebalanceView

routes = router("plans")

AS_IT_IS = RebalanceRequest()
CustomerId = Annotated[
    int | None, Query(ge=1, lt=2**63, description="Only of the ground where this customer is")
]
Position = Annotated[int, Path(ge=0, lt=2**31)]


@routes.post("/plans/{plan_id}:rebalance", status_code=202, openapi_extra=HEAVY)
async def rebalance_plan(
    plan_id: PlanId,
    session: Writing,
    caller: Planner,
    response: Response,
    body: RebalanceRequest = AS_IT_IS,
) -> RunView:
    """Bring a plan back into its tolerances with little moved; follow the run in Location.

    While every territory is within the triggers nothing is done. Otherwise plans are searched for
    from there at each price of moving, and one is designed anew for comparison; none is taken that
    moves more than the budget. The one that moves least while it holds everything becomes a draft.
    """
    run = await rebalance_store.request_rebalance(session, plan_id, body, caller.acting.actor)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return RunView.of(run)


@routes.get("/plans/{plan_id}/rebalances")
async def list_plan_rebalances(
    plan_id: PlanId, session: Reading, caller: Detail, page: PagingParameters
) -> Page[RebalanceView]:
    """List what rebalances of a plan found, newest first."""
    found = await rebalance_store.list_rebalances(
        session, caller.scope, plan_id, page.after, page.limit + 1
    )
    return Page(items=found[: page.limit], links=page.links([item.id for item in found]))


@routes.get("/rebalances/{rebalance_id}")
async def get_rebalance(
    rebalance_id: Annotated[int, Path(ge=1, lt=2**63)], session: Reading, caller: Detail
) -> RebalanceView:
    """Return the plans that a rebalance found, and which it picked and why."""
    return await rebalance_store.get_rebalance(session, caller.scope, rebalance_id)


@routes.get("/plans/{plan_id}/moves")
async def list_plan_moves(
    plan_id: PlanId,
    session: Reading,
    caller: Detail,
    page: PagingParameters,
    customer_id: CustomerId = None,
) -> Page[MoveView]:
    """List what moved when a plan was rebalanced, with the reason and what else would be.

    What changes hands can be a single customer: viewers get 403.
    """
    found = await rebalance_store.list_moves(
        session, caller.scope, plan_id, customer_id, page.after, page.limit + 1
    )
    numbers = [move.position + 1 for move in found]
    return Page(items=found[: page.limit], links=page.links(numbers))


@routes.get("/plans/{plan_id}/moves/{position}/customers")
async def list_moved_customers(
    plan_id: PlanId,
    position: Position,
    session: Reading,
    caller: Detail,
    page: PagingParameters,
) -> Page[MovedCustomer]:
    """List the customers of today on the ground of a move."""
    found = await rebalance_store.list_moved_customers(
        session, caller.scope, plan_id, position, page.after, page.limit + 1
    )
    return Page(
        items=list(found[: page.limit]), links=page.links([customer.id for customer in found])
    )
