"""Customers whom a layer accepts and none of its territories in force holds.

Asking five million customers for their territory takes minutes when all but a few have one. The
cells of a plan are ranges of `customer.cell` that do not overlap, so what they leave out are the
gaps between one range and the next: one look into the index of cells for each of them. Most ranges
have none, as the next one begins with the very next cell: cells are numbered along a curve that
leaves the ground of a plan at its border only.
"""

from typing import Any

import orjson
from sqlalchemy import BigInteger, bindparam, text

from app.db.scope import Scope
from app.db.session import AnySession
from app.db.tables import Layer
from app.db.tables.people import CLASSES
from app.errors import NotFound
from app.http.paging import Position
from app.territories.schemas import UncoveredCustomer

GAPS = """
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
    )
"""
# The filter is given too: where it asks for nothing there is nothing to ask of millions.
ACCEPTED = "layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)"
IS_ACCOUNT = "EXISTS (SELECT FROM account WHERE customer_id = customer.id)"
BY_CLASS = f"""
    SELECT class, count(*) FROM (
        SELECT outside.class FROM gap CROSS JOIN LATERAL (
            SELECT class FROM customer
            WHERE cell > above AND cell < below AND {ACCEPTED}
                AND NOT {IS_ACCOUNT}
            -- OFFSET keeps the planner from reading all customers once instead of a range per gap.
            OFFSET 0
        ) AS outside
        UNION ALL
        SELECT class FROM account JOIN customer ON customer.id = customer_id
        WHERE NOT is_placed AND {ACCEPTED}
    ) AS uncovered GROUP BY class
"""  # noqa: S608
# Gap by gap, as far as a page reaches: to sort all by their ids would be to read millions for each.
PAGE = f"""
    , outside AS (
        SELECT one.cell, one.id
        FROM (SELECT above, below FROM gap WHERE below > :after_cell ORDER BY above OFFSET 0) AS gap
        CROSS JOIN LATERAL (
            SELECT cell, customer.id FROM customer
            WHERE cell > above AND cell >= :after_cell AND cell < below
                AND (cell, customer.id) > (:after_cell, :after)
                AND {ACCEPTED} AND NOT {IS_ACCOUNT}
            ORDER BY cell, customer.id LIMIT :limit
        ) AS one
        ORDER BY gap.above, one.cell, one.id LIMIT :limit
    ), misplaced AS (
        SELECT cell, customer.id
        FROM account JOIN customer ON customer.id = customer_id
        WHERE NOT is_placed AND (cell, customer.id) > (:after_cell, :after)
            AND {ACCEPTED}
        ORDER BY 1, 2 LIMIT :limit
    ), page AS (
        SELECT * FROM outside UNION ALL SELECT * FROM misplaced ORDER BY 1, 2 LIMIT :limit
    )
    SELECT id, external_id, name, ST_X(geom) AS lon, ST_Y(geom) AS lat, class, segment, status,
        work_minutes, to_hex(customer.cell) AS cell
    FROM page JOIN customer USING (id) ORDER BY customer.cell, id
"""  # noqa: S608
# The plan is given and not looked up here: so the cells of no other plan are read.
OF_PLAN = bindparam("plan_id", type_=BigInteger)
COUNT = text(GAPS + BY_CLASS).bindparams(OF_PLAN)
LIST = text(GAPS + PAGE).bindparams(OF_PLAN)
IN_FORCE = text("SELECT plan_id FROM publication WHERE layer_id = :layer_id AND during @> now()")


async def list_uncovered(
    session: AnySession, scope: Scope, layer_id: int, after: Position, limit: int
) -> list[UncoveredCustomer]:
    """Return up to `limit` customers in no territory behind a position, by cell and id.

    Raises
    ------
    NotFound
        When there is no such layer.
    """
    layer = await _existing(session, layer_id)
    if not scope.is_unlimited:
        return []
    parameters = await _about(session, layer)
    parameters |= {"limit": limit, "after_cell": after.cell, "after": after.id}
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
    layer = await _existing(session, layer_id)
    counts = dict.fromkeys(CLASSES, 0)
    parameters = await _about(session, layer)
    if scope.is_unlimited:
        counts |= dict((await session.execute(COUNT, parameters)).all())
    return parameters["plan_id"], counts


async def _about(session: AnySession, layer: Layer) -> dict[str, Any]:
    """Return what both statements take: the layer, its filter and its plan in force, if any."""
    plan_id = await session.scalar(IN_FORCE, {"layer_id": layer.id})
    accepted = orjson.dumps(layer.customer_filter).decode()
    return {"layer_id": layer.id, "plan_id": plan_id, "filter": accepted}


async def _existing(session: AnySession, layer_id: int) -> Layer:
    layer = await session.get(Layer, layer_id)
    if layer is None:
        raise NotFound(f"There is no layer {layer_id}.")
    return layer
