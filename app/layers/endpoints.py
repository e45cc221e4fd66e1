"""Layers over HTTP."""

from typing import Annotated

from fastapi import Path, Response

from app.auth import Anyone, Planner, Reading, Writing
from app.http.paging import Page, PagingParameters
from app.http.routing import router
from app.layers import repository
from app.layers.schemas import LayerView, NewLayer

routes = router("layers")

LayerId = Annotated[int, Path(ge=1, lt=2**63)]


@routes.post("/layers", status_code=201)
async def create_layer(
    body: NewLayer, session: Writing, caller: Planner, response: Response
) -> LayerView:
    """Create a layer for the customers that its filter selects."""
    layer = await repository.create_layer(session, body)
    response.headers["Location"] = f"/v1/layers/{layer.id}"
    return layer


@routes.get("/layers")
async def list_layers(session: Reading, caller: Anyone, page: PagingParameters) -> Page[LayerView]:
    """List layers with the plan that is in force on each."""
    found = await repository.list_layers(session, caller.scope, page.after, page.limit + 1)
    return Page(items=found[: page.limit], links=page.links([layer.id for layer in found]))


@routes.get("/layers/{layer_id}")
async def get_layer(layer_id: LayerId, session: Reading, caller: Anyone) -> LayerView:
    """Return one layer."""
    return await repository.get_layer(session, caller.scope, layer_id)
