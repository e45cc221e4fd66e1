"""Asking for the file of a plan's tiles, and reading parts of it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import func, select

from app.db.session import AnySession, Database, WriteSession
from app.db.tables import Artifact, Plan, Run
from app.errors import Conflict, Fault, NotFound, UnsatisfiableRange
from app.jobs.queue import enqueue
from app.tiles.pmtiles_job import KIND, file_name

PIECE_BYTES = 2**20
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a run made; `etag` with its quotes."""

    id: int
    size_bytes: int
    etag: str


async def request_file(session: WriteSession, plan_id: int, requested_by: str) -> Run:
    """Ask a worker for the file of a plan.

    Raises
    ------
    NotFound
        When there is no such plan.
    Conflict
        When the plan is a draft, or a run is making the file.
    """
    # Of two requests at once the second sees the run of the first.
    plan = await session.scalar(select(Plan).where(Plan.id == plan_id).with_for_update())
    if plan is None:
        raise NotFound(f"There is no plan {plan_id}.")
    if plan.state == "draft":
        raise Conflict(f"Plan {plan_id} is a draft: publish it first.")
    active = await _active_run(session, plan_id)
    if active is not None:
        fault = Fault("run-active", f"/v1/runs/{active}")
        raise Conflict(f"Run {active} is making this file.", [fault])
    return await enqueue(session, KIND, {"plan_id": plan_id}, requested_by)


async def find_file(session: AnySession, plan_id: int) -> StoredFile:
    """Return the file of a plan.

    Raises
    ------
    NotFound
        When there is no such plan, or its file was not made yet; the fault says how it is.
    """
    if await session.scalar(select(Plan.id).where(Plan.id == plan_id)) is None:
        raise NotFound(f"There is no plan {plan_id}.")
    statement = (
        select(Artifact.id, func.octet_length(Artifact.data).label("size"), Run.result)
        .join(Run, Run.id == Artifact.run_id)
        .where(Artifact.name == file_name(plan_id), Run.kind == KIND)
    )
    row = (await session.execute(statement.order_by(Artifact.id.desc()).limit(1))).first()
    if row is not None:
        return StoredFile(row.id, row.size, f'"{row.result["sha256"][:32]}"')
    active = await _active_run(session, plan_id)
    if active is not None:
        fault = Fault("run-active", f"/v1/runs/{active}")
        raise NotFound(f"The file of plan {plan_id} is being made by run {active}.", [fault])
    fault = Fault("not-made", f"POST /v1/plans/{plan_id}:pmtiles")
    raise NotFound(f"The file of plan {plan_id} was not made yet.", [fault])


async def pieces(database: Database, file_id: int, first: int, last: int) -> AsyncIterator[bytes]:
    """Yield the bytes from `first` to `last`; between pieces no connection is held."""
    for start in range(first, last + 1, PIECE_BYTES):
        n_bytes = min(PIECE_BYTES, last + 1 - start)
        part = func.substring(Artifact.data, start + 1, n_bytes)
        async with database.reading() as session:
            yield bytes(await session.scalar(select(part).where(Artifact.id == file_id)) or b"")


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """Return first and last byte that a Range header asks for (RFC 9110, 14.1.2).

    None for headers that are not understood, such as several ranges: the answer is the whole file.

    Raises
    ------
    UnsatisfiableRange
        When the file has no byte of the range.
    """
    found = RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < first:
            return None
    if first > last:
        raise UnsatisfiableRange(f"The file has {size} bytes.")
    return first, last


async def _active_run(session: AnySession, plan_id: int) -> int | None:
    run_id: int | None = await session.scalar(
        select(Run.id).where(
            Run.kind == KIND,
            Run.parameters["plan_id"].as_integer() == plan_id,
            Run.state.in_(("queued", "running")),
        )
    )
    return run_id
