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
from app.settings import WorkSettings

ROWS = FixedRows(id="i8", work_minutes="f8")
# Of no stored customer: they count from 1.
STAGED_VERSION = 0
STAGED = f"""
    SELECT row, {STAGED_VERSION}, {INPUTS.format(row="staged_row", place="ST_MakePoint(lon, lat)")}
    FROM staged_row
"""  # noqa: S608
STORED = f"""
    SELECT id, version, {INPUTS.format(row="customer", place="geom")} FROM customer
    WHERE NOT EXISTS (SELECT FROM staged_row WHERE staged_row.external_id = customer.external_id)
"""  # noqa: S608
MAY_BE_IDLE = text("SET LOCAL idle_in_transaction_session_timeout = '15min'")
ARE_THERE_ANY = text("SELECT EXISTS (SELECT FROM customer)")


class Work(Enum):
    """What is known of the work of all customers once an import has stored its rows."""

    WRITTEN = auto()
    """Every customer is new, and has it."""
    ESTIMATED = auto()
    """New ones have it; that of the others lies in the folder."""
    UNKNOWN = auto()


async def stage_work(
    session: WriteSession, settings: WorkSettings, folder: Path, compute: Compute
) -> bool:
    """Fill `staged_work`; tell whether there is no other customer yet.

    The work of others, as it will be, stays in the folder (`app.activity.take_over`).
    """
    # The staged rows live in this transaction, so it stays open while millions are estimated.
    await session.execute(MAY_BE_IDLE)
    is_first = not await session.scalar(ARE_THERE_ANY)
    statement = STAGED if is_first else f"{STAGED} UNION ALL {STORED}"
    await estimate(session, statement, settings, folder, compute)
    await copy_estimates(session, "staged_work", ROWS, folder, STAGED_VERSION)
    await session.execute(text("ANALYZE staged_work"))
    return is_first
