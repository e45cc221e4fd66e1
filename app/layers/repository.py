"""Layers in the database."""

from typing import Any

from psycopg.errors import UniqueViolation
from sqlalchemy import Select, and_, func, select
from sqlalchemy.exc import IntegrityError

from app.db.scope import Scope, in_force
from app.db.session import AnySession, WriteSession
from app.db.tables import Layer, Publication
from app.errors import Conflict, Fault, NotFound
from app.layers.schemas import LayerView, NewLayer, PlanInForce


async def list_layers(session: AnySession, scope: Scope, after: int, limit: int) -> list[LayerView]:
    """Return up to `limit` layers; a layer names no customer, so every caller sees all."""
    rows = await session.execute(
        _selection().where(Layer.id > after).order_by(Layer.id).limit(limit)
    )
    return [_view(row) for row in rows]


async def get_layer(session: AnySession, scope: Scope, layer_id: int) -> LayerView:
    """Return one layer.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    row = (await session.execute(_selection().where(Layer.id == layer_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no layer {layer_id}.")
    return _view(row)


async def find_layer(session: AnySession, name: str) -> LayerView | None:
    """Return the layer of this name, if there is one."""
    row = (await session.execute(_selection().where(Layer.name == name))).one_or_none()
    return None if row is None else _view(row)


async def create_layer(session: WriteSession, body: NewLayer) -> LayerView:
    """Insert a layer.

    Raises
    ------
    Conflict
        When the name is taken.
    """
    layer = Layer(
        name=body.name,
        title=body.title or body.name.replace("_", " ").replace("-", " ").capitalize(),
        customer_filter=body.customer_filter.document(),
    )
    try:
        async with session.begin_nested():
            session.add(layer)
            await session.flush()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        fault = Fault("taken", "another layer has this name", "/name")
        raise Conflict(f"The name {body.name!r} is taken.", [fault]) from None
    return await get_layer(session, Scope(), layer.id)


def _selection() -> Select[Any]:
    return select(
        Layer,
        Publication.id.label("publication_id"),
        Publication.plan_id,
        func.lower(Publication.during).label("effective_from"),
    ).outerjoin(Publication, and_(Publication.layer_id == Layer.id, in_force()))


def _view(row: Any) -> LayerView:
    layer: Layer = row.Layer
    current = None
    if row.publication_id is not None:
        current = PlanInForce(
            plan_id=row.plan_id,
            publication_id=row.publication_id,
            effective_from=row.effective_from,
        )
    return LayerView(
        id=layer.id,
        name=layer.name,
        title=layer.title,
        customer_filter=layer.customer_filter,
        plan_in_force=current,
        created_at=layer.created_at,
    )
