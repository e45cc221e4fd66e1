"""What the customers of today come to on the ground of a plan, read by one grouped sum."""

from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import text

from app.db.alignment import Cells
from app.db.session import AnySession
from app.db.tables import Layer
from app.plans.request import MEASURES
from geo.cells import resolutions
from geo.membership import units_of

BY_CELL = text("""
    -- Customers of the layer without its named accounts, summed by the ancestor of their cell at
    -- the finest resolution of a plan: by it the cell of the plan is known, whichever it is.
    SELECT cell_parent(cell, CAST(:finest AS int)) AS cell, sum(work_minutes), count(*),
        sum(potential), sum(revenue)
    FROM customer
    WHERE layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
        AND id NOT IN (SELECT customer_id FROM customer_override
            WHERE layer_id = :layer_id AND during @> now())
    GROUP BY 1
""")
NAMED = text("""
    -- The named accounts of the layer, by the territory that they name.
    SELECT territory_code, sum(work_minutes), count(*), sum(potential), sum(revenue)
    FROM customer_override JOIN customer ON customer.id = customer_id
    WHERE layer_id = :layer_id AND during @> now()
        AND layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
    GROUP BY 1
""")
# Of minutes and money; what is beyond them stems from the order of summing.
DECIMALS = 6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GroundDemand:
    """What the customers of a layer carry now, in the order of `MEASURES`.

    Attributes
    ----------
    activity : (n_units, 4)
        By cell of the plan, without named accounts.
    named
        (4,) of named accounts, by the code of the territory that they name.
    total : (4,)
        Of all customers, in the plan or not.
    """

    activity: Floats
    named: dict[str, Floats]
    total: Floats

    def by_territory(self, ordinals: NDArray[np.int32], codes: list[str]) -> Floats:
        """Return (k, 4) what each territory carries; named accounts are where they are named."""
        k = len(codes)
        sums = [np.bincount(ordinals, column, k) for column in self.activity.T]
        found = np.stack(sums, axis=1)
        for place, code in enumerate(codes):
            found[place] += self.named.get(code, 0.0)
        return np.round(found, DECIMALS)


async def demand_on(session: AnySession, layer_id: int, cells: Cells) -> GroundDemand:
    """Return what the customers of a layer carry today on the sorted cells of a plan."""
    layer = await session.get_one(Layer, layer_id)
    given = {
        "layer_id": layer_id,
        "filter": orjson.dumps(layer.customer_filter).decode(),
        "finest": int(resolutions(cells[-1:])[0]),
    }
    found = (await session.execute(BY_CELL, given)).all()
    fine = np.fromiter((row[0] for row in found), dtype=np.uint64, count=len(found))
    sums = np.array([tuple(row)[1:] for row in found], dtype=np.float64).reshape(-1, len(MEASURES))
    unit = units_of(fine, cells)
    held = unit >= 0
    activity = [np.bincount(unit[held], column[held], len(cells)) for column in sums.T]
    rows = await session.execute(NAMED, {name: given[name] for name in ("layer_id", "filter")})
    named = {code: np.array(amounts, dtype=np.float64) for code, *amounts in rows}
    total = sums.sum(axis=0) + sum(named.values(), np.zeros(len(MEASURES)))
    return GroundDemand(np.stack(activity, axis=1).astype(np.float64), named, total)
