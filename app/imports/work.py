"""The work of customers that an import is about to add.

Estimated before they are written, from themselves and from those that are stored, so that most
rows are written once. Stored customers get new neighbours by it: for an import that only adds,
their work is estimated in the same pass and written afterwards. One that changes customers has the
work of all estimated anew (`app.activity.refresh_work`), for its file may say only a part of them.
"""

from enum import Enum, auto
from pathlib import Path

from sqlalchemy import text

from app.activity.work import INPUTS, Compute, copy_estimates, estimate
from app.db.fixed_rows import FixedRows
from app.db.session import WriteSession
from app.imports.new_customers import STAGED_VERSION
from app.settings import WorkSettings
from app.workload.estimating import NO_VERSION

ROWS = FixedRows(id="i8", work_minutes="f8")
STAGED = f"""
    SELECT row, {STAGED_VERSION}, {INPUTS.format(row="staged_row", place="ST_MakePoint(lon, lat)")}
    FROM staged_row
"""  # noqa: S608
STORED = f"""
    SELECT id, %s, {INPUTS.format(row="customer", place="geom")} FROM customer
    WHERE NOT EXISTS (SELECT FROM staged_row WHERE staged_row.external_id = customer.external_id)
"""  # noqa: S608
ESTIMATED_TOO, NEIGHBOURS_ONLY = STORED % "version", STORED % NO_VERSION
MAY_BE_IDLE = text("SET LOCAL idle_in_transaction_session_timeout = '15min'")
ARE_THERE_ANY = text("SELECT EXISTS (SELECT FROM customer)")
ARE_ALL_NEW = text("SELECT NOT EXISTS (SELECT FROM staged_row JOIN customer USING (external_id))")


class Work(Enum):
    """What is known of the work of all customers once an import has stored its rows."""

    WRITTEN = auto()
    """Every customer is new, and has it."""
    ESTIMATED = auto()
    """New ones have it; that of the others lies in the folder."""
    UNKNOWN = auto()


async def stage_work(
    session: WriteSession,
    settings: WorkSettings,
    folder: Path,
    compute: Compute,
    *,
    has_own: bool,
) -> Work:
    """Fill `staged_work`; return what will be known after the merge, if it only adds.

    Where customers are the first ones and `has_own` says that the rows hold their work, nothing is
    left to do. The work of others, as it will be, stays in the folder (`app.activity.take_over`).
    """
    # The staged rows live in this transaction, so it stays open while millions are estimated.
    await session.execute(MAY_BE_IDLE)
    is_first = not await session.scalar(ARE_THERE_ANY)
    if is_first and has_own:
        return Work.WRITTEN
    if is_first:
        known, others = Work.WRITTEN, ""
    elif await session.scalar(ARE_ALL_NEW):
        known, others = Work.ESTIMATED, f" UNION ALL {ESTIMATED_TOO}"
    else:
        known, others = Work.UNKNOWN, f" UNION ALL {NEIGHBOURS_ONLY}"
    statement = STAGED + others
    await estimate(session, statement, settings, folder, compute)
    await copy_estimates(session, "staged_work", ROWS, folder, STAGED_VERSION)
    await session.execute(text("ANALYZE staged_work"))
    return known
