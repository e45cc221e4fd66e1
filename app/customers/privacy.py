"""What is held about one customer, and its removal: a location with a name is personal data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field
from sqlalchemy import (
    ColumnElement,
    CursorResult,
    LargeBinary,
    cast,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased
from sqlalchemy.sql import Delete, Update

from app.customers import repository
from app.customers.schemas import CustomerView
from app.db.scope import EVERYTHING
from app.db.session import AnySession, WriteSession
from app.db.tables import (
    AuditEvent,
    Customer,
    CustomerOverride,
    IdempotencyKey,
    ImportFault,
    Layer,
    Run,
)
from app.errors import Conflict, Fault, NotFound
from app.jobs.leftovers import forget_uploads

# Shorter words stand in any text: reports of imports are searched for longer ones only.
SHORTEST_WORD = 3
ERASE_AUDIT = text("SELECT erase_audit_of_customer(:customer_id)")


class NamedAccountView(BaseModel):
    """A territory that the customer was put into by name."""

    layer: str
    territory_code: str
    reason: str
    starts: datetime | None
    ends: datetime | None


class ChangeView(BaseModel):
    """One change of the customer."""

    at: datetime
    actor: str
    action: str
    entity: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class StoredAnswer(BaseModel):
    """The answer to a request that made the customer, kept for who sends it again."""

    at: datetime
    caller: str
    body: str


class ToldFault(BaseModel):
    """What an import has told of a row that names the customer."""

    run_id: int
    row: int | None
    field: str | None
    code: str
    detail: str


class PersonalData(BaseModel):
    """Everything held about one customer; `customer` is null when it was deleted."""

    customer: CustomerView | None
    named_accounts: list[NamedAccountView]
    changes: list[ChangeView]
    answers: list[StoredAnswer]
    import_faults: list[ToldFault]
    import_errors: Annotated[
        list[ToldFault], Field(description="Of failed imports, as their runs repeat them")
    ]


class Erasure(BaseModel):
    """What was removed; that the customer was erased, and by whom, stays in the audit."""

    customer_id: int
    audit_events_emptied: int
    answers_removed: int
    import_faults_removed: int


@dataclass(frozen=True, slots=True)
class Known:
    """How a customer is and was known; by this its copies are found."""

    customer_id: int
    external_ids: frozenset[str]
    names: frozenset[str]

    @property
    def href(self) -> str:
        """The address of the customer, which answers kept for repeated requests name."""
        return f"/v1/customers/{self.customer_id}"

    @property
    def words(self) -> set[str]:
        """What reports of imports are searched for."""
        return {word for word in self.external_ids | self.names if len(word) >= SHORTEST_WORD}

    @property
    def escaped(self) -> set[str]:
        """The words, and how JSON writes them."""
        return self.words | {orjson.dumps(word).decode()[1:-1] for word in self.words}


async def personal_data(session: AnySession, customer_id: int) -> PersonalData:
    """Return everything held about a customer; one that was deleted before, too.

    Raises
    ------
    NotFound
        When there never was such a customer, or it was erased.
    """
    known = await _known_as(session, customer_id)
    changes = await session.scalars(
        select(AuditEvent).where(_is_about(customer_id)).order_by(AuditEvent.id)
    )
    names = ChangeView.model_fields
    faults = select(ImportFault).where(_tells_of(known)).order_by(ImportFault.id)
    return PersonalData(
        customer=await _stored(session, customer_id),
        named_accounts=await _named_accounts(session, customer_id),
        changes=[ChangeView(**{name: getattr(event, name) for name in names}) for event in changes],
        answers=await _answers(session, known),
        import_faults=[
            ToldFault(**{name: getattr(fault, name) for name in ToldFault.model_fields})
            for fault in await session.scalars(faults)
        ],
        import_errors=await _repeated(session, known),
    )


async def _stored(session: AnySession, customer_id: int) -> CustomerView | None:
    try:
        return await repository.get_customer(session, EVERYTHING, customer_id)
    except NotFound:
        return None


async def _named_accounts(session: AnySession, customer_id: int) -> list[NamedAccountView]:
    named = await session.execute(
        select(
            Layer.name.label("layer"),
            CustomerOverride.territory_code,
            CustomerOverride.reason,
            func.lower(CustomerOverride.during).label("starts"),
            func.upper(CustomerOverride.during).label("ends"),
        )
        .join(Layer, Layer.id == CustomerOverride.layer_id)
        .where(CustomerOverride.customer_id == customer_id)
        .order_by(CustomerOverride.id)
    )
    return [NamedAccountView(**row._mapping) for row in named]


async def _answers(session: AnySession, known: Known) -> list[StoredAnswer]:
    """Return the answers about the customer itself.

    One that names another object, a rep of the same external id say, is not this customer's to see.
    """
    statement = select(IdempotencyKey).where(
        _repeats(known),
        func.coalesce(IdempotencyKey.headers["location"].astext, known.href) == known.href,
    )
    return [
        StoredAnswer(
            at=answer.created_at, caller=answer.caller, body=answer.body.decode("utf-8", "replace")
        )
        for answer in await session.scalars(statement.order_by(IdempotencyKey.created_at))
    ]


async def _repeated(session: AnySession, known: Known) -> list[ToldFault]:
    """Return the faults in errors of runs that name the customer."""
    runs = await session.execute(
        select(Run.id, Run.error).where(_is_report(known)).order_by(Run.id)
    )
    return [
        ToldFault(
            run_id=run_id, row=fault.get("row"), field=fault.get("pointer"), code=fault["code"],
            detail=fault["detail"],
        )
        for run_id, error in runs
        for fault in error["errors"]
        if any(word in fault["detail"] for word in known.words)
    ]  # fmt: skip


async def erase_customer(session: WriteSession, customer_id: int) -> Erasure:
    """Remove a customer and every copy of what it was; one that was deleted before, too.

    Copies are: named accounts, the audit's before and after, answers kept for repeated requests,
    reports of imports, and files of imports that are over. Rows of `activity_cell` and
    `measure_snapshot` are sums over cells.

    Raises
    ------
    NotFound
        When there never was such a customer.
    Conflict
        While an import of customers is not over.
    """
    await session.execute(select(Customer.id).where(Customer.id == customer_id).with_for_update())
    known = await _known_as(session, customer_id)
    await _refuse_while_importing(session)
    # Which files the customer stood in cannot be told from their bytes, which may be compressed
    # or cut anywhere; no run needs them any more.
    await forget_uploads(session)
    await session.execute(delete(Customer).where(Customer.id == customer_id))
    emptied = await session.scalar(ERASE_AUDIT, {"customer_id": customer_id})
    answers = delete(IdempotencyKey).where(_repeats(known))
    faults = delete(ImportFault).where(_tells_of(known))
    # A failed import repeats its first faults in the error of its run.
    reports = (
        update(Run)
        .where(_is_report(known))
        .values(error=func.jsonb_set(Run.error, ["errors"], cast(literal("[]"), JSONB)))
    )
    await session.execute(reports)
    return Erasure(
        customer_id=customer_id,
        audit_events_emptied=emptied or 0,
        answers_removed=await _count(session, answers),
        import_faults_removed=await _count(session, faults),
    )


async def _refuse_while_importing(session: WriteSession) -> None:
    """Refuse while an import could bring the customer back a moment later."""
    unfinished = select(Run.id).where(
        Run.kind == "import",
        Run.state.in_(("queued", "running")),
        Run.parameters["kind"].astext == "customers",
    )
    run_id = await session.scalar(unfinished.limit(1))
    if run_id is not None:
        fault = Fault("import-unfinished", f"/v1/runs/{run_id}")
        raise Conflict("An import that is not over may hold this customer.", [fault])


async def _known_as(session: AnySession, customer_id: int) -> Known:
    """Return the external ids and the names by which a customer is and was known.

    Raises
    ------
    NotFound
        When there are none.
    """
    rows = list(
        await session.execute(
            select(Customer.external_id, Customer.name).where(Customer.id == customer_id)
        )
    )
    for side in (AuditEvent.before, AuditEvent.after):
        rows += await session.execute(
            select(side["external_id"].astext, side["name"].astext).where(
                AuditEvent.entity == "customer", AuditEvent.entity_id == customer_id
            )
        )
    external_ids, names = zip(*rows, strict=True) if rows else ((), ())
    known = Known(
        customer_id, frozenset(filter(None, external_ids)), frozenset(filter(None, names))
    )
    if not known.external_ids:
        raise NotFound(f"There is no customer {customer_id}.")
    return known


def _repeats(known: Known) -> ColumnElement[bool]:
    """Answers kept for repeated requests that are about the customer, or name it."""
    return or_(
        IdempotencyKey.headers["location"].astext == known.href,
        *(_holds(IdempotencyKey.body, _member(name)) for name in known.external_ids),
    )


def _tells_of(known: Known) -> ColumnElement[bool]:
    """Faults that name the customer, and with each those of the same row."""
    told = aliased(ImportFault)
    return (
        select(told.id)
        .where(
            told.run_id == ImportFault.run_id,
            told.row.is_not_distinct_from(ImportFault.row),
            _mentions(told.detail, known.words),
        )
        .correlate(ImportFault)
        .exists()
    )


def _is_report(known: Known) -> ColumnElement[bool]:
    """Imports whose error names the customer."""
    return (Run.kind == "import") & _mentions(Run.error["errors"].astext, known.escaped)


def _member(external_id: str) -> bytes:
    """Return how an answer of ours writes the external id of a customer."""
    return b'"external_id":' + orjson.dumps(external_id)


def _is_about(customer_id: int) -> ColumnElement[bool]:
    named = func.coalesce(
        AuditEvent.after["customer_id"].astext, AuditEvent.before["customer_id"].astext
    )
    overrides = select(AuditEvent.entity_id).where(
        AuditEvent.entity == "customer_override", named == str(customer_id)
    )
    return or_(
        (AuditEvent.entity == "customer") & AuditEvent.is_of(customer_id),
        (AuditEvent.entity == "customer_override") & AuditEvent.entity_id.in_(overrides),
    )


def _holds(column: Any, part: bytes) -> ColumnElement[bool]:
    # Bytes have no other function for this than the one with a syntax of its own.
    return func.position(literal(part, LargeBinary).op("IN")(column)) > 0


def _mentions(column: Any, words: set[str]) -> ColumnElement[bool]:
    # Nothing mentions no word.
    return or_(false(), *(func.strpos(column, word) > 0 for word in words))


async def _count(session: WriteSession, statement: Delete | Update) -> int:
    done = await session.execute(statement)
    assert isinstance(done, CursorResult)
    return int(done.rowcount)
