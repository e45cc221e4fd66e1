"""From the start of an API to its first "ready": `python -m bench.starting`.

A killed API is to be ready again within ten seconds (issue 4) on a machine that is busy with what
the others do meanwhile. `--busy` processes that only count stand for them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from app.db.access import Access
from app.db.cluster import Cluster
from app.db.migrate import upgrade
from app.settings import Settings

COUNT = "while True: pass"
PORT = 8765
ADDRESS = f"http://127.0.0.1:{PORT}"


def measure(n_busy: int, repeats: int) -> list[float]:
    """Return the seconds until each start was ready; the first, which fills caches, is left out."""
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder))
        cluster.up()
        try:
            access = Access.of(Settings(home=Path(folder)))
            upgrade(access.owner_url, access.url.username)
            _start(folder)
            with _busy(n_busy):
                return [_start(folder) for _ in range(repeats)]
        finally:
            cluster.down()


def _start(home: str) -> float:
    """Start an API, wait until it is ready, and kill it."""
    surroundings = {"BAILIWICK_HOME": home, "BAILIWICK_AUTH": "off", "BAILIWICK_LOG_LEVEL": "error"}
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("bailiwick")), "serve", "--port", str(PORT)]
    api = subprocess.Popen(command, env=os.environ | surroundings)
    try:
        # One client: each new one reads the certificates of the system, which takes time itself.
        with httpx.Client(timeout=2) as client:
            while not _is_ready(client):
                assert api.poll() is None, "the API ended"
                time.sleep(0.05)
        return time.perf_counter() - started
    finally:
        api.kill()
        api.wait()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get(f"{ADDRESS}/readyz").is_success
    except httpx.TransportError:
        return False


@contextmanager
def _busy(n: int) -> Iterator[None]:
    counting = [subprocess.Popen([sys.executable, "-c", COUNT]) for _ in range(n)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=0, help="processes that keep a core each")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    seconds = measure(arguments.busy, arguments.repeats)
    median, slowest = statistics.median(seconds), max(seconds)
    if arguments.json:
        print(json.dumps({"busy": arguments.busy, "median_s": median, "slowest_s": slowest}))
    else:
        print(
            f"{arguments.busy} busy: ready after {median:.2f} s (median), {slowest:.2f} s (slowest)"
        )


if __name__ == "__main__":
    main()
