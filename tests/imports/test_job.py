"""Imports whose worker dies, waits, or lives elsewhere."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.activity import refresh_work
from app.activity.work import estimate
from app.db.session import AnySession, Database
from app.db.tables import Run
from app.errors import Conflict, WorkspaceFull
from app.imports import job
from app.imports import work as imports_work
from app.imports.schemas import read_request
from app.imports.service import submit_file
from app.jobs import execution
from app.jobs.execution import execute
from app.jobs.runs import cancel
from app.settings import Settings
from tests.conftest import REPOSITORY
from tests.imports.conftest import GOOD, HEADER

HANDLERS = {"import": job.run_import}


async def submit(database: Database, settings: Settings, path: Path) -> int:
    async with database.writing() as session:
        request = read_request({"kind": "customers"})
        return (await submit_file(session, settings, request, path, path.name, "me")).id


async def state_of(database: Database, run_id: int) -> tuple[str, str | None]:
    async with database.reading() as session:
        row = await session.execute(
            text("SELECT state, result ->> 'message' FROM run WHERE id = :id"), {"id": run_id}
        )
        state, message = row.one()
    return state, message


async def requeue(database: Database, run_id: int) -> None:
    """Do what the sweeper does with the run of a worker that died."""
    async with database.writing() as session:
        await session.execute(
            text("UPDATE run SET state = 'queued', fencing_token = fencing_token + 1 WHERE id=:id"),
            {"id": run_id},
        )


async def ask_to_cancel(database: Database, run_id: int) -> None:
    async with database.writing() as session:
        await cancel(session, await session.get_one(Run, run_id))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(HEADER + GOOD + "B,Bad,200,,A,1,\n")
    return path


async def test_a_run_killed_after_its_merge_tells_what_the_merge_did(
    database: Database, settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await submit(database, settings, file)

    async def die(*arguments: object) -> int:
        await requeue(database, run_id)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(job, "fold", die)
        # No beat in between may find out that the run was taken away.
        patch.setattr(execution, "HEARTBEAT_S", 60)
        with pytest.raises(asyncio.CancelledError):
            await execute(database, settings, HANDLERS, run_id)
    await execute(database, settings, HANDLERS, run_id)

    expected = "1 created, 0 updated, 0 unchanged, 1 rejected."
    assert await state_of(database, run_id) == ("succeeded", expected)
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM import_fault")) == 2
        assert await session.scalar(text("SELECT sum(customers) FROM activity_cell")) == 8
        assert await session.scalar(text("SELECT count(*) FROM upload_chunk")) == 0


async def test_once_its_rows_are_stored_an_import_is_not_cancelled(
    database: Database, settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await submit(database, settings, file)
    fold = job.fold

    async def fold_though_unwanted(database: Database) -> int:
        with pytest.raises(Conflict, match="is stored"):
            await ask_to_cancel(database, run_id)
        return await fold(database)

    monkeypatch.setattr(job, "fold", fold_though_unwanted)
    await execute(database, settings, HANDLERS, run_id)

    assert (await state_of(database, run_id))[0] == "succeeded"
    async with database.reading() as session:
        assert await session.scalar(text("SELECT sum(customers) FROM activity_cell")) == 8


async def test_an_import_that_is_cancelled_while_it_merges_stores_nothing(
    database: Database, settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await submit(database, settings, file)
    # Not by the heartbeat, which would come by chance: at the commit.
    monkeypatch.setattr(execution, "HEARTBEAT_S", 60)
    merge = job.merge

    async def merge_unwanted(*arguments: object, **named: object) -> object:
        counts = await merge(*arguments, **named)  # type: ignore[arg-type]
        await ask_to_cancel(database, run_id)
        return counts

    monkeypatch.setattr(job, "merge", merge_unwanted)
    await execute(database, settings, HANDLERS, run_id)

    assert await state_of(database, run_id) == ("cancelled", None)
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM customer")) == 0


async def test_what_goes_wrong_after_the_merge_is_tried_again(
    database: Database, settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await submit(database, settings, file)

    async def fail(database: Database) -> int:
        raise WorkspaceFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(job, "fold", fail)
        await execute(database, settings, HANDLERS, run_id)
        assert (await state_of(database, run_id))[0] == "queued"
        await execute(database, settings, HANDLERS, run_id)
    await execute(database, settings, HANDLERS, run_id)

    expected = "1 created, 0 updated, 0 unchanged, 1 rejected."
    assert await state_of(database, run_id) == ("succeeded", expected)
    async with database.reading() as session:
        assert await session.scalar(text("SELECT attempts FROM run")) == 3
        assert await session.scalar(text("SELECT sum(customers) FROM activity_cell")) == 8


@pytest.mark.parametrize("least_bytes", [10**7, 0])
async def test_the_first_customers_are_written_once_with_their_work(
    database: Database,
    settings: Settings,
    tmp_path: Path,
    least_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "ESTIMATED_WHERE_READ_BYTES", least_bytes)
    path = tmp_path / "first.csv"
    rows = [
        f"{i},{113 + i % 37 / 500},{30 + i % 29 / 500},{'SABCD'[i % 5]},"
        f"{('active', 'lead', 'inactive')[i % 3]}"
        for i in range(500)
    ]
    path.write_text("\n".join(["id,lon,lat,class,status", *rows]))

    await execute(database, settings, HANDLERS, await submit(database, settings, path))

    async with database.reading() as session:
        counted = text(
            "SELECT count(DISTINCT xmin::text), count(*) FILTER (WHERE work_minutes > 0) "
            "FROM customer"
        )
        written, working = (await session.execute(counted)).one()
    assert written == 1
    assert working > 200
    # What was written is what an estimate of all comes to.
    assert await refresh_work(database, settings.work, tmp_path) == 0


@pytest.mark.parametrize(
    ("bad_rows", "is_estimated_again"),
    [(("x,181,0", "y,113,30,E"), False), (("7,113.05,30.05",), True)],
    ids=["rows that are refused", "a row that comes twice"],
)
async def test_work_estimated_where_a_file_is_read_is_that_of_the_rows_that_are_stored(
    database: Database,
    settings: Settings,
    tmp_path: Path,
    bad_rows: tuple[str, ...],
    is_estimated_again: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    estimated: list[str] = []

    async def watched(session: AnySession, statement: str, *more: Any) -> None:
        estimated.append(statement)
        await estimate(session, statement, *more)

    monkeypatch.setattr(job, "ESTIMATED_WHERE_READ_BYTES", 0)
    monkeypatch.setattr(imports_work, "estimate", watched)
    path = tmp_path / "first.csv"
    rows = [f"{i},{113 + i % 37 / 500},{30 + i % 29 / 500}" for i in range(300)]
    path.write_text("\n".join(["id,lon,lat", *rows, *bad_rows]))
    run = await submit(database, settings, path)

    await execute(database, settings, HANDLERS, run)

    expected = f"300 created, 0 updated, 0 unchanged, {len(bad_rows)} rejected."
    assert await state_of(database, run) == ("succeeded", expected)
    assert bool(estimated) == is_estimated_again
    assert await refresh_work(database, settings.work, tmp_path) == 0


@pytest.mark.parametrize("estimated_here", [500_000, 100])
async def test_later_customers_are_written_with_their_work_and_change_that_of_their_neighbours(
    database: Database,
    settings: Settings,
    tmp_path: Path,
    estimated_here: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "ESTIMATED_HERE", estimated_here)
    for part in (range(300), range(150, 500)):
        path = tmp_path / f"{part.start}.csv"
        rows = [f"{i},{113 + i % 37 / 500},{30 + i % 29 / 500}" for i in part]
        path.write_text("\n".join(["id,lon,lat", *rows]))
        await execute(database, settings, HANDLERS, await submit(database, settings, path))

    assert await refresh_work(database, settings.work, tmp_path) == 0
    async with database.reading() as session:
        assert await session.scalar(text("SELECT min(work_minutes) FROM customer")) > 0
        summed = await session.scalar(
            text("SELECT sum(work_minutes) FROM activity_cell WHERE resolution = 2")
        )
        assert summed == pytest.approx(
            await session.scalar(text("SELECT sum(work_minutes) FROM customer"))
        )


async def test_an_import_that_only_adds_estimates_everybody_once(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def once_more(*arguments: object) -> None:
        raise AssertionError("estimated once more")

    monkeypatch.setattr(job, "refresh_work", once_more)
    for part in (range(300), range(300, 500)):
        path = tmp_path / f"{part.start}.csv"
        rows = [f"{i},{113 + i % 37 / 500},{30 + i % 29 / 500}" for i in part]
        path.write_text("\n".join(["id,lon,lat", *rows]))
        run = await submit(database, settings, path)
        await execute(database, settings, HANDLERS, run)
        assert (await state_of(database, run))[0] == "succeeded"

    assert await refresh_work(database, settings.work, tmp_path) == 0


async def test_a_worker_that_lost_its_run_stores_nothing(
    database: Database, settings: Settings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await submit(database, settings, file)
    merge = job.merge

    async def lose(*arguments: object, **named: object) -> object:
        await requeue(database, run_id)
        return await merge(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "merge", lose)
    await execute(database, settings, HANDLERS, run_id)

    assert await state_of(database, run_id) == ("queued", None)
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM customer")) == 0
        assert await session.scalar(text("SELECT count(*) FROM import_fault")) == 0


async def test_two_imports_of_the_same_rows_at_once_both_succeed(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    runs = []
    for order in (1, -1):
        path = tmp_path / f"{order}.csv"
        rows = [f"{i},{order},{i % 90},{i % 80}" for i in range(2000)][::order]
        path.write_text("\n".join(["id,name,lon,lat", *rows]))
        runs.append(await submit(database, settings, path))

    await asyncio.gather(*(execute(database, settings, HANDLERS, run) for run in runs))

    outcomes = sorted([(await state_of(database, run))[1] or "" for run in runs])
    assert outcomes[0].startswith("0 created, 2000 updated")
    assert outcomes[1].startswith("2000 created, 0 updated")


async def test_a_worker_in_another_working_folder_needs_nothing_but_the_database(
    client: httpx.AsyncClient, settings: Settings, tmp_path: Path
) -> None:
    answer = await client.post(
        "/v1/imports", files={"file": ("f.csv", HEADER + GOOD)}, data={"kind": "customers"}
    )
    program = (
        "import asyncio; from app.settings import load_settings; from app.worker import work; "
        "asyncio.run(work(load_settings(), once=True))"
    )

    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "BAILIWICK_HOME": str(settings.home),
        },
        check=True,
        timeout=120,
    )

    run = (await client.get(answer.headers["Location"])).json()
    assert run["result"]["created"] == 1
