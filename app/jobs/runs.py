"""Run rows: claiming, reporting and finishing, each guarded by the fencing token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, select, update

from app.db.session import Acting, Database, WriteSession
from app.db.tables import Run
from app.errors import Conflict, ServiceError, StaleRun, Unavailable
from app.jobs.leftovers import forget_uploads
from app.jobs.queue import defer
from app.jobs.schemas import is_over
from app.settings import Settings

MAX_ATTEMPTS = 3
# The token grows twice with each interruption.
INTERRUPTED_OFTEN = 20
# Before what failed is tried again.
PAUSE_S = 2


@dataclass(slots=True)
class RunContext:
    """A run held by this worker, and what its handler may use."""

    database: Database
    settings: Settings
    run_id: int
    kind: str
    parameters: dict[str, Any]
    layer_id: int | None
    requested_by: str
    attempt: int
    token: int
    phase: str = "started"
    progress: float = field(default=0.0)
    has_ended: bool = field(default=False)

    def report(self, phase: str, progress: float) -> None:
        """Note how far the run is; the heartbeat carries it to the database."""
        self.phase = phase
        self.progress = min(max(progress, 0.0), 1.0)

    @property
    def acting(self) -> Acting:
        """Who is behind what the run changes: the one who asked for it."""
        return Acting(actor=self.requested_by, run_id=self.run_id)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[WriteSession]:
        """Open a transaction that commits only if this worker holds the run then.

        The row of the run is locked at the end, not before: while results are written, heartbeats
        go on and a user's wish to cancel comes through.

        Raises
        ------
        StaleRun
            When another worker has taken the run over.
        """
        async with self.database.writing(self.acting) as session:
            if await session.scalar(select(Run.id).where(*self._is_held())) is None:
                raise StaleRun(f"Run {self.run_id} was taken over or ended.")
            yield session
            # Not the state: what ran in the transaction may have ended the run.
            token = select(Run.fencing_token).where(Run.id == self.run_id)
            if await session.scalar(token.with_for_update(of=Run)) != self.token:
                raise StaleRun(f"Run {self.run_id} was taken over.")

    async def succeed(self, session: WriteSession, result: dict[str, Any]) -> None:
        """End the run within the transaction that writes its results.

        Raises
        ------
        StaleRun
            When another worker has taken the run over; the transaction must not commit.
        """
        # A heartbeat between this commit and the handler's return must not take it for a loss.
        self.has_ended = True
        done = await session.execute(
            update(Run)
            .where(*self._is_held())
            .values(
                state="succeeded", phase="done", progress=1.0, result=result,
                finished_at=func.now(), heartbeat_at=func.now(),
            )
            .returning(Run.id)
        )  # fmt: skip
        if done.first() is None:
            raise StaleRun(f"Run {self.run_id} was taken over or ended.")

    async def fail(self, error: dict[str, Any]) -> None:
        """End the run as failed, unless its outcome is stored: then it is tried again.

        What is left to do then can be done at any time, and is wanted, for the rows are there.
        """
        async with self.database.writing(self.acting) as session:
            done = await session.execute(
                update(Run)
                .where(*self._is_held(), Run.result.is_not(None), Run.attempts < MAX_ATTEMPTS)
                .values(
                    state="queued", phase="interrupted, resuming",
                    fencing_token=Run.fencing_token + 1,
                )
                .returning(Run.id)
            )  # fmt: skip
            is_tried_again = done.first() is not None
            if is_tried_again:
                await defer(session, self.run_id, PAUSE_S)
        if not is_tried_again:
            await self.end("failed", error)

    async def end(self, state: str, error: dict[str, Any] | None) -> None:
        """End the run without results, unless another worker holds it."""
        async with self.database.writing(self.acting) as session:
            await session.execute(
                update(Run)
                .where(*self._is_held())
                .values(state=state, error=error, phase=state, finished_at=func.now())
            )
        await self._forget_upload()

    async def release(self, after_s: int = 0) -> None:
        """Give the run back to the queue, for another worker to begin, at once or after a pause.

        The attempt does not count, as nothing went wrong with the run: this worker was asked to
        stop, or the database was away. A run that is interrupted again and again may be the reason
        for that; from then on it counts.
        """
        is_unwanted = Run.cancel_requested
        counts = 0 if self.token < INTERRUPTED_OFTEN else 1
        if counts and self.attempt >= MAX_ATTEMPTS:
            await self.end("failed", given_up("The database did not serve it, time and again"))
            return
        async with self.database.writing(self.acting) as session:
            done = await session.execute(
                update(Run)
                .where(*self._is_held())
                .values(
                    state=case((is_unwanted, "cancelled"), else_="queued"),
                    phase=case((is_unwanted, "cancelled"), else_="interrupted, resuming"),
                    finished_at=case((is_unwanted, func.now())),
                    attempts=Run.attempts - 1 + counts,
                    fencing_token=Run.fencing_token + 1,
                )
                .returning(Run.state)
            )
            state = done.scalar_one_or_none()
            if state == "queued":
                await defer(session, self.run_id, after_s)
        if state == "cancelled":
            await self._forget_upload()

    async def beat(self) -> bool:
        """Write heartbeat and progress; return whether the user asked to cancel.

        Raises
        ------
        StaleRun
            When another worker has taken the run over.
        """
        async with self.database.writing(self.acting) as session:
            done = await session.execute(
                update(Run)
                .where(*self._is_held())
                .values(heartbeat_at=func.now(), phase=self.phase, progress=self.progress)
                .returning(Run.cancel_requested)
            )
            row = done.first()
        if row is None and self.has_ended:
            return False
        if row is None:
            raise StaleRun(f"Run {self.run_id} was taken over or ended.")
        return bool(row.cancel_requested)

    async def _forget_upload(self) -> None:
        """Remove what the run leaves if it is over; apart, since the end matters more.

        A full disk may have room to write down the end and none to remove a large file; what is
        left here goes with the next housekeeping.
        """
        if self.kind != "import":
            return
        with suppress(Unavailable):
            async with self.database.writing(self.acting) as session:
                await forget_uploads(session, self.run_id)

    def _is_held(self) -> tuple[Any, ...]:
        return Run.id == self.run_id, Run.fencing_token == self.token, Run.state == "running"


async def claim(database: Database, settings: Settings, run_id: int) -> RunContext | None:
    """Take a queued run, or return None when it is not to be had."""
    async with database.writing() as session:
        done = await session.execute(
            update(Run)
            .where(Run.id == run_id, Run.state == "queued")
            .values(
                state="running", attempts=Run.attempts + 1, fencing_token=Run.fencing_token + 1,
                started_at=func.coalesce(Run.started_at, func.now()), heartbeat_at=func.now(),
                phase="started", progress=0.0,
            )
            .returning(Run)
        )  # fmt: skip
        run = done.scalar_one_or_none()
    if run is None:
        return None
    return RunContext(
        database=database, settings=settings, run_id=run.id, kind=run.kind,
        parameters=run.parameters, layer_id=run.layer_id, requested_by=run.requested_by,
        attempt=run.attempts, token=run.fencing_token,
    )  # fmt: skip


async def cancel(session: WriteSession, run: Run) -> None:
    """End a run that is queued, or ask the worker that holds it to stop.

    Raises
    ------
    Conflict
        When the run is over already, or what it was to store is stored.
    """
    if is_over(run.state):
        raise Conflict(f"Run {run.id} has {run.state} already.")
    # The lock keeps an outcome from being stored meanwhile; rows that refer to the run do not wait.
    stored = select(Run.result).where(Run.id == run.id).with_for_update(key_share=True)
    if await session.scalar(stored):
        raise Conflict(f"What run {run.id} was to store is stored; it ends by itself soon.")
    await session.execute(
        update(Run)
        .where(Run.id == run.id, Run.state == "queued")
        .values(state="cancelled", phase="cancelled", finished_at=func.now())
    )
    await session.execute(
        update(Run).where(Run.id == run.id, Run.state == "running").values(cancel_requested=True)
    )
    await forget_uploads(session, run.id)
    await session.refresh(run)


def given_up(reason: str) -> dict[str, Any]:
    """Return the error of a run that no worker will try again."""
    return {
        "type": "/problems/quarantined",
        "title": "Given up",
        "detail": f"{reason}; see the worker's log.",
        "errors": [],
    }


def error_document(error: ServiceError) -> dict[str, Any]:
    """Return an expected error as it is stored with the run (same members as a problem)."""
    return {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "detail": error.detail,
        "errors": [fault.document() for fault in error.faults],
    }
