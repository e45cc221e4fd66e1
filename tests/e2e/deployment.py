"""The product as its operator starts it: cluster, API and worker as real processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).parents[2]
READY_WITHIN_S = 60


@dataclass(frozen=True)
class Deployment:
    """Processes that share a database and nothing else."""

    folder: Path
    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "BAILIWICK_HOME": str(self.folder / "home"),
            "BAILIWICK_AUTH": "off",
            "BAILIWICK_PORT": str(self.port),
            "BAILIWICK_LOG_LEVEL": "warning",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def command(self, *words: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
        """Run `bailiwick …` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "app", *words],
            env=self.environment, cwd=cwd, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.client.get(f"{self.url}{path}", params=params or None)

    def post(self, path: str, document: Any) -> httpx.Response:
        return self.client.post(f"{self.url}{path}", json=document)

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up:
            try:
                if self.get("/readyz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError("the API was not ready")

    @contextmanager
    def process(self, command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a long-running command in a working folder of its own."""
        folder = self.folder / f"cwd-{command}"
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "app", command], env=self.environment, cwd=folder
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=40)


@contextmanager
def deploy() -> Iterator[Deployment]:
    """Start a deployment of its own, with empty tables; end it without leaving anything."""
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-e2e-"))
    folder.chmod(0o755)
    kernels = REPOSITORY / ".bailiwick" / "numba-cache"
    kernels.mkdir(parents=True, exist_ok=True)
    (folder / "home").mkdir()
    (folder / "home" / "numba-cache").symlink_to(kernels)
    deployment = Deployment(folder, free_port(), httpx.Client(timeout=60))
    try:
        for words in (("db", "up"), ("db", "upgrade")):
            done = deployment.command(*words)
            assert done.returncode == 0, done.stderr
        with deployment.process("serve"), deployment.process("worker"):
            deployment.wait_until_ready()
            yield deployment
    finally:
        deployment.client.close()
        deployment.command("db", "down")
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
