"""A started server whose memory, life and tables are watched while it is sent anything at all."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from app.db.tables import Base
from tests.inputs.forms import FORM, form
from tests.inputs.wire import Answer, send

LONGEST_S = 0.5
MOST_KB_ABOVE_IDLE = 64 * 1024
# A machine that does other things as well may be slow once, hardly three times in a row.
TRIES = 3
RUN_WITHIN_S = 120.0
# A process that is just being made looks like its parent, in size as well.
CHILD = b"app.jobs.child_main"
# What a worker loads beside its work, once it has started.
LOADED_LAST = "sklearn/neighbors/"

TABLES = sorted(table.name for table in Base.metadata.sorted_tables)
COUNTS = text(
    " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in TABLES)
    + " UNION ALL SELECT 'jobs', count(*) FROM jobs.procrastinate_jobs"
)


@dataclass
class Standing:
    """A process of the service with what it had when it was idle."""

    pid: int
    address: str
    database: Connection
    idle_kb: int = 0

    def wait_until_loaded(self) -> None:
        """Wait until a worker has loaded what its first import would, and holds it."""
        give_up = time.monotonic() + 60
        held_kb = 0
        while LOADED_LAST not in Path(f"/proc/{self.pid}/maps").read_text() or held_kb != (
            held_kb := memory_kb(self.pid, "VmRSS")
        ):
            assert time.monotonic() < give_up, "the worker does not come to rest"
            time.sleep(1)

    def note_idle(self) -> None:
        """Take what the process holds now as its measure."""
        self.idle_kb = memory_kb(self.pid, "VmRSS")

    def row_counts(self) -> dict[str, int]:
        """Return how many rows each table has."""
        return {str(name): int(count) for name, count in self.database.execute(COUNTS).all()}

    def is_alive(self) -> bool:
        """Tell whether the same process still answers."""
        return Path(f"/proc/{self.pid}").exists() and self.send("GET", "/livez", {}).status == 200

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] = b"",
    ) -> Answer:
        return send(self.address, method, target, headers, body)


def memory_kb(pid: int, line: str) -> int:
    """Return `VmRSS` (now) or `VmHWM` (the most since the mark was reset) of a process."""
    for found in Path(f"/proc/{pid}/status").read_text().splitlines():
        if found.startswith(f"{line}:"):
            return int(found.split()[1])
    raise LookupError(f"process {pid} has no {line}")


def reset_peak(pid: int) -> None:
    """Let `VmHWM` count anew (proc(5): 5 into clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def places(problem: dict[str, Any]) -> list[str | None]:
    """Return the pointers of a problem."""
    return [fault.get("pointer") for fault in problem.get("errors", [])]


@dataclass
class Watch:
    """A process and the children it starts: what they hold at most, looked at 50 times a second."""

    pid: int
    idle_kb: int = 0
    idle_child_kb: int = 0
    largest_child_kb: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def wait_until_loaded(self) -> None:
        """Wait until a worker has loaded what its first import would, and holds it."""
        give_up = time.monotonic() + 60
        held_kb = 0
        while LOADED_LAST not in Path(f"/proc/{self.pid}/maps").read_text() or held_kb != (
            held_kb := memory_kb(self.pid, "VmRSS")
        ):
            assert time.monotonic() < give_up, "the worker does not come to rest"
            time.sleep(1)

    def note_idle(self) -> None:
        """Take what process and child have held so far as their measure."""
        self.idle_kb, self.idle_child_kb = memory_kb(self.pid, "VmRSS"), self.largest_child_kb
        self.forget()

    def forget(self) -> None:
        """Let the peaks count anew."""
        reset_peak(self.pid)
        self.largest_child_kb = 0

    def run(self) -> None:
        while not self._stop.wait(0.02):
            # A child may end while it is looked at.
            with suppress(OSError, LookupError):
                for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                    if CHILD in Path(f"/proc/{child}/cmdline").read_bytes():
                        held = memory_kb(int(child), "VmHWM")
                        self.largest_child_kb = max(self.largest_child_kb, held)

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def watching(pid: int) -> Iterator[Watch]:
    """Watch a process until the block ends."""
    watch = Watch(pid)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def import_file(
    standing: Standing,
    content: bytes | Iterable[bytes],
    filename: str = "file.csv",
    **fields: str,
) -> dict[str, Any]:
    """Have a file imported; return its run once it is over."""
    answer = standing.send("POST", "/v1/imports", FORM, form(content, filename, **fields))
    assert answer.status == 202, answer.body[:500]
    give_up = time.monotonic() + RUN_WITHIN_S
    while time.monotonic() < give_up:
        run = standing.send("GET", answer.headers["location"], {}).document
        if run["state"] not in ("queued", "running"):
            return run
        time.sleep(0.1)
    raise AssertionError(f"the import is still {run['state']}")
