"""What the child processes of the tests do, by the word in their folder."""

import os
import signal
import sys
import time
from pathlib import Path

from app.errors import Fault, InvalidInput
from app.jobs.child_main import report


def main(folder: Path) -> None:
    """Do what `what.txt` says."""
    (folder / "pid.txt").write_text(str(os.getpid()))
    actions = {
        "compute": compute,
        "refuse": refuse,
        "fail": fail,
        "die": die,
        "swell": swell,
        "sleep": sleep,
        "look": look,
        "creep": creep,
        "yield": give_way,
    }
    actions[(folder / "what.txt").read_text()](folder)


def compute(folder: Path) -> None:
    """Report progress, print what is no progress, leave a result."""
    report("half", 0.5)
    sys.stdout.write("a library that chatters\n{}\n[]\n")
    report("all", 1)
    (folder / "result.txt").write_text("42")


def refuse(folder: Path) -> None:
    """Refuse the input."""
    raise InvalidInput("The region is empty.", [Fault("empty", "no cell in it", "/region")])


def fail(folder: Path) -> None:
    """Fail as nobody expected."""
    raise ZeroDivisionError("by nobody")


def die(folder: Path) -> None:
    """Crash as native code does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def swell(folder: Path) -> None:
    """Take 400 MB and keep them."""
    kept = bytearray(os.urandom(2**20) * 400)
    time.sleep(60)
    del kept


def sleep(folder: Path) -> None:
    """Do nothing for long."""
    time.sleep(60)


def creep(folder: Path) -> None:
    """Report a little more, again and again, for as long as `seconds.txt` says."""
    seconds, started = float((folder / "seconds.txt").read_text()), time.monotonic()
    while (part := (time.monotonic() - started) / seconds) < 1:
        report("creeping", part)
        time.sleep(0.02)


def give_way(folder: Path) -> None:
    """Leave how nice this process is."""
    (folder / "result.txt").write_text(str(os.nice(0)))


def look(folder: Path) -> None:
    """Leave what of the environment and the working folder can be seen."""
    names = sorted(name for name in os.environ if name.startswith("BAILIWICK_"))
    (folder / "result.txt").write_text(f"{names} {os.environ['OMP_NUM_THREADS']}")
