"""A run from claim to end, taken over, cancelled, failed and swept up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from procrastinate import App
from sqlalchemy import text, update

from app.db.session import NOBODY, Acting, Database
from app.db.tables import ImportFault, Layer, Run
from app.errors import Fault, InvalidInput, StaleRun, Unavailable
from app.jobs import execution
from app.jobs.execution import execute
from app.jobs.runs import INTERRUPTED_OFTEN, MAX_ATTEMPTS, RunContext, claim
from app.jobs.sweeping import Watch, sweep
from app.settings import Settings
from tests.jobs.conftest import Enqueue, jobs_of, run_of

STALLED_AFTER_S = 30.0


async def _claimed(database: Database, settings: Settings, run_id: int) -> RunContext:
    context = await claim(database, settings, run_id)
    assert context is not None
    return context


async def _take_away(database: Database, run_id: int) -> None:
    """Do to a run what the sweeper does when its worker is thought dead."""
    async with database.writing() as session:
        await session.execute(
            update(Run)
            .where(Run.id == run_id)
            .values(state="queued", fencing_token=Run.fencing_token + 1)
        )


async def _succeed(context: RunContext) -> None:
    async with context.writing() as session:
        await context.succeed(session, {"answer": 42})


# Claiming and fencing


async def test_a_run_is_claimed_once(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()

    claims = await asyncio.gather(*(claim(database, settings, run_id) for _ in range(5)))

    assert len([context for context in claims if context is not None]) == 1
    run = await run_of(database, run_id)
    assert (run.state, run.attempts, run.fencing_token) == ("running", 1, 1)
    assert run.heartbeat_at is not None


async def test_a_run_that_does_not_exist_is_not_to_be_had(
    database: Database, settings: Settings
) -> None:
    assert await claim(database, settings, 999) is None


async def test_each_claim_has_a_higher_token(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    first = await _claimed(database, settings, run_id)
    await _take_away(database, run_id)

    second = await _claimed(database, settings, run_id)

    assert second.token > first.token
    assert (first.attempt, second.attempt) == (1, 2)


async def test_a_worker_that_lost_the_run_can_write_nothing(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    stale = await _claimed(database, settings, run_id)
    await _take_away(database, run_id)
    current = await _claimed(database, settings, run_id)

    with pytest.raises(StaleRun):
        await _succeed(stale)
    with pytest.raises(StaleRun):
        await stale.beat()
    await stale.end("failed", {"detail": "mine"})

    run = await run_of(database, run_id)
    assert (run.state, run.error) == ("running", None)
    await _succeed(current)
    assert (await run_of(database, run_id)).result == {"answer": 42}


async def test_succeeding_outside_of_the_guarded_transaction_undoes_what_was_written(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    stale = await _claimed(database, settings, run_id)
    await _take_away(database, run_id)

    async def write_and_succeed() -> None:
        async with database.writing() as session:
            session.add(Layer(name="result", title="Result"))
            await session.flush()
            await stale.succeed(session, {})

    with pytest.raises(StaleRun):
        await write_and_succeed()

    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM layer")) == 0


async def test_a_run_taken_away_while_its_results_are_written_keeps_none_of_them(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    context = await _claimed(database, settings, await enqueued())

    async def write_too_late() -> None:
        async with context.writing() as session:
            session.add(Layer(name="result", title="Result"))
            await session.flush()
            await _take_away(database, context.run_id)

    with pytest.raises(StaleRun):
        await write_too_late()

    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM layer")) == 0


async def test_heartbeats_and_the_wish_to_cancel_come_through_while_results_are_written(
    client: httpx.AsyncClient, database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    context = await _claimed(database, settings, await enqueued())

    async with context.writing() as session:
        # As a plan does: its row refers to the run.
        session.add(ImportFault(run_id=context.run_id, code="x", detail="y"))
        await session.flush()
        context.report("storing", 0.9)
        assert await asyncio.wait_for(context.beat(), 2) is False
        answer = await asyncio.wait_for(client.post(f"/v1/runs/{context.run_id}:cancel"), 2)
        assert answer.status_code == 202
        assert await asyncio.wait_for(context.beat(), 2) is True

    assert (await run_of(database, context.run_id)).phase == "storing"


async def test_the_heartbeat_carries_phase_and_progress(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    context = await _claimed(database, settings, await enqueued())
    before = (await run_of(database, context.run_id)).heartbeat_at

    context.report("solving", 0.4)
    assert await context.beat() is False

    run = await run_of(database, context.run_id)
    assert (run.phase, run.progress) == ("solving", 0.4)
    assert run.heartbeat_at is not None
    assert before is not None
    assert run.heartbeat_at > before


@pytest.mark.parametrize(("reported", "stored"), [(1.7, 1.0), (-1, 0.0)])
async def test_progress_stays_between_nothing_and_all(
    database: Database, settings: Settings, enqueued: Enqueue, reported: float, stored: float
) -> None:
    context = await _claimed(database, settings, await enqueued())

    context.report("odd", reported)
    await context.beat()

    assert (await run_of(database, context.run_id)).progress == stored


# Executing


async def _execute(
    database: Database,
    settings: Settings,
    run_id: int,
    handler: Callable[[RunContext], Awaitable[None]],
) -> Run:
    await execute(database, settings, {"test": handler}, run_id)
    return await run_of(database, run_id)


async def test_a_handler_ends_its_run_with_a_result(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run = await _execute(database, settings, await enqueued(), _succeed)

    assert (run.state, run.progress, run.result) == ("succeeded", 1.0, {"answer": 42})
    assert run.finished_at is not None


async def test_a_job_for_a_run_that_is_over_does_nothing(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    await _execute(database, settings, run_id, _succeed)

    async def never(context: RunContext) -> None:
        raise AssertionError("must not be called")

    assert (await _execute(database, settings, run_id, never)).attempts == 1


async def test_a_refusal_is_kept_as_a_problem(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    async def refuse(context: RunContext) -> None:
        raise InvalidInput("The region is empty.", [Fault("empty", "no cell", "/region")])

    run = await _execute(database, settings, await enqueued(), refuse)

    assert run.state == "failed"
    assert run.error == {
        "type": "/problems/invalid-input",
        "title": "Invalid input",
        "detail": "The region is empty.",
        "errors": [{"code": "empty", "detail": "no cell", "pointer": "/region"}],
    }


async def test_an_unexpected_error_is_kept_without_its_text(
    database: Database,
    settings: Settings,
    enqueued: Enqueue,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fail(context: RunContext) -> None:
        raise RuntimeError("the password is hunter2")

    run = await _execute(database, settings, await enqueued(), fail)

    assert run.state == "failed"
    assert run.error is not None
    assert "hunter2" not in str(run.error)
    assert run.error["type"] == "/problems/internal"
    logged = capsys.readouterr().err
    assert run.error["trace_id"] in logged
    assert "hunter2" in logged


async def test_a_run_that_loses_the_database_goes_back_to_the_queue_when_it_is_there_again(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    async def lose(context: RunContext) -> None:
        raise Unavailable("The database does not answer.")

    run = await _execute(database, settings, await enqueued(), lose)

    assert (run.state, run.error, run.attempts) == ("queued", None, 0)


async def test_a_run_interrupted_again_and_again_counts_its_attempts(
    database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()

    async def lose(context: RunContext) -> None:
        raise Unavailable("The database does not answer.")

    for _ in range(INTERRUPTED_OFTEN):
        run = await _execute(database, settings, run_id, lose)

    assert run.attempts >= MAX_ATTEMPTS
    assert run.state == "failed"
    assert run.error is not None
    assert run.error["type"] == "/problems/quarantined"


async def test_a_run_taken_over_ends_its_first_handler_and_not_the_run(
    database: Database,
    settings: Settings,
    enqueued: Enqueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execution, "HEARTBEAT_S", 0.05)
    run_id = await enqueued()
    was_cancelled = asyncio.Event()

    async def work_long(context: RunContext) -> None:
        await _take_away(database, run_id)
        try:
            await asyncio.sleep(60)
        finally:
            was_cancelled.set()

    run = await asyncio.wait_for(_execute(database, settings, run_id, work_long), 10)

    assert was_cancelled.is_set()
    assert run.state == "queued"


# Cancelling


async def _wait_for(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_queued_run_is_cancelled_at_once_and_never_starts(
    client: httpx.AsyncClient, database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()

    answer = await client.post(f"/v1/runs/{run_id}:cancel")

    assert answer.status_code == 202
    assert answer.json()["state"] == "cancelled"
    assert (await _execute(database, settings, run_id, _succeed)).state == "cancelled"


async def test_a_running_run_stops_within_a_second(
    client: httpx.AsyncClient, database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    has_cleaned_up = asyncio.Event()

    async def work_long(context: RunContext) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            has_cleaned_up.set()

    executing = asyncio.create_task(_execute(database, settings, run_id, work_long))

    async def is_running() -> bool:
        return (await run_of(database, run_id)).state == "running"

    await _wait_for(is_running)
    assert (await client.post(f"/v1/runs/{run_id}:cancel")).json()["state"] == "running"

    run = await asyncio.wait_for(executing, 1)
    assert run.state == "cancelled"
    assert run.error is None
    assert has_cleaned_up.is_set()


async def test_a_run_that_is_over_cannot_be_cancelled(
    client: httpx.AsyncClient, database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    await _execute(database, settings, run_id, _succeed)

    answer = await client.post(f"/v1/runs/{run_id}:cancel")

    assert answer.status_code == 409
    assert (await run_of(database, run_id)).state == "succeeded"


async def test_runs_are_listed_by_kind_and_state(
    client: httpx.AsyncClient, database: Database, settings: Settings, enqueued: Enqueue
) -> None:
    first, second = await enqueued(), await enqueued("other")
    await _execute(database, settings, first, _succeed)

    async def listed(query: str) -> list[int]:
        items = (await client.get(f"/v1/runs?{query}")).json()["items"]
        return [item["id"] for item in items]

    assert await listed("") == [first, second]
    assert await listed("kind=other") == [second]
    assert await listed("state=succeeded") == [first]
    assert (await client.get("/v1/runs?state=odd")).status_code == 422
    assert (await client.get("/v1/runs?kind=a%00")).status_code == 422


# Sweeping


async def _stall(database: Database, run_id: int) -> None:
    async with database.writing() as session:
        await session.execute(
            text("UPDATE run SET heartbeat_at = now() - interval '1 minute' WHERE id = :id"),
            {"id": run_id},
        )


async def _forget_jobs(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))


async def test_a_run_without_a_heartbeat_is_queued_again(
    database: Database, settings: Settings, queue: App, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    lost = await _claimed(database, settings, run_id)
    await _forget_jobs(database)
    await _stall(database, run_id)

    assert await sweep(database, queue, STALLED_AFTER_S) == 1

    run = await run_of(database, run_id)
    assert run.state == "queued"
    assert run.fencing_token > lost.token, "a frozen worker that wakes up must find it changed"
    assert await jobs_of(database, run_id) == 1


async def test_a_run_with_a_fresh_heartbeat_is_left_alone(
    database: Database, settings: Settings, queue: App, enqueued: Enqueue
) -> None:
    context = await _claimed(database, settings, await enqueued())
    await _forget_jobs(database)

    assert await sweep(database, queue, STALLED_AFTER_S) == 0

    assert (await run_of(database, context.run_id)).state == "running"
    assert await jobs_of(database, context.run_id) == 0


async def test_a_run_is_given_up_after_its_last_attempt(
    database: Database, settings: Settings, queue: App, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    for _ in range(MAX_ATTEMPTS):
        await _claimed(database, settings, run_id)
        await _forget_jobs(database)
        await _stall(database, run_id)
        await sweep(database, queue, STALLED_AFTER_S)

    run = await run_of(database, run_id)
    assert (run.state, run.attempts) == ("failed", MAX_ATTEMPTS)
    assert run.error is not None
    assert run.error is not None
    assert run.error["type"] == "/problems/quarantined"
    assert await jobs_of(database, run_id) == 0


async def test_a_stalled_run_that_was_to_be_cancelled_is_cancelled(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    queue: App,
    enqueued: Enqueue,
) -> None:
    run_id = await enqueued()
    await _claimed(database, settings, run_id)
    await _stall(database, run_id)
    await client.post(f"/v1/runs/{run_id}:cancel")

    await sweep(database, queue, STALLED_AFTER_S)

    run = await run_of(database, run_id)
    assert run.state == "cancelled"
    assert run.finished_at is not None


async def test_a_queued_run_whose_job_was_lost_gets_another(
    database: Database, queue: App, enqueued: Enqueue
) -> None:
    # Its worker died, or lost the database, after it took the job and before it claimed the run.
    lost, waiting = await enqueued(), await enqueued()
    async with database.writing() as session:
        await session.execute(
            text("DELETE FROM procrastinate_jobs WHERE args ->> 'run_id' = :id"), {"id": str(lost)}
        )

    assert await sweep(database, queue, STALLED_AFTER_S) == 1

    assert [await jobs_of(database, run_id) for run_id in (lost, waiting)] == [1, 1]


def test_a_sweeper_that_was_itself_away_judges_nobody_for_one_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 100.0
    monkeypatch.setattr("app.jobs.sweeping.time.monotonic", lambda: clock)
    watch = Watch(stalled_after_s=30)
    rounds = []
    for passed_s in (5, 5, 16, 5, 40, 40, 40, 5):
        clock += passed_s
        rounds.append(watch.was_away())
    assert rounds == [False, False, True, False, True, False, True, False]


async def test_a_writer_that_freezes_is_cut_off_before_its_locks_matter(
    database: Database,
) -> None:
    for acting in (NOBODY, Acting(actor="me")):
        async with database.writing(acting) as session:
            limit = await session.scalar(text("SHOW idle_in_transaction_session_timeout"))
        assert limit == "15s"


async def test_two_sweepers_at_once_queue_a_run_once(
    database: Database, settings: Settings, queue: App, enqueued: Enqueue
) -> None:
    run_id = await enqueued()
    await _claimed(database, settings, run_id)
    await _forget_jobs(database)
    await _stall(database, run_id)

    await asyncio.gather(*(sweep(database, queue, STALLED_AFTER_S) for _ in range(3)))

    run = await run_of(database, run_id)
    assert (run.state, run.fencing_token) == ("queued", 2)


async def test_a_context_needs_no_more_than_a_run(
    database: Database, settings: Settings, enqueued: Enqueue, layer_id: int
) -> None:
    context: Any = await _claimed(database, settings, await enqueued(layer_id=layer_id))

    assert (context.kind, context.parameters, context.layer_id, context.requested_by) == (
        "test", {"a": 1}, layer_id, "me",
    )  # fmt: skip


# A worker that is asked to stop


@pytest.mark.parametrize(
    ("cancels", "state", "jobs"), [(False, "queued", 2), (True, "cancelled", 1)]
)
async def test_a_worker_that_stops_gives_its_run_back_at_once(
    database: Database,
    settings: Settings,
    enqueued: Enqueue,
    cancels: bool,
    state: str,
    jobs: int,
) -> None:
    run_id = await enqueued()
    has_begun = asyncio.Event()

    async def last_for_ever(context: RunContext) -> None:
        if cancels:
            async with database.writing() as session:
                await session.execute(
                    update(Run).where(Run.id == run_id).values(cancel_requested=True)
                )
        has_begun.set()
        await asyncio.Event().wait()

    work = asyncio.create_task(execute(database, settings, {"test": last_for_ever}, run_id))
    await has_begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    run = await run_of(database, run_id)
    assert (run.state, run.attempts) == (state, 0), "to be asked to stop is no failed attempt"
    assert run.fencing_token == 2, "what is still on its way is written by nobody"
    # The job of the worker that stopped is removed by the queue itself.
    assert await jobs_of(database, run_id) == jobs
