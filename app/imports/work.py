"""The work of customers that an import is about to add.

Estimated before they are written, from themselves and from those that are stored, so that most rows
are written once. What this cannot know (stored customers that get new neighbours, rows of which the
file says only a part) is brought up to date afterwards, by `app.activity.refresh_work`.
"""

from pathlib import Path

from sqlalchemy import text

from app.activity.work import INPUTS, Compute, copy_estimates, estimate
from app.db.fixed_rows import FixedRows
from app.db.session import WriteSession
from app.settings import WorkSettings
from app.workload.estimating import NO_VERSION

ROWS = FixedRows(id="i8", work_minutes="f8")
STAGED = f"""
    SELECT row, 0, {INPUTS.format(row="staged_row", place="ST_MakePoint(lon, lat)")} FROM staged_row
"""  # noqa: S608
# Neighbours only.
STORED = f"""
    SELECT id, {NO_VERSION}, {INPUTS.format(row="customer", place="geom")} FROM customer
    WHERE NOT EXISTS (SELECT FROM staged_row WHERE staged_row.external_id = customer.external_id)
"""  # noqa: S608
MAY_BE_IDLE = text("SET LOCAL idle_in_transaction_session_timeout = '15min'")
ARE_THERE_ANY = text("SELECT EXISTS (SELECT FROM customer)")


async def stage_work(
    session: WriteSession, settings: WorkSettings, folder: Path, compute: Compute
) -> bool:
    """Fill `staged_work`; tell whether that is the work of every customer after the merge."""
    # The staged rows live in this transaction, so it stays open while millions are estimated.
    await session.execute(MAY_BE_IDLE)
    is_first = not await session.scalar(ARE_THERE_ANY)
    statement = STAGED if is_first else f"{STAGED} UNION ALL {STORED}"
    await estimate(session, statement, settings, folder, compute)
    await copy_estimates(session, "staged_work", ROWS, folder)
    await session.execute(text("ANALYZE staged_work"))
    return is_first
