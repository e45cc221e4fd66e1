"""Customers whom a what-if takes from one territory to another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text

from app.db.prepared import written
from app.db.session import AnySession
from geo.antimeridian import Polygonal
from geo.cells import descendant_range

ON_GROUND = text("""
    -- The customers of most revenue on ground that changes hands, without named accounts; nth is
    -- the place of their ground. OFFSET keeps the planner to a range of the index per cell.
    SELECT customer.id, external_id, name, revenue, work_minutes, span.nth
    FROM unnest(CAST(:first AS bigint[]), CAST(:last AS bigint[]), CAST(:nth AS int[]))
        AS span (first, last, nth)
    CROSS JOIN LATERAL (
        SELECT id, external_id, name, revenue, work_minutes FROM customer
        WHERE cell BETWEEN span.first AND span.last
            AND layer_accepts(
                (SELECT customer_filter FROM layer WHERE id = :layer_id),
                class, segment, tags, status)
            AND id NOT IN (
                SELECT customer_id FROM customer_override
                WHERE layer_id = :layer_id AND during @> now())
        OFFSET 0
    ) AS customer
    ORDER BY revenue DESC, customer.id LIMIT :most
""")
NAMED = text("""
    -- Named accounts of territories that disappear, those of most revenue first, and how many.
    SELECT customer.id, external_id, customer.name, revenue, work_minutes, o.territory_code,
        count(*) OVER () AS number
    FROM customer_override AS o
    JOIN customer ON customer.id = o.customer_id
    JOIN layer ON layer.id = o.layer_id
    WHERE o.layer_id = :layer_id AND o.during @> now()
        AND o.territory_code = ANY(CAST(:codes AS text[]))
        AND layer_accepts(customer_filter, class, segment, tags, status)
    ORDER BY revenue DESC, customer.id LIMIT :most
""")
HAS_ANY = text("""
    -- Whether a customer of a layer is in an area, or on its border.
    SELECT EXISTS (
        SELECT FROM customer JOIN layer ON layer.id = :layer_id
        WHERE ST_Intersects(geom, ST_GeomFromWKB(:area, 4326))
            AND layer_accepts(customer_filter, class, segment, tags, status))
""")


@dataclass(frozen=True, slots=True)
class MovedGround:
    """Cells (n,) that change hands, with the codes of both territories of each.

    `gone` are the codes of territories that disappear, `most` how many customers are wanted.
    """

    cells: NDArray[np.uint64]
    from_codes: list[str]
    to_codes: list[str]
    gone: list[str]
    most: int


async def has_customers(session: AnySession, layer_id: int, area: Polygonal) -> bool:
    """Tell whether a customer of a layer is in an area."""
    parameters = {"layer_id": layer_id, "area": shapely.to_wkb(area)}
    return bool(await session.scalar(HAS_ANY, parameters))


async def read_affected(
    session: AnySession, layer_id: int, ground: MovedGround
) -> tuple[list[dict[str, Any]], int]:
    """Return those of most revenue with both territories, and how many are named accounts.

    These have no territory any more: the code of the second is null.
    """
    first, last = descendant_range(ground.cells)
    spans = {"first": written(first), "last": written(last)}
    nth = written(np.arange(len(ground.cells)))
    asked = {"layer_id": layer_id, "most": ground.most}
    moved = await session.execute(ON_GROUND, {**spans, "nth": nth, **asked})
    found = [_customer(row, ground.from_codes[row.nth], ground.to_codes[row.nth]) for row in moved]
    named = (await session.execute(NAMED, {"codes": ground.gone, **asked})).all()
    found += [_customer(row, row.territory_code, None) for row in named]
    found.sort(key=lambda customer: (-customer["revenue"], customer["id"]))
    return found[: ground.most], int(named[0].number) if named else 0


def _customer(row: Any, from_code: str, to_code: str | None) -> dict[str, Any]:
    told = ("id", "external_id", "name", "revenue", "work_minutes")
    customer = {name: getattr(row, name) for name in told}
    return {**customer, "from_code": from_code, "to_code": to_code}
