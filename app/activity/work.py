"""The work of every customer, from the customers around it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Update, column, or_, table, text, update

from app import workload
from app.db.due import due_on
from app.db.fixed_rows import FixedRows, copy_in, copy_out
from app.db.session import AnySession, Database, WriteSession
from app.db.tables import Customer
from app.settings import WorkSettings
from geo.neighbours import mean_neighbour_distance_m

OpenWriting = Callable[[], AbstractAsyncContextManager[WriteSession]]

# What work depends on; sent as numbers of fixed width, for there may be millions.
INPUTS = """
    ST_X({place}), ST_Y({place}), {row}.class::"char", {row}.status = 'inactive',
    coalesce({row}.visits_per_year, 'NaN'), coalesce({row}.service_minutes, 'NaN')
"""
ROWS = FixedRows(
    id="i8", version="i4", lon="f8", lat="f8", class_="S1", is_inactive="?", visits="f8",
    service="f8",
)  # fmt: skip
READ = f"SELECT id, version, {INPUTS.format(row='customer', place='geom')} FROM customer"  # noqa: S608
FRESH_ROWS = FixedRows(id="i8", version="i4", work_minutes="f8")
FRESH_WORK = text("""
    CREATE TEMP TABLE fresh_work (id bigint, version int, work_minutes float8) ON COMMIT DROP
""")

FRESH = table("fresh_work", column("id"), column("version"), column("work_minutes"))


@dataclass(slots=True)
class Workload:
    """Rows with what their work depends on, (n,) each; `ids` and `versions` say whose it is."""

    ids: NDArray[np.int64]
    versions: NDArray[np.int32]
    lon: workload.Floats
    lat: workload.Floats
    classes: NDArray[np.str_]
    is_inactive: NDArray[np.bool_]
    visits: workload.Floats
    service: workload.Floats

    @classmethod
    def of(cls, rows: NDArray[Any]) -> "Workload":
        """Return rows of the shape `ROWS`, a column at a time."""
        return cls(
            ids=rows["id"].astype(np.int64),
            versions=rows["version"].astype(np.int32),
            lon=rows["lon"].astype(np.float64),
            lat=rows["lat"].astype(np.float64),
            classes=rows["class_"].astype("U1"),
            is_inactive=rows["is_inactive"].astype(np.bool_),
            visits=rows["visits"].astype(np.float64),
            service=rows["service"].astype(np.float64),
        )

    def minutes(self, settings: WorkSettings) -> workload.Floats:
        """Return minutes per year; inactive customers have none and are nobody's neighbours."""
        visits = workload.visits_per_year(settings, self.classes, self.visits, self.is_inactive)
        distance_m = np.zeros(len(self.lon))
        served = ~self.is_inactive
        distance_m[served] = mean_neighbour_distance_m(
            self.lon[served], self.lat[served], settings.neighbours, visits[served]
        )
        return workload.work_minutes(settings, self.classes, visits, self.service, distance_m)


async def read_workload(session: AnySession, statement: str) -> Workload:
    """Return what a statement selects, columns as `ROWS` has them."""
    parts = [Workload.of(rows) async for rows in copy_out(session, statement, ROWS)]
    names = Workload.__slots__
    return Workload(**{name: _joined(parts, name) for name in names})


async def refresh_work(
    database: Database, settings: WorkSettings, writing: OpenWriting | None = None
) -> int:
    """Estimate the work of all customers anew, and when they are due; return how many changed.

    Travel depends on neighbours, so an import changes the work of customers it does not hold. The
    version of a customer stays: its work is derived, nobody edited it. Customers that are edited
    meanwhile keep the estimate of that edit. `writing` opens the transaction that writes, for a
    caller whose writes are fenced.
    """
    async with database.reading() as session:
        customers = await read_workload(session, READ)
    if not len(customers.ids):
        return 0
    minutes = await asyncio.to_thread(customers.minutes, settings)
    async with (writing or database.writing)() as session:
        await session.execute(FRESH_WORK)
        fresh: dict[str, NDArray[Any]] = {
            "id": customers.ids,
            "version": customers.versions,
            "work_minutes": minutes,
        }
        await copy_in(session, "fresh_work", FRESH_ROWS, fresh)
        await session.execute(text("ANALYZE fresh_work"))
        changed: int = (await session.execute(_apply(settings))).rowcount  # type: ignore[attr-defined]
    return changed


def _joined(parts: list[Workload], name: str) -> NDArray[Any]:
    """Return a column of all parts; each part lets go of its own, so that none is there twice."""
    columns = [getattr(part, name) for part in parts]
    for part in parts:
        setattr(part, name, None)
    empty = Workload.of(np.empty(0, ROWS.numbers))
    return np.concatenate(columns or [getattr(empty, name)])


def _apply(settings: WorkSettings) -> Update:
    """Take over what differs; due dates in the same pass, a second one would rewrite rows twice."""
    due = due_on(settings)
    is_other = Customer.work_minutes != FRESH.c.work_minutes
    return (
        update(Customer)
        .values(work_minutes=FRESH.c.work_minutes, due_on=due)
        .where(
            # Customers as they were read: an edit since then has made its own estimate.
            Customer.id == FRESH.c.id,
            Customer.version == FRESH.c.version,
            or_(is_other, Customer.due_on.is_distinct_from(due)),
        )
        .execution_options(synchronize_session=False)
    )
