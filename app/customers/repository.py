"""Customers in the database."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from psycopg.errors import UniqueViolation
from sqlalchemy import Row, Select, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from app import workload
from app.customers.schemas import (
    CustomerBody,
    CustomerTerritory,
    CustomerView,
    HomeTerritory,
    ResponsibleRep,
)
from app.db import scope as scopes
from app.db.customer_filter import PLAN_FOR_VALUES, CustomerFilter
from app.db.membership import territories_of_customer
from app.db.scope import Scope
from app.db.session import AnySession, WriteSession
from app.db.spatial import anchor_of, geography, point
from app.db.tables import Customer
from app.errors import Conflict, Fault, NotFound
from app.settings import WorkSettings
from geo.cells import CUSTOMER_RESOLUTION, cell_from_point, cell_to_text
from geo.distance import great_circle_m

# What an upsert compares to tell a change from a repetition.
CONTENT = (
    "name", "geom", "class", "segment", "tags", "status", "potential", "revenue",
    "visits_per_year", "service_minutes", "last_visit_at", "attributes",
)  # fmt: skip

# Two ways to compute the distance of one pair may differ in the last digits.
ROUNDING_M = 0.001


async def list_customers(
    session: AnySession, scope: Scope, wanted: CustomerFilter, after: int, limit: int
) -> list[CustomerView]:
    """Return up to `limit` customers in the order of their ids."""
    if wanted.may_be_rare or wanted.bbox is not None:
        # Else every customer with a common tag is read and sorted for each page.
        await session.execute(PLAN_FOR_VALUES)
    statement = (
        _selection()
        .where(scopes.customers(scope), Customer.id > after, *wanted.conditions(scope))
        .order_by(Customer.id)
        .limit(limit)
    )
    return [_view(row) for row in await session.execute(statement)]


async def get_customer(session: AnySession, scope: Scope, customer_id: int) -> CustomerView:
    """Return one customer.

    Raises
    ------
    NotFound
        When it does not exist or is out of scope; the two look alike.
    """
    statement = _selection().where(Customer.id == customer_id, scopes.customers(scope))
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"There is no customer {customer_id}.")
    return _view(row)


async def territories_of(
    session: AnySession, scope: Scope, customer_id: int
) -> list[CustomerTerritory]:
    """Return the territories in force that a customer belongs to, one per layer.

    Raises
    ------
    NotFound
        When it does not exist or is out of scope.
    """
    await get_customer(session, scope, customer_id)
    statement = territories_of_customer().where(
        Customer.id == customer_id, scopes.territories(scope)
    )
    return [
        CustomerTerritory(
            layer_id=row.layer_id,
            plan_id=row.plan_id,
            publication_id=row.publication_id,
            territory=HomeTerritory(id=row.id, code=row.code, name=row.name),
            rep=None if row.rep_id is None else ResponsibleRep(id=row.rep_id, name=row.rep_name),
            by="named_account" if row.is_named else "cell",
        )
        for row in await session.execute(statement)
    ]


async def create_customer(
    session: WriteSession, settings: WorkSettings, external_id: str, body: CustomerBody
) -> CustomerView:
    """Insert a customer.

    Raises
    ------
    Conflict
        When the external id is taken.
    """
    values = await _values(session, settings, external_id, body)
    try:
        async with session.begin_nested():
            statement = insert(Customer).values(values).returning(Customer.id)
            customer_id = (await session.execute(statement)).scalar_one()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        fault = Fault("taken", "another customer has this external id", "/external_id")
        raise Conflict(f"The external id {external_id!r} is taken.", [fault]) from None
    return await get_customer(session, scopes.EVERYTHING, customer_id)


async def upsert_customer(
    session: WriteSession, settings: WorkSettings, external_id: str, body: CustomerBody
) -> tuple[CustomerView, bool]:
    """Create or overwrite a customer; return it and whether it is new.

    A repetition of what is stored changes nothing, the version included.
    """
    values = await _values(session, settings, external_id, body)
    statement = insert(Customer).values(values)
    new, old = statement.excluded, Customer.__table__.c
    statement = statement.on_conflict_do_update(
        index_elements=["external_id"],
        set_={
            **{name: new[name] for name in (*CONTENT, "cell", "work_minutes", "due_on")},
            "version": old.version + 1,
            "updated_at": func.now(),
        },
        where=tuple_(*(old[name] for name in CONTENT)).is_distinct_from(
            tuple_(*(new[name] for name in CONTENT))
        ),
    )
    done = await session.execute(statement.returning(Customer.id, Customer.version))
    row = done.one_or_none()
    wanted = Customer.external_id == external_id
    stored = (await session.execute(_selection().where(wanted))).one()
    return _view(stored), row is not None and row.version == 1


async def lock_customer(session: WriteSession, customer_id: int) -> CustomerView:
    """Return a customer that nobody else can change until this transaction ends.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    statement = _selection().where(Customer.id == customer_id).with_for_update(of=Customer)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"There is no customer {customer_id}.")
    return _view(row)


