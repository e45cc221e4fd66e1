"""How a plan stands with the customers of today, from the sums per cell where there are any."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Double, cast, func, select, text

from app.db.heat_sums import COARSEST, FINEST
from app.db.piece_sums import read_piece_sums
from app.db.session import AnySession
from app.db.tables import ActivityCell, Layer, Plan, Territory
from app.errors import NotFound
from app.plans.ground_demand import demand_on
from app.plans.repository import load_alignment
from app.plans.request import MEASURES
from geo.cell_sets import owners_of

Floats = NDArray[np.float64]

NAMED = text("""
    -- Named accounts of a layer: cell, territory of the plan if it has that, and what they carry.
    SELECT customer.cell, territory.ordinal, work_minutes, potential, revenue
    FROM customer_override AS o
    JOIN customer ON customer.id = o.customer_id
    LEFT JOIN territory ON territory.plan_id = :plan_id AND territory.code = o.territory_code
    WHERE o.layer_id = :layer_id AND o.during @> now()
        AND layer_accepts(CAST(:filter AS jsonb), class, segment, tags, status)
""")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the territories of a plan carry today, against their targets.

    Arrays are by ordinal, (k, 4) in the order of MEASURES; a target keeps its share of what is
    covered: when customers come everywhere, nothing has drifted. `uncovered` (4,) is in none.
    """

    codes: list[str]
    sums: Floats
    targets: Floats
    uncovered: Floats

    @property
    def imbalance(self) -> Floats:
        """(k, 4) what is off each target, in parts of it; 0 without a target."""
        off = self.sums - self.targets
        return np.divide(off, self.targets, out=np.zeros_like(off), where=self.targets > 0)

    def worst(self, measure: str) -> float:
        """Return the largest imbalance in a measure, without its sign."""
        return float(np.abs(self.imbalance[:, MEASURES.index(measure)]).max(initial=0.0))


async def measure_standing(session: AnySession, plan_id: int) -> Standing:
    """Return how a plan stands.

    Where the layer chooses by class and segment only, and no cell is finer than the sums, these are
    read, which are some seconds old; else every customer is, in one grouped sum.

    Raises
    ------
    NotFound
        When there is no such plan.
    """
    plan = await session.get(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    layer = await session.get_one(Layer, plan.layer_id)
    rows = await session.execute(
        select(Territory.code, Territory.scores)
        .where(Territory.plan_id == plan_id)
        .order_by(Territory.ordinal)
    )
    territories = rows.all()
    is_summed = (
        layer.customer_filter.keys() <= {"class", "segment"} and max(plan.resolutions) <= FINEST
    )
    read = _summed if is_summed else _counted
    # One row more: what is in no territory.
    codes = [row.code for row in territories]
    sums = await read(session, plan, layer, codes)
    held = sums[:-1]
    designed = np.array([_targets(row.scores) for row in territories])
    total = designed.sum(axis=0)
    shares = np.divide(designed, total, out=np.zeros_like(designed), where=total > 0)
    targets = shares * held.sum(axis=0)
    return Standing(codes, held, targets, sums[-1])


def _targets(scores: dict[str, Any]) -> list[float]:
    # All measures are wanted in the same shares; only those that are balanced have targets written.
    written = scores["target"]
    return [float(written.get(name, written["work_minutes"])) for name in MEASURES]


async def _counted(session: AnySession, plan: Plan, layer: Layer, codes: list[str]) -> Floats:
    cells, ordinals = await load_alignment(session, plan.id)
    demand = await demand_on(session, layer.id, cells)
    held = demand.by_territory(ordinals, codes)
    return np.vstack([held, demand.total - held.sum(axis=0)])


async def _summed(session: AnySession, plan: Plan, layer: Layer, codes: list[str]) -> Floats:
    k = len(codes)
    cells, ordinals = await load_alignment(session, plan.id)
    classes, segments = (
        None if name not in layer.customer_filter else tuple(layer.customer_filter[name])
        for name in ("class", "segment")
    )
    sums = np.zeros((k + 1, len(MEASURES)))
    for measure in ("work_minutes", "potential", "revenue"):
        found = await read_piece_sums(session, measure, cells, COARSEST, classes, segments)
        owners = ordinals[owners_of(cells, found.cells)]
        sums[:k, MEASURES.index(measure)] = np.bincount(owners, found.amounts, k)
        sums[:k, MEASURES.index("customers")] = np.bincount(owners, found.customers, k)
    sums[k] = await _total(session, layer) - sums[:k].sum(axis=0)
    # What the sums were rounded by is nobody's work.
    sums[k] = np.where(sums[k, 1] > 0, np.maximum(sums[k], 0.0), 0.0)
    parameters = {"plan_id": plan.id, "layer_id": layer.id, "filter": _filter(layer)}
    named = (await session.execute(NAMED, parameters)).all()
    if named:
        homes = owners_of(cells, np.array([row.cell for row in named], dtype=np.uint64))
        for home, (_, ordinal, work, potential, revenue) in zip(homes.tolist(), named, strict=True):
            amounts = np.array([work, 1, potential, revenue], dtype=np.float64)
            sums[ordinals[home] if home >= 0 else k] -= amounts
            sums[k if ordinal is None else ordinal] += amounts
    return sums


async def _total(session: AnySession, layer: Layer) -> Floats:
    """(4,) of all customers that a layer accepts."""
    columns: list[Any] = [
        cast(func.coalesce(func.sum(getattr(ActivityCell, name)), 0), Double) for name in MEASURES
    ]
    statement = select(*columns).where(ActivityCell.resolution == COARSEST)
    for name, column in (("class", ActivityCell.class_), ("segment", ActivityCell.segment)):
        if name in layer.customer_filter:
            statement = statement.where(column.in_(layer.customer_filter[name]))
    return np.array(tuple((await session.execute(statement)).one()))


def _filter(layer: Layer) -> str:
    return orjson.dumps(layer.customer_filter).decode()
