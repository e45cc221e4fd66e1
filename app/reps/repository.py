"""Reps in the database."""

from collections.abc import Sequence
from typing import Any

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from sqlalchemy import Select, delete, func, null, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from app.db import scope as scopes
from app.db.scope import Scope
from app.db.session import AnySession, WriteSession
from app.db.spatial import point
from app.db.tables import Rep
from app.errors import Conflict, Fault, InvalidInput, NotFound, ServiceError
from app.reps.schemas import RepBody, RepView

CONTENT = (
    "name", "home", "days_per_year", "hours_per_day", "field_share", "ability", "fte", "skills",
    "manager_id",
)  # fmt: skip


async def list_reps(session: AnySession, scope: Scope, after: int, limit: int) -> list[RepView]:
    """Return up to `limit` reps in the order of their ids."""
    statement = _selection().where(scopes.reps(scope), Rep.id > after).order_by(Rep.id).limit(limit)
    return [_view(row) for row in await session.execute(statement)]


async def get_rep(session: AnySession, scope: Scope, rep_id: int) -> RepView:
    """Return one rep.

    Raises
    ------
    NotFound
        When it does not exist or is out of scope.
    """
    row = (await session.execute(_selection().where(Rep.id == rep_id, scopes.reps(scope)))).first()
    if row is None:
        raise NotFound(f"There is no rep {rep_id}.")
    return _view(row)


async def find_rep_ids(session: AnySession, external_ids: Sequence[str]) -> list[int]:
    """Return the ids of reps by their external ids, in the order asked for.

    Raises
    ------
    InvalidInput
        Naming the external ids that no rep has.
    """
    rows = await session.execute(
        select(Rep.external_id, Rep.id).where(Rep.external_id.in_(external_ids))
    )
    found: dict[str, int] = {row.external_id: row.id for row in rows}
    faults = [
        Fault("unknown", f"no rep has the external id {name!r}", f"/rep_ids/{index}")
        for index, name in enumerate(external_ids)
        if name not in found
    ]
    if faults:
        raise InvalidInput("There are no such reps.", faults)
    return [found[name] for name in external_ids]


async def create_rep(session: WriteSession, external_id: str, body: RepBody) -> RepView:
    """Insert a rep.

    Raises
    ------
    Conflict
        When the external id is taken.
    InvalidInput
        When the manager does not exist.
    """
    statement = insert(Rep).values(_values(external_id, body)).returning(Rep.id)
    try:
        async with session.begin_nested():
            rep_id = (await session.execute(statement)).scalar_one()
    except IntegrityError as error:
        raise _refusal(error, external_id) from None
    return await get_rep(session, scopes.EVERYTHING, rep_id)


async def upsert_rep(
    session: WriteSession, external_id: str, body: RepBody
) -> tuple[RepView, bool]:
    """Create or overwrite a rep; return it and whether it is new."""
    statement = insert(Rep).values(_values(external_id, body))
    new, old = statement.excluded, Rep.__table__.c
    statement = statement.on_conflict_do_update(
        index_elements=["external_id"],
        set_={
            **{name: new[name] for name in CONTENT},
            "version": old.version + 1,
            "updated_at": func.now(),
        },
        where=tuple_(*(old[name] for name in CONTENT)).is_distinct_from(
            tuple_(*(new[name] for name in CONTENT))
        ),
    )
    try:
        async with session.begin_nested():
            done = await session.execute(statement.returning(Rep.version))
    except IntegrityError as error:
        raise _refusal(error, external_id) from None
    version = done.scalar_one_or_none()
    row = (await session.execute(_selection().where(Rep.external_id == external_id))).one()
    return _view(row), version == 1


async def lock_rep(session: WriteSession, rep_id: int) -> RepView:
    """Return a rep that nobody else can change until this transaction ends.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    statement = _selection().where(Rep.id == rep_id).with_for_update(of=Rep)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"There is no rep {rep_id}.")
    return _view(row)


async def delete_rep(session: WriteSession, rep_id: int) -> None:
    """Delete a rep who was never responsible for anything; it was locked.

    Raises
    ------
    Conflict
        When it has or had territories, or has an API key.
    """
    try:
        async with session.begin_nested():
            await session.execute(delete(Rep).where(Rep.id == rep_id))
    except IntegrityError as error:
        if not isinstance(error.orig, ForeignKeyViolation):
            raise
        detail = "territories of this rep, now or before, or an API key name it"
        raise Conflict(f"Rep {rep_id} cannot be deleted.", [Fault("in-use", detail)]) from None


def _refusal(error: IntegrityError, external_id: str) -> ServiceError | IntegrityError:
    if isinstance(error.orig, UniqueViolation):
        fault = Fault("taken", "another rep has this external id", "/external_id")
        return Conflict(f"The external id {external_id!r} is taken.", [fault])
    if isinstance(error.orig, ForeignKeyViolation):
        fault = Fault("unknown", "there is no such rep", "/manager_id")
        return InvalidInput("The manager does not exist.", [fault])
    return error


def _selection() -> Select[Any]:
    return select(Rep, func.ST_X(Rep.home).label("home_lon"), func.ST_Y(Rep.home).label("home_lat"))


def _values(external_id: str, body: RepBody) -> dict[str, Any]:
    has_home = body.home_lon is not None and body.home_lat is not None
    home = point(body.home_lon or 0.0, body.home_lat or 0.0) if has_home else null()
    values = body.model_dump(exclude={"home_lon", "home_lat"})
    return {**values, "external_id": external_id, "home": home}


def _view(row: Any) -> RepView:
    names = set(RepView.model_fields) - {"home_lon", "home_lat"}
    members = {name: getattr(row.Rep, name) for name in names}
    return RepView(home_lon=row.home_lon, home_lat=row.home_lat, **members)
