"""`bailiwick demo`, which is what `make run` starts: up, filled, stopped, and up again."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.deployment import REPOSITORY, free_port

READY_WITHIN_S = 240


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-demo-"))
    folder.chmod(0o755)
    (folder / "numba-cache").symlink_to(REPOSITORY / ".bailiwick" / "numba-cache")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(home: Path, port: int) -> tuple[subprocess.Popen[str], str]:
    """Start the demo and return it with what it printed until it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "app", "demo"],
        env=os.environ | {"BAILIWICK_HOME": str(home), "BAILIWICK_PORT": str(port)},
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process, _printed_until_ready(process)
    except BaseException:
        stop(process)
        raise


def _printed_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    printed, give_up = "", time.monotonic() + READY_WITHIN_S
    while "Ctrl-C" not in printed:
        line = process.stdout.readline()
        assert line, f"the demo ended early:\n{printed}"
        assert time.monotonic() < give_up, printed
        printed += line
    return printed


def stop(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C: the signal goes to the whole foreground group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)


def processes_of(home: Path) -> list[str]:
    """Return the command lines of processes that work in or for this home."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            surroundings = (path / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(path.name) != os.getpid() and (str(home) in command or str(home) in surroundings):
            found.append(command)
    return found


def test_the_demo_starts_stops_and_starts_again_with_its_data(home: Path) -> None:
    port = free_port()
    process, printed = start(home, port)
    try:
        addresses = re.findall(r'curl "([^"]+)"', printed)
        assert len(addresses) == 3
        for address in addresses:
            answer = httpx.get(address, timeout=30)
            assert answer.status_code == 200
            assert answer.json().get("items") or answer.json().get("features")
        page = httpx.get(f"http://127.0.0.1:{port}/", timeout=30)
        assert page.status_code == 200
        assert "text/html" in page.headers["content-type"]
    finally:
        stop(process)
    assert processes_of(home) == []

    started = time.monotonic()
    process, printed = start(home, port)
    try:
        assert time.monotonic() - started < 60
        assert "Importing" not in printed
        customers = httpx.get(f"http://127.0.0.1:{port}/v1/customers?limit=1", timeout=30).json()
        assert customers["items"]
    finally:
        stop(process)
    assert processes_of(home) == []
