"""Named accounts in the database: customers that belong to a territory of a layer by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import Range

from app.db.membership import layer_accepts
from app.db.session import AnySession, WriteSession
from app.db.tables import Customer, CustomerOverride, Layer, Plan, Territory
from app.errors import Fault, InvalidInput, NotFound
from app.layers.named_schemas import NamedAccountBody, NamedAccountView

# Between a caller's "now" and ours there may be a little time.
CLOCK_SLACK = timedelta(seconds=60)


async def list_named_accounts(
    session: AnySession, layer_id: int, after: int, limit: int
) -> list[tuple[int, NamedAccountView]]:
    """Return up to `limit` accounts in force or to come, each with the id it is listed by.

    Raises
    ------
    NotFound
        When there is no such layer.
    """
    await _require_layer(session, layer_id)
    rows = await session.execute(
        select(*_columns())
        .join(Customer, Customer.id == CustomerOverride.customer_id)
        .where(CustomerOverride.layer_id == layer_id, CustomerOverride.id > after, _is_not_over())
        .order_by(CustomerOverride.id)
        .limit(limit)
    )
    return [(row.id, _view(row)) for row in rows]


async def count_named(session: AnySession, layer_id: int) -> tuple[int, int]:
    """Return how many customers of a layer are named accounts now, and how many there are."""
    accepted = select(Layer.customer_filter).where(Layer.id == layer_id).scalar_subquery()
    named = await session.scalar(
        select(func.count())
        .select_from(CustomerOverride)
        .join(Customer, Customer.id == CustomerOverride.customer_id)
        .where(
            CustomerOverride.layer_id == layer_id,
            CustomerOverride.during.contains(func.now()),
            layer_accepts(accepted),
        )
    )
    everybody = select(func.count()).select_from(Customer).where(layer_accepts(accepted))
    return named or 0, await session.scalar(everybody) or 0


async def put_named_account(
    session: WriteSession, layer_id: int, customer_id: int, body: NamedAccountBody
) -> tuple[NamedAccountView, bool]:
    """Make a customer a named account during a range; return it, and whether it was none before.

    Where the range overlaps what was said of the customer before, the new account counts. What was
    before the range stays as it was.

    Raises
    ------
    NotFound
        When there is no such layer or customer.
    InvalidInput
        When no plan of the layer has the territory, the layer is not about the customer, or the
        range is empty or begins in the past.
    """
    await _require_customer(session, layer_id, customer_id)
    code = await _require_territory(session, layer_id, body.territory)
    starts = await _start(session, body.from_)
    if body.to is not None and body.to <= starts:
        fault = Fault("empty", "must lie after the beginning", "/to")
        raise InvalidInput("The account would end before it begins.", [fault])
    mine = _of(layer_id, customer_id)
    known = (
        await session.execute(
            select(CustomerOverride.id, CustomerOverride.territory_code, CustomerOverride.reason,
                   CustomerOverride.during)
            .where(*mine, CustomerOverride.during.overlaps(Range(starts, body.to, bounds="[)")))
        )
    ).all()  # fmt: skip
    is_new = not any(row.during.contains(starts) for row in known)
    said = {"layer_id": layer_id, "customer_id": customer_id}
    for row in known:
        await _make_room(session, row, starts, body.to, said)
    during = Range(starts, body.to, bounds="[)")
    values = {**said, "territory_code": code, "reason": body.reason, "during": during}
    made = await session.scalar(
        insert(CustomerOverride).values(**values).returning(CustomerOverride.id)
    )
    row = (
        await session.execute(
            select(*_columns())
            .join(Customer, Customer.id == CustomerOverride.customer_id)
            .where(CustomerOverride.id == made)
        )
    ).one()
    return _view(row), is_new


async def end_named_account(session: WriteSession, layer_id: int, customer_id: int) -> None:
    """End a customer's named account now, and take back those to come.

    Raises
    ------
    NotFound
        When the customer has none.
    """
    await _lock_customer(session, customer_id)
    mine = _of(layer_id, customer_id)
    to_come = delete(CustomerOverride).where(
        *mine, func.lower(CustomerOverride.during) >= func.now()
    )
    gone = await session.execute(to_come.returning(CustomerOverride.id))
    now = func.tstzrange(func.lower(CustomerOverride.during), func.now(), "[)")
    ended = await session.execute(
        update(CustomerOverride)
        .where(*mine, CustomerOverride.during.contains(func.now()))
        .values(during=now)
        .returning(CustomerOverride.id)
    )
    if not gone.all() and not ended.all():
        raise NotFound(f"Customer {customer_id} is no named account of layer {layer_id}.")


async def _make_room(
    session: WriteSession, row: Any, starts: datetime, ends: datetime | None, said: dict[str, Any]
) -> None:
    """Take a range out of an account: what lies before and behind it stays."""
    lower, upper = row.during.lower, row.during.upper
    has_tail = ends is not None and (upper is None or upper > ends)
    this = CustomerOverride.id == row.id
    if lower is not None and lower >= starts:
        await session.execute(delete(CustomerOverride).where(this))
    else:
        head = Range(lower, starts, bounds="[)")
        await session.execute(update(CustomerOverride).where(this).values(during=head))
    if has_tail:
        await session.execute(
            insert(CustomerOverride).values(
                **said, territory_code=row.territory_code, reason=row.reason,
                during=Range(ends, upper, bounds="[)"),
            )
        )  # fmt: skip


async def _require_layer(session: AnySession, layer_id: int) -> None:
    if await session.scalar(select(Layer.id).where(Layer.id == layer_id)) is None:
        raise NotFound(f"There is no layer {layer_id}.")


async def _lock_customer(session: WriteSession, customer_id: int) -> None:
    """Have others who speak of the same customer wait."""
    statement = select(Customer.id).where(Customer.id == customer_id)
    if await session.scalar(statement.with_for_update(key_share=True)) is None:
        raise NotFound(f"There is no customer {customer_id}.")


async def _require_customer(session: WriteSession, layer_id: int, customer_id: int) -> None:
    await _require_layer(session, layer_id)
    await _lock_customer(session, customer_id)
    accepted = select(Layer.customer_filter).where(Layer.id == layer_id).scalar_subquery()
    mine = select(Customer.id).where(Customer.id == customer_id, layer_accepts(accepted))
    if await session.scalar(mine) is None:
        fault = Fault("not-in-layer", "the layer's filter leaves it out", "/path/customer_id")
        raise InvalidInput("The layer is not about this customer.", [fault])


async def _require_territory(session: AnySession, layer_id: int, code: str) -> str:
    """Return a code as plans of the layer have it: T3 is T03."""
    known = await session.scalars(
        select(Territory.code)
        .join(Plan, Plan.id == Territory.plan_id)
        .where(Plan.layer_id == layer_id, Plan.state != "archived")
        .distinct()
    )
    numbers = {int(found[1:]): found for found in known if found[1:].isdigit()}
    if int(code[1:]) not in numbers:
        fault = Fault("unknown", f"no plan of the layer has {code}", "/territory")
        raise InvalidInput("There is no such territory.", [fault])
    return numbers[int(code[1:])]


async def _start(session: AnySession, wanted: datetime | None) -> datetime:
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    if wanted is None or now - CLOCK_SLACK <= wanted <= now:
        return now
    if wanted < now:
        fault = Fault("past", "must not lie in the past", "/from")
        raise InvalidInput("Where a customer belonged cannot be changed afterwards.", [fault])
    return wanted.astimezone(UTC)


def _of(layer_id: int, customer_id: int) -> tuple[ColumnElement[bool], ...]:
    return CustomerOverride.layer_id == layer_id, CustomerOverride.customer_id == customer_id


def _is_not_over() -> ColumnElement[bool]:
    during = CustomerOverride.during
    return or_(func.upper_inf(during), func.upper(during) > func.now())


def _columns() -> list[Any]:
    return [
        CustomerOverride.id,
        CustomerOverride.customer_id,
        Customer.external_id,
        Customer.name,
        CustomerOverride.territory_code,
        CustomerOverride.reason,
        func.lower(CustomerOverride.during).label("starts"),
        func.upper(CustomerOverride.during).label("ends"),
        CustomerOverride.during.contains(func.now()).label("is_in_force"),
    ]


def _view(row: Any) -> NamedAccountView:
    return NamedAccountView(
        customer_id=row.customer_id,
        external_id=row.external_id,
        name=row.name,
        territory=row.territory_code,
        reason=row.reason,
        from_=row.starts,
        to=row.ends,
        is_in_force=row.is_in_force,
    )
