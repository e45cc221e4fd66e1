"""The monthly snapshots, folded to the territories of a plan."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Date, Double, Text, any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.piece_sums import Kinds
from app.db.prepared import Prepared, left_open
from app.db.session import AnySession, rows
from app.db.tables import MeasureSnapshot
from app.policies.ground import Floats, Ground

PACKED = np.dtype([("cell", ">i8"), ("customers", ">f8"), ("work", ">f8"), ("revenue", ">f8")])
CUSTOMERS, WORK, REVENUE = range(3)
HAS_MONTH = Prepared(
    select(
        select(MeasureSnapshot.cell)
        .where(MeasureSnapshot.month == left_open("month", Date()))
        .exists()
    )
)


@dataclass(slots=True)
class History:
    """What the snapshots tell of the customers of a layer, each month read once for each plan.

    `classes` and `segments` are those that the layer accepts, all where there is None.
    """

    session: AnySession
    classes: Kinds
    segments: Kinds
    _known: dict[Hashable, Floats | None] = field(default_factory=dict)

    async def sums(self, plan_id: int, ground: Ground, month: date) -> Floats | None:
        """Return customers, work and revenue (n_territories, 3), None without a snapshot."""
        key = plan_id, month
        if key not in self._known:
            self._known[key] = await self._read(ground, month)
        return self._known[key]

    async def has(self, month: date) -> bool:
        """Tell whether there is a snapshot of a month."""
        ((found,),) = await rows(self.session, HAS_MONTH, month=month)
        return bool(found)

    async def _read(self, ground: Ground, month: date) -> Floats | None:
        if not await self.has(month):
            return None
        statement = _month(self.classes is not None, self.segments is not None)
        ((packed,),) = await rows(
            self.session, statement, month=month, classes=self.classes and list(self.classes),
            segments=self.segments and list(self.segments),
        )  # fmt: skip
        found = np.frombuffer(bytes(packed or b""), dtype=PACKED)
        found = found[np.argsort(found["cell"])]
        amounts = np.column_stack([found[name] for name in ("customers", "work", "revenue")])
        return ground.fold(found["cell"].astype(np.uint64), amounts.astype(np.float64))


@lru_cache
def _month(has_classes: bool, has_segments: bool) -> Prepared:
    """Return the statement for the sums of the cells of a month, as one value."""
    sums = (
        select(
            MeasureSnapshot.cell,
            cast(func.sum(MeasureSnapshot.customers), Double).label("customers"),
            func.sum(MeasureSnapshot.work_minutes).label("work"),
            func.sum(MeasureSnapshot.revenue).label("revenue"),
        )
        .where(MeasureSnapshot.month == left_open("month", Date()))
        .group_by(MeasureSnapshot.cell)
    )
    if has_classes:
        sums = sums.where(MeasureSnapshot.class_ == any_(left_open("classes", ARRAY(Text))))
    if has_segments:
        sums = sums.where(MeasureSnapshot.segment == any_(left_open("segments", ARRAY(Text))))
    found = sums.subquery()
    record: Any = func.int8send(cast(found.c.cell, BigInteger))
    for name in ("customers", "work", "revenue"):
        record = record.op("||")(func.float8send(found.c[name]))
    return Prepared(select(func.string_agg(record, b"")).select_from(found))
