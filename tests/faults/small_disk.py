"""Disks of a few megabytes, to be filled to the last byte."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.harness import Site

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
MEGABYTE = 2**20


@dataclass(frozen=True)
class SmallDisk:
    """A disk mounted at a folder."""

    folder: Path

    @property
    def _balloon(self) -> Path:
        return self.folder / "balloon"

    @property
    def free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free

    def fill(self) -> None:
        """Leave no byte free."""
        with self._balloon.open("ab", buffering=0) as balloon:
            for piece in (MEGABYTE, 4096, 1):
                _write_until_full(balloon.fileno(), bytes(piece))

    def make_room(self) -> None:
        """Give free what `fill` has taken."""
        self._balloon.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, n_megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk at a folder for as long as the block lasts."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={n_megabytes}m,mode=755", "tmpfs", folder], check=True
    )
    try:
        yield SmallDisk(folder)
    finally:
        # Whoever still holds a file there keeps the disk alive, not the folder.
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def on_small_disk(site: Site, part: str, n_megabytes: int) -> Iterator[SmallDisk]:
    """Move a folder of the cluster's data (`base`, `pg_wal`) to a disk with so much room left."""
    site.cluster.down()
    folder = site.cluster.places.data / part
    aside = site.folder / f"{part}-aside"
    folder.rename(aside)
    folder.mkdir()
    taken = sum(path.stat().st_blocks * 512 for path in aside.rglob("*"))
    try:
        with small_disk(folder, taken // MEGABYTE + n_megabytes) as disk:
            _copy(aside, folder)
            try:
                site.cluster.up()
                yield disk
            finally:
                disk.make_room()
                site.cluster.down()
                shutil.rmtree(aside)
                _copy(folder, aside)
    finally:
        folder.rmdir()
        aside.rename(folder)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--no-target-directory", source, target], check=True)


def _write_until_full(descriptor: int, piece: bytes) -> None:
    try:
        while True:
            os.write(descriptor, piece)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
