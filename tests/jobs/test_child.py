"""Child processes: their results, their refusals, their deaths."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.db.session import Database
from app.errors import InvalidInput
from app.jobs.child import ChildCrashed, run_child
from app.jobs.child_main import NICENESS
from app.jobs.runs import RunContext, claim
from app.settings import Settings
from tests.conftest import REPOSITORY
from tests.jobs.conftest import Enqueue

MODULE = "tests.jobs.children"
RunIn = Callable[[str], Awaitable[None]]


@pytest.fixture
async def context(database: Database, settings: Settings, enqueued: Enqueue) -> RunContext:
    claimed = await claim(database, settings, await enqueued())
    assert claimed is not None
    return claimed


@pytest.fixture
def run_in(context: RunContext, tmp_path: Path) -> RunIn:
    """Run a child in `tmp_path`."""

    async def run(what: str) -> None:
        (tmp_path / "what.txt").write_text(what)
        await run_child(context, MODULE, tmp_path, 0.2, 0.8)

    return run


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _pid(folder: Path) -> int:
    async with asyncio.timeout(20):
        while not (folder / "pid.txt").exists() or not (folder / "pid.txt").read_text():
            await asyncio.sleep(0.02)
    return int((folder / "pid.txt").read_text())


async def test_a_child_leaves_its_result_and_reports_within_its_share(
    context: RunContext, run_in: RunIn, tmp_path: Path
) -> None:
    await run_in("compute")

    assert (tmp_path / "result.txt").read_text() == "42"
    assert (context.phase, context.progress) == ("all", pytest.approx(0.8))


async def test_a_child_leaves_the_processors_to_those_who_answer(
    run_in: RunIn, tmp_path: Path
) -> None:
    await run_in("yield")

    assert (tmp_path / "result.txt").read_text() == str(os.nice(0) + NICENESS)


async def test_a_refusal_comes_over_with_its_faults(run_in: RunIn) -> None:
    with pytest.raises(InvalidInput, match="The region is empty") as refused:
        await run_in("refuse")

    assert [(fault.code, fault.pointer) for fault in refused.value.faults] == [("empty", "/region")]


async def test_an_error_of_the_child_is_named_by_its_last_line(run_in: RunIn) -> None:
    with pytest.raises(ChildCrashed, match="exit code 1: ZeroDivisionError: by nobody"):
        await run_in("fail")


async def test_a_crash_is_named_by_its_signal(run_in: RunIn) -> None:
    with pytest.raises(ChildCrashed, match=f"signal {signal.SIGSEGV.value}"):
        await run_in("die")


async def test_a_child_that_takes_too_much_memory_is_ended(
    context: RunContext, run_in: RunIn, tmp_path: Path
) -> None:
    context.settings = context.settings.model_copy(update={"child_memory_bytes": 2**28})

    with pytest.raises(ChildCrashed, match=r"took \d+ MB, more than the 256 MB it may"):
        await asyncio.wait_for(run_in("swell"), 30)

    assert not _is_alive(await _pid(tmp_path))


async def test_a_cancelled_run_takes_its_child_along(run_in: RunIn, tmp_path: Path) -> None:
    running = asyncio.create_task(run_in("sleep"))
    pid = await _pid(tmp_path)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)

    assert not _is_alive(pid)


async def test_a_child_sees_no_settings_of_ours(
    run_in: RunIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://me:secret@host/db")

    await run_in("look")

    assert (tmp_path / "result.txt").read_text() == "[] 1"


def test_a_child_dies_with_its_parent_however_that_dies(tmp_path: Path) -> None:
    (tmp_path / "what.txt").write_text("sleep")
    script = (
        "import asyncio, sys; from pathlib import Path; from types import SimpleNamespace\n"
        "from app.jobs.child import run_child; from app.settings import Settings\n"
        "context = SimpleNamespace(settings=Settings(home=Path(sys.argv[1])))\n"
        f"asyncio.run(run_child(context, {MODULE!r}, Path(sys.argv[1]), 0, 1))"
    )
    # From another working folder: the child is found by the place of the code alone.
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    pid = asyncio.run(_pid(tmp_path))
    assert _is_alive(pid)

    parent.kill()
    parent.wait()

    for _ in range(200):
        if not _is_alive(pid):
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child outlived its parent")
