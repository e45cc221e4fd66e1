"""The product itself, started as an operator would: a private cluster, an API and a worker."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

COMPILED = Path(__file__).parents[2] / ".bailiwick" / "numba-cache"
# A busy machine takes minutes.
READY_WITHIN_S = 300.0
POLL_S = 0.5
# A statement of the naive kind takes minutes at five million customers.
RUN_WITHIN_S = 7200.0


@dataclass(slots=True)
class Service:
    """A running API with the key of an admin; `peak_mb` is the largest process of the worker."""

    home: Path
    url: str
    key: str
    worker_pid: int
    peak_mb: float = 0.0
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=600)

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Return the answer.

        Raises
        ------
        RuntimeError
            When it is a refusal; its text says why.
        """
        answer = self._client.request(method, path, **content)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer

    def finish(self, accepted: httpx.Response) -> dict[str, Any]:
        """Wait until the run of an answer 202 has succeeded; return it."""
        address = accepted.headers["Location"]
        give_up = time.monotonic() + RUN_WITHIN_S
        while time.monotonic() < give_up:
            run: dict[str, Any] = self.ask("GET", address).json()
            if run["state"] == "succeeded":
                return run
            if run["state"] in ("failed", "cancelled"):
                raise RuntimeError(f"{run['kind']} {run['state']}: {run['error']}")
            time.sleep(POLL_S)
        raise RuntimeError(f"{address} does not end")

    @contextmanager
    def watching_memory(self) -> Iterator[None]:
        """Note the largest resident size of the worker and what it starts, ten times a second."""
        is_over = threading.Event()
        self.peak_mb = 0.0

        def watch() -> None:
            while not is_over.wait(0.1):
                self.peak_mb = max(self.peak_mb, *map(_resident_mb, _family(self.worker_pid)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()


@contextmanager
def service(
    home: Path | None, port: int | None = None, tile_memory_mb: int = 0
) -> Iterator[Service]:
    """Start everything in `home`, or in a folder that is removed afterwards.

    By default no drawn tile is kept: a few tiles asked for in turn would all be.
    """
    folder = home or Path(tempfile.mkdtemp(prefix="bailiwick-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    # What `make setup` has compiled; not everything that is measured is a compiler.
    if COMPILED.is_dir() and not (folder / "numba-cache").exists():
        (folder / "numba-cache").symlink_to(COMPILED)
    port = port or _free_port()
    environment = {
        **os.environ,
        "BAILIWICK_HOME": str(folder),
        "BAILIWICK_PORT": str(port),
        "BAILIWICK_LOG_LEVEL": "info",
        "BAILIWICK_TILE_MEMORY_MB": str(tile_memory_mb),
    }
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in (("db", "up"), ("db", "upgrade")):
            subprocess.run(_bailiwick(*command), env=environment, check=True, capture_output=True)
        make = subprocess.run(
            _bailiwick("keys", "create", "bench", "--role", "admin"),
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        with (folder / "bench.log").open("ab") as log:
            for name in ("serve", "worker"):
                running.append(
                    subprocess.Popen(_bailiwick(name), env=environment, stdout=log, stderr=log)
                )
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url)
            yield Service(folder, url, make.stdout.split()[-1], running[1].pid)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)
        subprocess.run(_bailiwick("db", "down"), env=environment, capture_output=True)
        if home is None:
            shutil.rmtree(folder, ignore_errors=True)


def _bailiwick(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "app", *arguments]


def _wait_until_ready(url: str) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(POLL_S)
    raise RuntimeError("the service does not get ready")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _family(pid: int) -> list[int]:
    """Return a process and all below it that live now."""
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except FileNotFoundError:
            continue
        found += map(int, children.split())
    return found


def _resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(sizes[0]) / 1024 if sizes else 0.0
