"""The import run: fetch the upload, read it in a child, merge, bring work and rollups up to date.

Everything can be done again: a run that was killed before its merge was committed starts over, one
killed later finds the outcome of the merge in its run row and goes on from there. From that commit
on the rows are stored, so the run cannot be cancelled any more, and what goes wrong is tried again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Table, delete, func, select, text, update

from app.activity import fold, local_date, refresh_work, snapshot, take_over
from app.activity.work import Compute, in_thread
from app.db.session import WriteSession
from app.db.tables import Run, Upload, UploadChunk
from app.errors import InvalidInput, RunCancelled, StaleRun
from app.imports.bulk import loading
from app.imports.faults import first_faults, keep_file_faults, keep_staged_faults
from app.imports.fields import CUSTOMERS, KINDS, Kind
from app.imports.merge import Counts, foresee, merge, refuse_duplicates
from app.imports.outcome import outcome
from app.imports.schemas import ImportRequest
from app.imports.staging import stage
from app.imports.work import ARE_THERE_ANY, Work, stage_work
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext, error_document
from app.workload.estimating import SETTINGS_FILE, count_customers

FAULTS_IN_ERROR = 20
# A child takes two seconds to start, and so many customers more than that.
ESTIMATED_HERE = 500_000
# To load what estimates takes the reading a second, and a file of fewer bytes less than that.
ESTIMATED_WHERE_READ_BYTES = 10 * 2**20
TURN_LOCK = text("SELECT pg_try_advisory_xact_lock(7236443)")
MAY_BE_IDLE = text("SET LOCAL idle_in_transaction_session_timeout = 0")
TURN_CHECK_S = 0.5
# Tells the triggers of the audit not to write an event for each of a million new rows.
IN_BULK = text("SELECT set_config('bailiwick.bulk', 'on', true)")
RECORD_BULK = text(
    "SELECT record_bulk_audit(:entity, CAST(:ids AS int8multirange), CAST(:facts AS jsonb))"
)


async def run_import(context: RunContext) -> None:
    """Execute an import.

    Raises
    ------
    InvalidInput
        When the file cannot be read, or has bad rows and was to be taken whole or not at all.
    """
    members = {name: context.parameters[name] for name in ImportRequest.model_fields}
    request = ImportRequest.model_validate(members)
    kind = KINDS[request.kind]
    changes_customers = kind is CUSTOMERS and not request.dry_run
    result = await _earlier_result(context)
    work = Work.UNKNOWN
    async with work_folder() as folder:
        if result is None:
            await _read(context, request, folder)
        async with _turn(context):
            if result is None:
                result, work = await _store(context, request, kind, folder)
            if changes_customers:
                await _bring_work_up_to_date(context, work, folder)
                context.report("summing up", 0.95)
                await fold(context.database)
    async with context.writing() as session:
        if changes_customers:
            await snapshot(session, local_date(context.settings.work))
        await _drop_chunks(session, context)
        await context.succeed(session, result)


async def _bring_work_up_to_date(context: RunContext, work: Work, folder: Path) -> None:
    """Give the customers that have new neighbours the work that they are now."""
    settings = context.settings.work
    if work is Work.ESTIMATED:
        context.report("updating neighbours", 0.85)
        async with context.writing() as session:
            await take_over(session, settings, folder)
    elif work is Work.UNKNOWN:
        context.report("estimating work", 0.8)
        compute = _estimating(context, 0.8, 0.9)
        await refresh_work(context.database, settings, folder, context.writing, compute)


async def _earlier_result(context: RunContext) -> dict[str, Any] | None:
    """Return the outcome of a merge that an earlier attempt of this run has committed."""
    async with context.database.reading() as session:
        return await session.scalar(select(Run.result).where(Run.id == context.run_id))


async def _read(context: RunContext, request: ImportRequest, folder: Path) -> None:
    """Bring the upload into the folder and have a child read it; no transaction is open then."""
    await _fetch(context, folder / "upload")
    members = {"kind": request.kind, "mapping": request.columns, "on_error": request.on_error}
    (folder / "request.json").write_bytes(orjson.dumps(members))
    if await _are_first(context, request, folder):
        (folder / SETTINGS_FILE).write_text(context.settings.work.model_dump_json())
    try:
        await run_child(context, "app.imports.parse", folder, 0.1, 0.5)
    except InvalidInput as error:
        async with context.writing() as session:
            await keep_file_faults(session, context.run_id, error.faults)
            await _refuse(session, context, error)
        raise


async def _are_first(context: RunContext, request: ImportRequest, folder: Path) -> bool:
    """Tell whether the customers of a large file are the first ones, as far as is known now."""
    if KINDS[request.kind] is not CUSTOMERS or request.dry_run:
        return False
    if (folder / "upload").stat().st_size < ESTIMATED_WHERE_READ_BYTES:
        return False
    async with context.database.reading() as session:
        return not await session.scalar(ARE_THERE_ANY)


async def _fetch(context: RunContext, target: Path) -> None:
    upload_id = context.parameters["upload_id"]
    belongs = UploadChunk.upload_id == upload_id
    async with context.database.reading() as session:
        n_chunks = await session.scalar(
            select(func.count()).select_from(UploadChunk).where(belongs)
        )
        with target.open("wb") as file:
            for ordinal in range(n_chunks or 0):
                wanted = select(UploadChunk.data).where(belongs, UploadChunk.ordinal == ordinal)
                file.write(await session.scalar(wanted) or b"")
                context.report("fetching", 0.1 * (ordinal + 1) / (n_chunks or 1))


@asynccontextmanager
async def _turn(context: RunContext) -> AsyncIterator[None]:
    """Let one import at a time write: merges of the same rows would wait for each other or worse.

    The lock belongs to an otherwise idle transaction, so it goes whenever its connection goes; if
    this process freezes, the sweeper ends that.
    """
    while True:
        async with context.database.writing(context.acting) as session:
            if await session.scalar(TURN_LOCK):
                await session.execute(MAY_BE_IDLE)
                yield
                return
        context.report("waiting for another import", context.progress)
        await asyncio.sleep(TURN_CHECK_S)


async def _store(
    context: RunContext, request: ImportRequest, kind: Kind, folder: Path
) -> tuple[dict[str, Any], Work]:
    """Merge what was read and keep the outcome, in one transaction.

    Tells besides what is known of the work of all customers. The run row is locked at the end only:
    the heartbeat writes it while the merge goes on.
    """
    summary: dict[str, Any] = orjson.loads((folder / "summary.json").read_bytes())
    known = Work.UNKNOWN
    async with context.database.writing(context.acting) as session:
        rows = await stage(
            session, kind, folder, lambda part: context.report("storing", 0.5 + 0.1 * part)
        )
        context.report("merging", 0.6)
        n_duplicates = await refuse_duplicates(session, rows)
        summary["rejected"] += n_duplicates
        # They were neighbours when the others' work was estimated.
        summary["has_work"] = summary["has_work"] and not n_duplicates
        await keep_staged_faults(session, context.run_id)
        if request.on_error == "abort" and summary["rejected"]:
            detail = f"{summary['rejected']} of {summary['rows']} rows are bad; nothing was stored."
            faults = await first_faults(session, context.run_id, FAULTS_IN_ERROR)
            refusal = InvalidInput(detail, faults)
            await _refuse(session, context, refusal)
        else:
            refusal = None
            await session.execute(IN_BULK)
            if request.dry_run:
                fields = (summary["mapping"], summary["extras"])
                counts = await foresee(session, kind, rows, *fields)
            else:
                counts, known = await _merge(context, session, folder, kind, rows, summary)
            upload = await session.get_one(Upload, context.parameters["upload_id"])
            result = outcome(request, upload.filename, upload.sha256, summary, counts)
            if not request.dry_run:
                await _tell_audit(session, kind, upload, counts)
            await _keep_result(session, context, result)
    if refusal is not None:
        raise refusal
    return result, known


async def _merge(
    context: RunContext,
    session: WriteSession,
    folder: Path,
    kind: Kind,
    rows: Table,
    summary: dict[str, Any],
) -> tuple[Counts, Work]:
    """Write the staged rows, customers with their work."""
    settings = context.settings.work
    fields = (summary["mapping"], summary["extras"])
    if kind is not CUSTOMERS:
        return await merge(session, kind, rows, *fields, settings), Work.UNKNOWN
    compute = _estimating(context, 0.6, 0.65)
    known = await stage_work(session, settings, folder, compute, has_own=summary["has_work"])
    n_new = summary["rows"] - summary["rejected"] if known is Work.WRITTEN else 0
    async with loading(session, n_new, _indexing(context)) as is_alone:
        counts = await merge(session, kind, rows, *fields, settings, is_alone=is_alone)
    # Somebody may have written one of them meanwhile.
    return counts, Work.UNKNOWN if counts.updated or counts.unchanged else known


def _estimating(context: RunContext, start: float, end: float) -> Compute:
    """Estimate in a child where there are so many that this process would grow by their size."""

    async def compute(folder: Path) -> None:
        if count_customers(folder) <= ESTIMATED_HERE:
            await in_thread(folder)
        else:
            await run_child(context, "app.workload.estimating", folder, start, end)

    return compute


def _indexing(context: RunContext) -> Callable[[float], None]:
    return lambda part: context.report("indexing", 0.65 + 0.15 * part)


async def _tell_audit(session: WriteSession, kind: Kind, upload: Upload, counts: Counts) -> None:
    """Write down the new rows of an import as one event; each changed row has one of its own."""
    facts = {"sha256": upload.sha256, "created": counts.created, "updated": counts.updated}
    entity = {"customers": "customer", "reps": "rep"}[kind.name]
    values = {"entity": entity, "ids": counts.new_ids, "facts": orjson.dumps(facts).decode()}
    await session.execute(RECORD_BULK, values)


async def _refuse(session: WriteSession, context: RunContext, refusal: InvalidInput) -> None:
    """End the run as failed in the transaction that keeps its faults.

    Left to whoever catches the refusal, a worker dying in between would lose the one or the other.
    """
    await _drop_chunks(session, context)
    await _write_run(
        session, context, state="failed", phase="failed", error=error_document(refusal),
        finished_at=func.now(),
    )  # fmt: skip


async def _keep_result(session: WriteSession, context: RunContext, result: dict[str, Any]) -> None:
    """Keep the outcome, after which the run is not to be cancelled; a wish until now is granted."""
    await _write_run(session, context, result=result)
    is_unwanted = select(Run.cancel_requested).where(Run.id == context.run_id)
    if await session.scalar(is_unwanted):
        raise RunCancelled("The run was cancelled by its user.")


async def _write_run(session: WriteSession, context: RunContext, **values: Any) -> None:
    """Write into the run row if this worker holds the run still."""
    done = await session.execute(
        update(Run)
        .where(
            Run.id == context.run_id,
            Run.fencing_token == context.token,
            Run.state == "running",
        )
        .values(**values)
        .returning(Run.id)
    )
    if done.first() is None:
        raise StaleRun(f"Run {context.run_id} was taken over or ended.")


async def _drop_chunks(session: WriteSession, context: RunContext) -> None:
    """Let the bytes go: what they held is stored or refused; name, size and digest stay."""
    wanted = UploadChunk.upload_id == context.parameters["upload_id"]
    await session.execute(delete(UploadChunk).where(wanted))