async def find_for_upsert(session: WriteSession, external_id: str) -> CustomerView | None:
    """Return the customer of an external id, locked, if there is one."""
    statement = _selection().where(Customer.external_id == external_id)
    row = (await session.execute(statement.with_for_update(of=Customer))).one_or_none()
    return None if row is None else _view(row)


async def delete_customer(session: WriteSession, customer_id: int) -> None:
    """Delete a customer that was locked."""
    await session.execute(delete(Customer).where(Customer.id == customer_id))


def _selection() -> Select[Any]:
    return select(
        Customer, func.ST_X(Customer.geom).label("lon"), func.ST_Y(Customer.geom).label("lat")
    )


async def _values(
    session: AnySession, settings: WorkSettings, external_id: str, body: CustomerBody
) -> dict[str, Any]:
    values = body.model_dump(by_alias=True, exclude={"lon", "lat"})
    return {
        **values,
        "external_id": external_id,
        "geom": point(body.lon, body.lat),
        "cell": cell_from_point(body.lon, body.lat, CUSTOMER_RESOLUTION),
        "work_minutes": await _work_minutes(session, settings, external_id, body),
        "due_on": workload.due_on(
            float(_visits(settings, body)[0]), body.last_visit_at, settings.time_zone
        ),
    }


async def _work_minutes(
    session: AnySession, settings: WorkSettings, external_id: str, body: CustomerBody
) -> float:
    """Estimate the work of one customer from its nearest neighbours as they are now."""
    rows = await _neighbours(session, settings.neighbours, external_id, body)
    weights = workload.visits_per_year(
        settings,
        [row.class_ for row in rows],
        _optional([row.visits_per_year for row in rows]),
        np.zeros(len(rows), dtype=bool),
    )
    places = np.array([(row.lon, row.lat) for row in rows], dtype=np.float64).reshape(-1, 2)
    distances = great_circle_m(body.lon, body.lat, places[:, 0], places[:, 1])
    # Without neighbours, or with none that is visited, every distance weighs the same.
    weights = weights + 1e-9
    mean_m = float((weights * distances).sum() / max(weights.sum(), 1e-9))
    minutes = workload.work_minutes(
        settings,
        [body.class_],
        _visits(settings, body),
        _optional([body.service_minutes]),
        np.array([mean_m]),
    )
    return float(minutes[0])


async def _neighbours(
    session: AnySession, limit: int, external_id: str, body: CustomerBody
) -> Sequence[Row[Any]]:
    here, anchor = geography(body.lon, body.lat), anchor_of(body.lon, body.lat)
    # Along the sphere, as the workload model measures it.
    distance = func.ST_Distance(Customer.geog, here, False)
    others = (
        select(
            Customer.class_,
            Customer.visits_per_year,
            func.ST_X(Customer.geom).label("lon"),
            func.ST_Y(Customer.geom).label("lat"),
            distance.label("distance_m"),
        )
        .where(Customer.external_id != external_id, Customer.status != "inactive")
        .limit(limit)
    )
    in_order = others.order_by(Customer.geog.op("<->")(anchor.geography))
    rows = (await session.execute(in_order)).all()
    if not anchor.shift_m or not rows:
        return rows
    # So many are near the anchor; those that are nearest here are no farther away.
    reach_m = max(row.distance_m for row in rows) + ROUNDING_M
    nearest = others.where(func.ST_DWithin(Customer.geog, here, reach_m, False)).order_by(distance)
    return (await session.execute(nearest)).all()


def _visits(settings: WorkSettings, body: CustomerBody) -> workload.Floats:
    return workload.visits_per_year(
        settings,
        [body.class_],
        _optional([body.visits_per_year]),
        np.array([body.status == "inactive"]),
    )


def _optional(values: list[float | None]) -> workload.Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _view(row: Any) -> CustomerView:
    customer: Customer = row.Customer
    members = {
        name: getattr(customer, name)
        for name in CustomerView.model_fields
        if name not in ("lon", "lat", "cell")
    }
    return CustomerView(lon=row.lon, lat=row.lat, cell=cell_to_text(customer.cell), **members)
