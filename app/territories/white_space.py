"""Customers whom a layer accepts and none of its territories in force holds.

Asking five million customers for their territory takes minutes when all but a few have one. The
cells of a plan are ranges of `customer.cell` that do not overlap, so what they leave out are the
gaps between one range and the next: one look into the index of cells for each of them. Most ranges
have none, as the next one begins with the very next cell: cells are numbered along a curve that
leaves the ground of a plan at its border only.
"""

from sqlalchemy import BigInteger, bindparam, text

from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import Layer
from app.db.tables.people import CLASSES
from app.errors import NotFound
from app.territories.schemas import UncoveredCustomer

UNCOVERED = """
    WITH account AS MATERIALIZED (
        -- Named accounts, and whether their territory is there: it may be of an earlier plan.
        SELECT customer_id, EXISTS (
            SELECT FROM territory WHERE plan_id = :plan_id AND code = territory_code
        ) AS is_placed
        FROM customer_override WHERE layer_id = :layer_id AND during @> now()
    ), edge AS (
        SELECT last AS above, lead(first, 1, 9223372036854775807) OVER (ORDER BY first) AS below
        FROM (
            SELECT 0::bigint AS first, 0::bigint AS last
            UNION ALL
            SELECT cell_first(cell), cell_last(cell)
            FROM plan_cell WHERE plan_id = :plan_id
        ) AS covered
    ), gap AS MATERIALIZED (
        SELECT above, below FROM edge CROSS JOIN LATERAL (
            -- The bits of the digits that are the last of their kind and start again from 0.
            SELECT 36 - length(regexp_replace((above >> 9)::bit(36)::text, '(110)*$', '')) AS carry
        ) AS ending
        -- Unequal to the cell after it. None is left out by a pentagon, which lacks a digit.
        WHERE below <> ((((above >> 9 >> carry) + 1) << carry) << 9 | 511)
    ), candidate AS (
        -- OFFSET keeps the planner from reading all customers once instead of a range per gap.
        SELECT outside.*
        FROM gap CROSS JOIN LATERAL (
            SELECT * FROM customer WHERE cell > above AND cell < below OFFSET 0
        ) AS outside
        WHERE NOT EXISTS (SELECT FROM account WHERE customer_id = outside.id)
        UNION ALL
        SELECT customer.* FROM account JOIN customer ON customer.id = customer_id
        WHERE NOT is_placed
    ), uncovered AS (
        SELECT * FROM candidate
        WHERE layer_accepts((SELECT customer_filter FROM layer WHERE id = :layer_id),
            class, segment, tags, status)
    )
"""
BY_CLASS = "SELECT class, count(*) FROM uncovered GROUP BY class"
# The plan is given and not looked up here: so the cells of no other plan are read.
OF_PLAN = bindparam("plan_id", type_=BigInteger)
COUNT = text(UNCOVERED + BY_CLASS).bindparams(OF_PLAN)
PAGE = """
    SELECT id, external_id, name, ST_X(geom) AS lon, ST_Y(geom) AS lat, class, segment, status,
        work_minutes
    FROM uncovered WHERE id > :after ORDER BY id LIMIT :limit
"""
LIST = text(UNCOVERED + PAGE).bindparams(OF_PLAN)
IN_FORCE = text("SELECT plan_id FROM publication WHERE layer_id = :layer_id AND during @> now()")


async def list_uncovered(
    session: AnySession, scope: Scope, layer_id: int, after: int, limit: int
) -> list[UncoveredCustomer]:
    """Return up to `limit` customers in no territory, in the order of their ids.

    Raises
    ------
    NotFound
        When there is no such layer.
    """
    await _refuse_missing(session, layer_id)
    if not scope.is_unlimited:
        return []
    plan_id = await _plan_in_force(session, layer_id)
    parameters = {"layer_id": layer_id, "plan_id": plan_id, "after": after, "limit": limit}
    rows = (await session.execute(LIST, parameters)).mappings()
    return [UncoveredCustomer.model_validate(dict(row)) for row in rows]


async def count_uncovered(
    session: AnySession, scope: Scope, layer_id: int
) -> tuple[int | None, dict[str, int]]:
    """Return the plan in force, if any, and the number of customers in no territory by class.

    Raises
    ------
    NotFound
        When there is no such layer.
    """
    await _refuse_missing(session, layer_id)
    counts = dict.fromkeys(CLASSES, 0)
    plan_id = await _plan_in_force(session, layer_id)
    parameters = {"layer_id": layer_id, "plan_id": plan_id}
    if scope.is_unlimited:
        counts |= dict((await session.execute(COUNT, parameters)).all())
    return plan_id, counts


async def _plan_in_force(session: AnySession, layer_id: int) -> int | None:
    plan_id: int | None = await session.scalar(IN_FORCE, {"layer_id": layer_id})
    return plan_id


async def _refuse_missing(session: AnySession, layer_id: int) -> None:
    if await session.get(Layer, layer_id) is None:
        raise NotFound(f"There is no layer {layer_id}.")
