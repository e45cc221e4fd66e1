"""A deployment of its own (PostgreSQL, API and worker processes) and the ways to injure it."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from app.db.access import Access
from app.db.cluster import ADMIN_ROLE, DATABASE, OWNER_ROLE, Cluster
from app.db.migrate import upgrade
from app.errors import SetupError
from app.settings import Settings
from tests.faults.processes import Api, Worker

POLL_S = 0.05
NEWEST_WORKER = "SELECT coalesce(max(id), 0) FROM jobs.procrastinate_workers"
Answer = TypeVar("Answer")


def wait_for(question: Callable[[], Answer], timeout_s: float, what: str) -> Answer:
    """Ask until the answer is true; return it."""
    give_up = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < give_up, f"not within {timeout_s} s: {what}"
        time.sleep(POLL_S)
    return answer


@dataclass
class Site:
    """Processes that share a database and nothing else."""

    folder: Path
    cluster: Cluster
    settings: Settings
    apis: list[Api] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    _n_started: int = 0

    def add_api(self, **environment: str) -> Api:
        """Start one more API; it may not be ready yet."""
        api = Api(self._new_folder("api"), **self._access(), **environment)
        self.apis.append(api)
        api.start()
        return api

    def add_worker(self, module: str = "app", **environment: str) -> Worker:
        """Start one more worker; it may not take runs yet."""
        worker = Worker(self._new_folder("worker"), module, **self._access(), **environment)
        self.workers.append(worker)
        worker.start()
        return worker

    def add_ready_worker(self, **environment: str) -> Worker:
        """Start one more worker and wait until it takes runs: to start takes seconds of its own."""
        known = self.value(NEWEST_WORKER)
        worker = self.add_worker(**environment)
        wait_for(lambda: self.value(NEWEST_WORKER) > known, 120, "a worker takes runs")
        return worker

    def _access(self) -> dict[str, str]:
        return {
            "BAILIWICK_DATABASE_URL": self.cluster.url(),
            "BAILIWICK_OWNER_DATABASE_URL": self.cluster.url(OWNER_ROLE),
        }

    def remove_processes(self) -> None:
        """Stop and remove every process; none is left to the next test when one does not stop."""
        with ExitStack() as stack:
            stack.callback(self.workers.clear)
            stack.callback(self.apis.clear)
            for process in (*self.workers, *self.apis):
                stack.callback(process.remove)

    # Looking

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection of the cluster's administrator."""
        with psycopg.connect(
            host=str(self.cluster.places.socket),
            user=ADMIN_ROLE,
            dbname=DATABASE,
            autocommit=True,
            options="-c search_path=public,jobs",
        ) as connection:
            yield connection

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            return connection.execute(statement.encode(), values or None).fetchall()

    def value(self, statement: str, *values: Any) -> Any:
        return self.rows(statement, *values)[0][0]

    # Injuring PostgreSQL

    def kill_postgres(self) -> None:
        """Kill the postmaster; its processes notice and end."""
        pid = self.cluster.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 10, "end of the postmaster")

    def start_postgres(self, timeout_s: float = 60.0) -> float:
        """Start PostgreSQL after a crash; return how long its recovery took."""
        started = time.monotonic()
        while True:
            try:
                # Sessions of the dead server may still be on their way out.
                self.cluster.up()
                return time.monotonic() - started
            except (SetupError, psycopg.OperationalError):
                assert time.monotonic() - started < timeout_s
                time.sleep(POLL_S)

    def kill_backend(self, pid: int) -> None:
        """Kill one session: PostgreSQL ends all of them and recovers by itself."""
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 10, "end of the session")

    def wait_for_postgres(self, timeout_s: float = 60.0) -> float:
        """Wait until PostgreSQL takes connections again; return how long that took."""
        started = time.monotonic()
        wait_for(self._takes_connections, timeout_s, "PostgreSQL takes connections")
        return time.monotonic() - started

    def _takes_connections(self) -> bool:
        try:
            return bool(self.value("SELECT 1"))
        except psycopg.OperationalError:
            return False

    def _new_folder(self, kind: str) -> Path:
        self._n_started += 1
        return self.folder / f"{kind}-{self._n_started}"


@contextmanager
def site() -> Iterator[Site]:
    """Make a migrated, empty deployment without processes; remove everything afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-faults-"))
    # PostgreSQL runs as another user.
    folder.chmod(0o755)
    settings = Settings(home=folder / "database", auth="off", log_format="console")
    cluster = Cluster(settings.home)
    made = Site(folder, cluster, settings)
    try:
        cluster.up()
        access = Access.of(settings)
        upgrade(access.owner_url, access.url.username)
        yield made
    finally:
        made.remove_processes()
        cluster.down()
        shutil.rmtree(folder, ignore_errors=True)
