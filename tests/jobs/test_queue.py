"""A run and its job exist together or not at all."""

import pytest

from app.db.session import Database
from app.db.tables import Run
from app.errors import Conflict
from app.jobs.queue import enqueue
from tests.jobs.conftest import Enqueue, jobs_of, run_of


async def test_a_queued_run_has_one_job(database: Database, enqueued: Enqueue) -> None:
    run_id = await enqueued()

    run = await run_of(database, run_id)
    assert (run.state, run.attempts, run.parameters) == ("queued", 0, {"a": 1})
    assert await jobs_of(database, run_id) == 1


async def test_nobody_sees_run_or_job_before_the_transaction_commits(database: Database) -> None:
    async with database.writing() as session:
        run = await enqueue(session, "test", {}, "me")
        async with database.reading() as outside:
            assert await outside.get(Run, run.id) is None
        assert await jobs_of(database, run.id) == 0

    assert await jobs_of(database, run.id) == 1


async def test_a_rolled_back_transaction_leaves_neither_run_nor_job(database: Database) -> None:
    ids = []

    async def enqueue_and_fail() -> None:
        async with database.writing() as session:
            ids.append((await enqueue(session, "test", {}, "me")).id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await enqueue_and_fail()

    async with database.reading() as session:
        assert await session.get(Run, ids[0]) is None
    assert await jobs_of(database, ids[0]) == 0


async def test_a_layer_with_an_active_run_names_it_when_another_is_asked_for(
    database: Database, enqueued: Enqueue, layer_id: int
) -> None:
    active = await enqueued(layer_id=layer_id)

    with pytest.raises(Conflict, match=str(active)) as refused:
        await enqueued(layer_id=layer_id)

    assert refused.value.faults[0].detail == f"/v1/runs/{active}"
    assert await jobs_of(database, active) == 1


async def test_a_refused_run_does_not_spoil_the_rest_of_its_transaction(
    database: Database, enqueued: Enqueue, layer_id: int
) -> None:
    await enqueued(layer_id=layer_id)

    async with database.writing() as session:
        with pytest.raises(Conflict):
            await enqueue(session, "test", {}, "me", layer_id)
        other = await enqueue(session, "test", {}, "me")

    assert (await run_of(database, other.id)).state == "queued"


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
async def test_a_layer_whose_run_is_over_takes_another(
    database: Database, enqueued: Enqueue, layer_id: int, state: str
) -> None:
    first = await enqueued(layer_id=layer_id)
    async with database.writing() as session:
        (await session.get_one(Run, first)).state = state
        await session.flush()

    assert await enqueued(layer_id=layer_id) > first


async def test_runs_without_a_layer_go_side_by_side(database: Database, enqueued: Enqueue) -> None:
    first, second = await enqueued(), await enqueued()

    assert first != second
