"""Faults of an import in the database: refused rows, or the file as a whole."""

from sqlalchemy import delete, insert, literal, select

from app.db.session import AnySession, WriteSession
from app.db.tables import ImportFault, Run
from app.errors import Fault, NotFound
from app.imports.staging import STAGED_FAULTS


async def list_faults(
    session: AnySession, run_id: int, after: int, limit: int
) -> list[ImportFault]:
    """Return up to `limit` faults of an import, in the order of rows.

    Raises
    ------
    NotFound
        When there is no such import.
    """
    run = await session.get(Run, run_id)
    if run is None or run.kind != "import":
        raise NotFound(f"There is no import {run_id}.")
    statement = (
        select(ImportFault)
        .where(ImportFault.run_id == run_id, ImportFault.id > after)
        .order_by(ImportFault.id)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def first_faults(session: AnySession, run_id: int, limit: int) -> list[Fault]:
    """Return the first faults of an import as an error carries them."""
    return [
        Fault(found.code, found.detail, f"/{found.field}" if found.field else None, found.row)
        for found in await list_faults(session, run_id, 0, limit)
    ]


async def keep_staged_faults(session: WriteSession, run_id: int) -> None:
    """Store the staged faults; those of an earlier attempt give way."""
    await session.execute(delete(ImportFault).where(ImportFault.run_id == run_id))
    staged = STAGED_FAULTS.c
    names = ["run_id", "row", "field", "code", "detail"]
    chosen = select(literal(run_id), staged.row, staged.field, staged.code, staged.detail).order_by(
        staged.row
    )
    await session.execute(insert(ImportFault).from_select(names, chosen, include_defaults=False))


async def keep_file_faults(session: WriteSession, run_id: int, faults: tuple[Fault, ...]) -> None:
    """Store why a whole file was refused."""
    await session.execute(delete(ImportFault).where(ImportFault.run_id == run_id))
    for fault in faults:
        session.add(ImportFault(run_id=run_id, code=fault.code, detail=fault.detail))
    await session.flush()
