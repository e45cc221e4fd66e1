"""The work of every customer, from the customers around it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from sqlalchemy import Update, column, or_, table, text, update

from app.db.due import due_on
from app.db.fixed_rows import FixedRows, copy_in, copy_out
from app.db.session import AnySession, Database, WriteSession
from app.db.tables import Customer
from app.settings import WorkSettings
from app.workload import estimating
from app.workload.estimating import CUSTOMERS_FILE, ESTIMATES_FILE, SETTINGS_FILE, read_rows

OpenWriting = Callable[[], AbstractAsyncContextManager[WriteSession]]
# Does what `estimating.main` does with a folder.
Compute = Callable[[Path], Awaitable[None]]

# What work depends on; sent as numbers of fixed width, for there may be millions.
INPUTS = """
    ST_X({place}), ST_Y({place}), {row}.class::"char", {row}.status = 'inactive',
    coalesce({row}.visits_per_year, 'NaN'), coalesce({row}.service_minutes, 'NaN')
"""
ROWS = FixedRows(**estimating.CUSTOMER_TYPES)
READ = f"SELECT id, version, {INPUTS.format(row='customer', place='geom')} FROM customer"  # noqa: S608
FRESH_ROWS = FixedRows(**estimating.ESTIMATE_TYPES)
FRESH_WORK = text("""
    CREATE TEMP TABLE fresh_work (id bigint, version int, work_minutes float8) ON COMMIT DROP
""")

FRESH = table("fresh_work", column("id"), column("version"), column("work_minutes"))


async def in_thread(folder: Path) -> None:
    """Estimate in this process: for so few customers that a child would take longer to start."""
    await asyncio.to_thread(estimating.main, folder)


async def estimate(
    session: AnySession, statement: str, settings: WorkSettings, folder: Path, compute: Compute
) -> None:
    """Estimate what a statement selects, columns as `ROWS` has them.

    Leaves `estimates.bin` in the folder, for `copy_estimates`.
    """
    with (folder / CUSTOMERS_FILE).open("wb") as file:
        async for rows in copy_out(session, statement, ROWS):
            packed = rows[ROWS.names].astype(estimating.CUSTOMER)
            await asyncio.to_thread(file.write, packed.tobytes())
    (folder / SETTINGS_FILE).write_text(settings.model_dump_json())
    await compute(folder)
    (folder / CUSTOMERS_FILE).unlink()


async def copy_estimates(
    session: WriteSession, table: str, rows: FixedRows, folder: Path, version: int | None = None
) -> None:
    """Append the estimates of a folder, or those of one version, to a table of these columns."""
    parts = read_rows(folder / ESTIMATES_FILE, estimating.ESTIMATE)
    if version is not None:
        parts = (part[part["version"] == version] for part in parts)
    await copy_in(session, table, rows, parts)


async def refresh_work(
    database: Database,
    settings: WorkSettings,
    folder: Path,
    writing: OpenWriting | None = None,
    compute: Compute = in_thread,
) -> int:
    """Estimate the work of all customers anew, and when they are due; return how many changed.

    Travel depends on neighbours, so an import changes the work of customers it does not hold. The
    version of a customer stays: its work is derived, nobody edited it. Customers that are edited
    meanwhile keep the estimate of that edit. The places of all customers are written into `folder`,
    which must not outlive the run. `writing` opens the transaction that writes, for a caller whose
    writes are fenced.
    """
    async with database.reading() as session:
        await estimate(session, READ, settings, folder, compute)
    async with (writing or database.writing)() as session:
        return await take_over(session, settings, folder)


async def take_over(session: WriteSession, settings: WorkSettings, folder: Path) -> int:
    """Write the estimates of a folder where they differ; return how many customers that were.

    Only those that are of the version that was estimated: an edit since has made its own estimate.
    """
    await session.execute(FRESH_WORK)
    await copy_estimates(session, "fresh_work", FRESH_ROWS, folder)
    await session.execute(text("ANALYZE fresh_work"))
    changed: int = (await session.execute(_apply(settings))).rowcount  # type: ignore[attr-defined]
    return changed


def _apply(settings: WorkSettings) -> Update:
    """Take over what differs; due dates in the same pass, a second one would rewrite rows twice."""
    due = due_on(settings)
    is_other = Customer.work_minutes != FRESH.c.work_minutes
    return (
        update(Customer)
        .values(work_minutes=FRESH.c.work_minutes, due_on=due)
        .where(
            Customer.id == FRESH.c.id,
            Customer.version == FRESH.c.version,
            or_(is_other, Customer.due_on.is_distinct_from(due)),
        )
        .execution_options(synchronize_session=False)
    )
