"""Servers and workers as real processes on the database of the tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg

from app.db.access import Access
from app.settings import Settings
from tests.conftest import REPOSITORY
from tests.e2e.deployment import free_port
from tests.faults.harness import NEWEST_WORKER


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Return the surroundings of a process of ours."""
    return os.environ | {
        "BAILIWICK_HOME": str(settings.home),
        "BAILIWICK_AUTH": "off",
        "BAILIWICK_LOG_LEVEL": "warning",
        "PYTHONPATH": str(REPOSITORY),
        **more,
    }


@contextmanager
def process(settings: Settings, *words: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m …` until the block ends."""
    running = subprocess.Popen([sys.executable, "-m", *words], env=environment(settings, **more))
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(timeout=30)
        except subprocess.TimeoutExpired:
            running.kill()
            raise


@contextmanager
def worker(settings: Settings, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker, from when it takes runs until the block ends.

    Only then can a test tell how long a run takes: to start a worker takes seconds of its own.
    """
    with (
        process(settings, "app", "worker", **more) as running,
        psycopg.connect(Access.of(settings).conninfo, autocommit=True) as connection,
    ):
        (known,) = connection.execute(NEWEST_WORKER).fetchone() or (0,)
        give_up = time.monotonic() + 60
        while connection.execute(NEWEST_WORKER).fetchone() == (known,):
            assert running.poll() is None, "the worker ended"
            assert time.monotonic() < give_up, "the worker did not start"
            time.sleep(0.05)
        yield running


@contextmanager
def server(settings: Settings, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve the API; give the process and its address."""
    port = free_port()
    with process(settings, "app", "serve", BAILIWICK_PORT=str(port), **more) as running:
        address = f"http://127.0.0.1:{port}"
        give_up = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{address}/readyz", timeout=5).raise_for_status()
                break
            except httpx.TransportError:
                assert time.monotonic() < give_up, "the API was not ready"
                time.sleep(0.05)
        yield running, address
