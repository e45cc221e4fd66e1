"""Commands that wait for a run: the bar of a terminal, silence for scripts, Ctrl-C."""

import asyncio
import fcntl
import itertools
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest

from app.db.session import Database
from app.jobs.queue import enqueue
from app.settings import Settings
from tests.jobs.conftest import run_of
from tests.jobs.processes import environment, process

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")
# What `bailiwick design` does once its run is in the queue, for a run of the tests.
WAIT = """
import sys
from app import worker
from app.cli.session import print_json, wait_for, with_database
from tests.jobs.creeping_worker import creep

worker.HANDLERS["creep"] = creep
run_id, is_quiet = int(sys.argv[1]), sys.argv[2:] == ["--json"]
print_json(with_database(lambda *both: wait_for(*both, run_id, is_quiet=is_quiet)))
"""


async def _creeping(database: Database, seconds: float) -> int:
    async with database.writing() as session:
        return (await enqueue(session, "creep", {"seconds": seconds}, "me")).id


class Terminal:
    """A command in a terminal of 100 columns, and what it showed when."""

    def __init__(self, settings: Settings, *words: str) -> None:
        self._reading, writing = pty.openpty()
        fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WAIT, *words],
            env=environment(settings, TERM="xterm-256color"),
            stdin=writing, stdout=writing, stderr=writing, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(writing)
        self.shown: list[tuple[float, str]] = []

    @property
    def text(self) -> str:
        return "".join(part for _, part in self.shown)

    def watch(self, until: Callable[[str], bool] = lambda _: False, timeout_s: float = 30) -> int:
        """Read until the command ends or `until` holds; return the exit status, or -1."""
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            if until(self.text):
                return -1
            if select.select([self._reading], [], [], 0.1)[0]:
                try:
                    part = os.read(self._reading, 65536)
                except OSError:  # the other side is closed
                    return self.process.wait(timeout=10)
                self.shown.append((time.monotonic(), CONTROL.sub(b"", part).decode()))
        raise TimeoutError(self.text)

    def press_ctrl_c(self) -> None:
        """Do what the key does: the terminal sends SIGINT to its whole foreground group."""
        os.write(self._reading, b"\x03")


async def test_a_terminal_shows_phase_and_percentage_at_least_every_second(
    database: Database, settings: Settings
) -> None:
    terminal = Terminal(settings, str(await _creeping(database, 4)))

    assert await asyncio.to_thread(terminal.watch) == 0, terminal.text

    shares = [int(share) for share in re.findall(r"creeping.*?(\d+)%", terminal.text)]
    assert shares == sorted(shares)
    assert len(set(shares)) >= 5, shares
    assert "done" in terminal.text
    assert '"answer": 42' in terminal.text
    creeping = [at for at, part in terminal.shown if "creeping" in part]
    gaps = [after - before for before, after in itertools.pairwise(creeping)]
    assert max(gaps) < 1, gaps


async def test_with_json_a_terminal_shows_nothing_but_the_result(
    database: Database, settings: Settings
) -> None:
    terminal = Terminal(settings, str(await _creeping(database, 0.3)), "--json")

    assert await asyncio.to_thread(terminal.watch) == 0, terminal.text

    assert terminal.text.split() == ["{", '"answer":', "42", "}"]


@pytest.mark.parametrize("words", [[], ["--json"]])
async def test_without_a_terminal_there_is_no_bar(
    database: Database, settings: Settings, words: list[str]
) -> None:
    run_id = await _creeping(database, 0.3)

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", WAIT, str(run_id), *words],
        env=environment(settings), capture_output=True, text=True, timeout=30,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["{", '"answer":', "42", "}"]
    assert done.stderr == ""


@pytest.mark.parametrize("has_worker", [True, False], ids=["a worker's", "its own"])
async def test_ctrl_c_cancels_the_run_and_says_so(
    database: Database, settings: Settings, has_worker: bool
) -> None:
    if has_worker:
        with process(settings, "tests.jobs.creeping_worker"):
            await _check_ctrl_c(database, settings)
    else:
        await _check_ctrl_c(database, settings)


async def _check_ctrl_c(database: Database, settings: Settings) -> None:
    run_id = await _creeping(database, 60)
    terminal = Terminal(settings, str(run_id))
    await asyncio.to_thread(terminal.watch, lambda shown: "creeping" in shown)

    started = time.monotonic()
    terminal.press_ctrl_c()
    status = await asyncio.to_thread(terminal.watch)

    assert status not in (0, -1)
    assert f"Cancelling run {run_id}" in terminal.text
    assert f"Run {run_id} has been cancelled." in terminal.text
    run = await run_of(database, run_id)
    assert (run.state, run.error) == ("cancelled", None)
    said = next(at for at, part in terminal.shown if "has been cancelled" in part)
    # A second for the worker, the rest for this process to hear of it.
    assert said - started < 2
