"""Entry point of a child process: `python -m app.jobs.child_main MODULE FOLDER PARENT_PID`."""

import ctypes
import importlib
import os
import signal
import sys
from pathlib import Path

import orjson

from app.errors import ServiceError, is_disk_full

PR_SET_PDEATHSIG = 1
# A third of the share of a process that answers somebody who waits, when both want the same core.
NICENESS = 5
# Said by the exit code: there is no room for a file that says it.
EXIT_DISK_FULL = 4


def main() -> None:
    """Run the module's `main(folder)`; a refusal is left in `error.json`."""
    module, folder, parent = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    die_with(parent)
    os.nice(NICENESS)
    try:
        importlib.import_module(module).main(folder)
    except ServiceError as error:
        faults = [fault.document() for fault in error.faults]
        (folder / "error.json").write_bytes(
            orjson.dumps({"detail": error.detail, "faults": faults})
        )
        sys.exit(3)
    except OSError as error:
        if is_disk_full(error):
            sys.exit(EXIT_DISK_FULL)
        raise


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that happens."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have gone before the call took effect.
    if os.getppid() != parent:
        sys.exit(1)


def report(phase: str, fraction: float) -> None:
    """Tell the worker how far this process is."""
    line = orjson.dumps({"phase": phase, "fraction": float(fraction)})
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
