"""Temporary folders of computations, and the removal of those that a dead worker left behind."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog

from app.errors import WorkspaceFull, is_disk_full

log = structlog.get_logger()

PREFIX = "bailiwick-work-"
FULL = "There is no room for the files of the computation on the disk of the worker (TMPDIR)."
# Locked for as long as a living process uses the folder: the kernel lets go of it whenever that
# process ends, and unlike a process id it cannot come to mean another one.
LOCK = ".in-use"


@asynccontextmanager
async def work_folder() -> AsyncIterator[Path]:
    """Give a temporary folder for the files of one computation.

    Raises
    ------
    WorkspaceFull
        When there is no room for it, or for what is written in the block.
    """
    try:
        with _new_folder() as folder:
            yield folder
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise WorkspaceFull(FULL) from error


@contextmanager
def _new_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(descriptor)


async def remove_abandoned_folders() -> int:
    """Remove the folders whose worker was killed; return how many there were."""
    return await asyncio.to_thread(_remove_abandoned)


def _remove_abandoned() -> int:
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with _left_alone(folder) as is_left_alone:
            if is_left_alone:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    if removed:
        log.warning("abandoned_folders_removed", count=removed)
    return removed


@contextmanager
def _left_alone(folder: Path) -> Iterator[bool]:
    """Tell whether nobody uses a folder any more, and keep it so meanwhile."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        # It is being made or removed just now, or belongs to somebody else.
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
