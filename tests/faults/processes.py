"""Processes to be injured: each has its own working, home and temporary folder and shares only the
database with the others."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from app.jobs.folders import PREFIX
from tests.conftest import REPOSITORY
from tests.e2e.deployment import free_port

KERNELS = REPOSITORY / ".bailiwick" / "numba-cache"
STOP_WITHIN_S = 40.0


class Process:
    """`python -m …`, started again and again in the same folders."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.folder = folder
        self.words = words
        self._environment = environment
        self._running: subprocess.Popen[bytes] | None = None
        for name in ("cwd", "home", "tmp"):
            (folder / name).mkdir(parents=True)
        # Compiled kernels are part of the installed code, not of what the processes share.
        KERNELS.mkdir(parents=True, exist_ok=True)
        (folder / "home" / "numba-cache").symlink_to(KERNELS)

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    @property
    def temporary_folder(self) -> Path:
        return self.folder / "tmp"

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        environment = os.environ | {
            "BAILIWICK_HOME": str(self.folder / "home"),
            "BAILIWICK_AUTH": "off",
            "BAILIWICK_LOG_LEVEL": "info",
            "TMPDIR": str(self.temporary_folder),
            "PYTHONPATH": str(REPOSITORY),
            **self._environment,
        }
        with (self.folder / "log.txt").open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-m", *self.words],
                env=environment, cwd=self.folder / "cwd", stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def send(self, number: signal.Signals) -> None:
        assert self._running is not None
        self._running.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does, and see it gone."""
        self.send(signal.SIGKILL)
        self.wait(STOP_WITHIN_S)

    def stop(self) -> float:
        """Ask it to stop; return how many seconds that took."""
        if not self.is_alive:
            return 0.0
        started = time.monotonic()
        self.send(signal.SIGTERM)
        try:
            self.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not stop\n{self.log[-4000:]}") from None
        return time.monotonic() - started

    def wait(self, timeout_s: float) -> int:
        assert self._running is not None
        return self._running.wait(timeout_s)

    def children(self) -> list[int]:
        """Return the pids of the processes it has started and that live."""
        try:
            words = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [int(word) for word in words]

    def remove(self) -> None:
        self.send(signal.SIGCONT)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Api(Process):
    """One API process on a port of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        port = free_port()
        super().__init__(folder, "app", "serve", BAILIWICK_PORT=str(port), **environment)
        self.url = f"http://127.0.0.1:{port}"

    def wait_until_ready(self, timeout_s: float = 120.0) -> float:
        """Wait until it says that it is ready; return how long that took."""
        started = time.monotonic()
        # One client: each new one reads the system's certificates, which takes time from the API.
        with httpx.Client(base_url=self.url, timeout=2) as client:
            while not self._is_ready(client):
                waited_s = time.monotonic() - started
                assert waited_s < timeout_s, f"not ready after {waited_s:.1f} s\n{self.log[-4000:]}"
                time.sleep(0.05)
        return time.monotonic() - started

    def _is_ready(self, client: httpx.Client) -> bool:
        try:
            return client.get("/readyz").is_success
        except httpx.TransportError:
            return False


class Worker(Process):
    """One worker process."""

    def __init__(self, folder: Path, module: str = "app", **environment: str) -> None:
        words = (module, "worker") if module == "app" else (module,)
        super().__init__(folder, *words, **environment)

    @property
    def is_busy(self) -> bool:
        """Whether it computes something now: each computation has a folder."""
        return any(self.temporary_folder.glob(f"{PREFIX}*"))
