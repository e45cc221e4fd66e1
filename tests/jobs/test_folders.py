"""Temporary folders of computations: gone afterwards, and those of the dead as well."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.jobs.folders import PREFIX, remove_abandoned_folders, work_folder

DIE_AT_WORK = """
import asyncio, os
from app.jobs.folders import work_folder

async def main():
    async with work_folder() as folder:
        (folder / "upload").write_text("names and places of people")
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


async def test_a_work_folder_is_gone_afterwards(temporary_folder: Path) -> None:
    async with work_folder() as folder:
        (folder / "file.txt").write_text("x")
        assert folder.parent == temporary_folder

    assert not folder.exists()


async def test_the_folder_of_a_killed_worker_is_removed_and_no_other(
    temporary_folder: Path,
) -> None:
    subprocess.run([sys.executable, "-c", DIE_AT_WORK], check=False)
    assert len(list(temporary_folder.glob(f"{PREFIX}*/upload"))) == 1
    stranger = temporary_folder / f"{PREFIX}of-somebody-else"
    stranger.mkdir()

    async with work_folder() as mine:
        assert await remove_abandoned_folders() == 1
        assert mine.exists()

    assert list(temporary_folder.iterdir()) == [stranger]
