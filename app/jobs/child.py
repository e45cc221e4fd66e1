"""Heavy work in a child process: arrays in and out as files in a temporary folder.

The child has no database and no pickle. It reports progress as JSON lines on standard output, dies
with its parent, and is ended when it takes more memory than it may.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import orjson

from app.errors import Fault, InvalidInput, ServiceError, WorkspaceFull
from app.jobs.child_main import EXIT_DISK_FULL
from app.jobs.folders import FULL
from app.settings import Settings

PAGE = os.sysconf("SC_PAGE_SIZE")
MEMORY_CHECK_S = 0.5
GRACE_S = 0.3
LONGEST_LINE = 2**20


class ChildCrashed(ServiceError):
    """The child process ended without a result."""

    title = "Computation crashed"
    code = "child-crashed"


class Reporting(Protocol):
    """What a child is run for: a run of a worker, or a request."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        ...

    def report(self, phase: str, progress: float) -> None:
        """Take note of how far the child is."""
        ...


async def run_child(
    context: Reporting, module: str, folder: Path, start: float, end: float
) -> None:
    """Run `module.main(folder)` in a child; its progress fills `start` to `end` of the run's.

    Raises
    ------
    InvalidInput
        When the child refused its input (it wrote `error.json`).
    WorkspaceFull
        When it found no room for its files.
    ChildCrashed
        When it died, or took too much memory.
    """
    with (folder / "stderr.txt").open("wb") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.jobs.child_main", module, str(folder), str(os.getpid()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env=_environment(context),
            limit=LONGEST_LINE,
            # Ctrl-C in a terminal is for the parent alone: it decides how the run ends.
            process_group=0,
        )  # fmt: skip
    watch = asyncio.create_task(_watch_memory(child.pid, context.settings.child_memory_bytes))
    try:
        await _follow(context, child, start, end)
        code = await child.wait()
    finally:
        watch.cancel()
        await _end(child)
    if code != 0:
        raise _reason(folder, code, watch)


async def _follow(
    context: Reporting, child: asyncio.subprocess.Process, start: float, end: float
) -> None:
    assert child.stdout is not None
    async for line in child.stdout:
        with suppress(orjson.JSONDecodeError, KeyError, TypeError):
            message = orjson.loads(line)
            context.report(message["phase"], start + (end - start) * message["fraction"])


async def _watch_memory(pid: int, limit: int) -> None:
    """End the child when its resident memory passes `limit`.

    Address space is no measure: numba and BLAS reserve gigabytes that they never touch.
    """
    statm = Path(f"/proc/{pid}/statm")
    while True:
        await asyncio.sleep(MEMORY_CHECK_S)
        try:
            resident = int(statm.read_text().split()[1]) * PAGE
        except (OSError, IndexError):
            return
        if resident > limit:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
            raise ChildCrashed(
                f"The computation took {resident / 2**20:.0f} MB, more than the "
                f"{limit / 2**20:.0f} MB it may (BAILIWICK_CHILD_MEMORY_BYTES), and was ended."
            )


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), GRACE_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _reason(folder: Path, code: int, watch: asyncio.Task[None]) -> ServiceError:
    if watch.done() and not watch.cancelled() and isinstance(watch.exception(), ChildCrashed):
        return ChildCrashed(str(watch.exception()))
    if code == EXIT_DISK_FULL:
        return WorkspaceFull(FULL)
    refused = folder / "error.json"
    if refused.exists():
        document = orjson.loads(refused.read_bytes())
        faults = [Fault(**fault) for fault in document["faults"]]
        return InvalidInput(document["detail"], faults)
    last = (folder / "stderr.txt").read_text(errors="replace").strip().splitlines()[-1:]
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return ChildCrashed(f"The computation ended by {how}: {' '.join(last)[:300]}")


def _environment(context: Reporting) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
    home = context.settings.home.absolute()
    caches = {
        "NUMBA_CACHE_DIR": str(home / "numba-cache"),
        "MPLCONFIGDIR": str(home / "matplotlib-cache"),
    }
    # One core per child: two children share two cores better than four threads do.
    return {**kept, **caches, "OMP_NUM_THREADS": "1", "PYTHONPATH": _root()}


def _root() -> str:
    return str(Path(__file__).parents[2])
