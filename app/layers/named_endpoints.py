"""Named accounts of layers over HTTP."""

from typing import Annotated

from fastapi import Path, Response

from app.auth import Planner, Reading, Writing
from app.http.paging import PagingParameters
from app.http.routing import router
from app.layers import named_accounts
from app.layers.endpoints import LayerId
from app.layers.named_schemas import NamedAccountBody, NamedAccounts, NamedAccountView

routes = router("layers")

CustomerId = Annotated[int, Path(ge=1, lt=2**63)]


@routes.get("/layers/{layer_id}/named-accounts")
async def list_named_accounts(
    layer_id: LayerId, session: Reading, caller: Planner, page: PagingParameters
) -> NamedAccounts:
    """List customers that belong to a territory by name, and their share of the layer's."""
    found = await named_accounts.list_named_accounts(session, layer_id, page.after, page.limit + 1)
    named, everybody = await named_accounts.count_named(session, layer_id)
    return NamedAccounts(
        items=[account for _, account in found[: page.limit]],
        links=page.links([number for number, _ in found]),
        customers=named,
        layer_customers=everybody,
        share=named / everybody if everybody else 0.0,
    )


@routes.put(
    "/layers/{layer_id}/named-accounts/{customer_id}",
    responses={201: {"model": NamedAccountView}},
)
async def put_named_account(
    layer_id: LayerId,
    customer_id: CustomerId,
    body: NamedAccountBody,
    session: Writing,
    caller: Planner,
    response: Response,
) -> NamedAccountView:
    """Have a customer belong to a territory by name, now or during a range to come."""
    account, is_new = await named_accounts.put_named_account(session, layer_id, customer_id, body)
    response.status_code = 201 if is_new else 200
    return account


@routes.delete(
    "/layers/{layer_id}/named-accounts/{customer_id}", status_code=204, response_class=Response
)
async def delete_named_account(
    layer_id: LayerId, customer_id: CustomerId, session: Writing, caller: Planner
) -> Response:
    """Let a customer belong where its cell does from now on; what was stays known."""
    await named_accounts.end_named_account(session, layer_id, customer_id)
    return Response(status_code=204)
