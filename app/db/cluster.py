"""A private PostgreSQL with PostGIS on a unix socket: make, start, stop, look at.

TCP is off and the socket folder is open to its owner only, so connections need no password.
"""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from app.db.places import SOCKET_NAME, Places, find_places
from app.errors import SetupError

ADMIN_ROLE = "bailiwick_admin"
OWNER_ROLE = "bailiwick_owner"
APPLICATION_ROLE = "bailiwick"
# Reads the views of the schema `ogc` and nothing else.
OGC_ROLE = "bailiwick_ogc"
DATABASE = "bailiwick"
OGC_CONNECTIONS = 20
OGC_DEFAULTS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5s",
    "search_path": "ogc, public",
}
START_TIMEOUT_S = 60
SESSIONS_END_WITHIN_S = 10
SESSIONS_LEFT = "pre-existing shared memory block"
# Above every pid that Linux gives (2^22): a process that certainly does not exist.
NO_PID = 2**30

CONFIGURATION = """
# Written by bailiwick; edits are lost when the cluster is made anew.
listen_addresses = ''
unix_socket_directories = '"{socket}"'
unix_socket_permissions = 0700
fsync = on
full_page_writes = on
jit = off
max_connections = 100
shared_buffers = {shared_buffers_mb}MB
work_mem = 32MB
maintenance_work_mem = 256MB
max_wal_size = 8GB
random_page_cost = 1.1
# Two parallel workers made a 5 ms query take 50 ms on two cores (research: infra 2.3).
max_parallel_workers_per_gather = 0
log_min_messages = warning
# Details of errors name the values that clash: people's names and ids.
log_error_verbosity = terse
timezone = 'UTC'
"""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """What `bailiwick db status` reports of a private cluster."""

    is_made: bool
    is_running: bool
    pid: int | None
    data: Path
    socket: Path
    is_relocated: bool


class Cluster:
    """The private cluster below one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.places: Places = find_places(self.home)

    def url(self, role: str = APPLICATION_ROLE) -> str:
        """Return the SQLAlchemy URL of the database for `role`."""
        return f"postgresql+psycopg://{role}@/{DATABASE}?host={quote(str(self.places.socket))}"

    def up(self) -> ClusterStatus:
        """Make the cluster if needed and start it; harmless when it runs already.

        Raises
        ------
        SetupError
            When PostgreSQL cannot be initialised or started, with the end of its log.
        """
        with self._lock():
            if not (self.places.data / "PG_VERSION").exists():
                self._make()
            if not self._is_running():
                self._release_stale_locks()
                self._start()
            self._provision()
        return self.status()

    def down(self) -> bool:
        """Stop the cluster; return whether it was running."""
        with self._lock():
            if not self._is_running():
                return False
            self._run("stop", "pg_ctl", "-D", self.places.data, "-m", "fast", "-w", "-s", "stop")
            return True

    def status(self) -> ClusterStatus:
        """Return whether the cluster exists and runs, and where."""
        return ClusterStatus(
            is_made=(self.places.data / "PG_VERSION").exists(),
            is_running=self._is_running(),
            pid=self._pid() if self._is_running() else None,
            data=self.places.data,
            socket=self.places.socket,
            is_relocated=self.places.is_relocated,
        )

    def _make(self) -> None:
        self._make_folder(self.places.base)
        if self.places.user:
            shutil.chown(self.places.base, self.places.user, self.places.user)
        # Made beside its place and moved there when it is whole: an initdb that was killed leaves a
        # folder that looks finished.
        unfinished = self.places.data.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        self._run(
            "initialise", "initdb", "-D", unfinished, "-U", ADMIN_ROLE, "--auth=trust",
            "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions",
        )  # fmt: skip
        unfinished.rename(self.places.data)

    def _start(self) -> None:
        self._make_folder(self.places.socket)
        self._own(self.places.socket)
        self._write_configuration()
        give_up = time.monotonic() + SESSIONS_END_WITHIN_S
        while True:
            try:
                self._run(
                    "start", "pg_ctl", "-D", self.places.data, "-l", self.places.log,
                    "-w", "-s", "-t", START_TIMEOUT_S, "start",
                )  # fmt: skip
                return
            except SetupError as error:
                # Of a server that was killed, sessions may still be about to notice.
                if SESSIONS_LEFT not in str(error) or time.monotonic() > give_up:
                    raise
            time.sleep(0.3)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder that the system user can reach, whatever the caller's umask."""
        for path in (*reversed(folder.parents), folder):
            if not path.exists():
                path.mkdir(exist_ok=True)
                if self.places.user:
                    path.chmod(0o711)

    def _own(self, folder: Path) -> None:
        if self.places.user:
            shutil.chown(folder, self.places.user, self.places.user)
        folder.chmod(0o700)

    def _write_configuration(self) -> None:
        text = CONFIGURATION.format(
            socket=self.places.socket, shared_buffers_mb=_shared_buffers_mb()
        )
        path = self.places.data / "bailiwick.conf"
        path.write_text(text)
        main = self.places.data / "postgresql.conf"
        line = "include = 'bailiwick.conf'\n"
        if line not in main.read_text():
            with main.open("a") as file:
                file.write(line)
        if self.places.user:
            shutil.chown(path, self.places.user, self.places.user)

    def _provision(self) -> None:
        """Create roles, database and extensions where they are missing."""
        with self._admin("postgres") as connection:
            for role in (OWNER_ROLE, APPLICATION_ROLE, OGC_ROLE):
                if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                    connection.execute(
                        sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER").format(sql.Identifier(role))
                    )
            _restrict_ogc(connection)
            if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(OWNER_ROLE)
                    )
                )
        with self._admin(DATABASE) as connection:
            for extension in ("postgis", "btree_gist"):
                connection.execute(
                    sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension))
                )

    def _admin(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.places.socket), user=ADMIN_ROLE, dbname=database, autocommit=True
        )

    def _pid(self) -> int | None:
        try:
            return int((self.places.data / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return None

    def _is_running(self) -> bool:
        pid = self._pid()
        return pid is not None and self._is_our_server(pid)

    def _is_our_server(self, pid: int) -> bool:
        """Tell a living server of ours from a process that got the pid of a dead one.

        By its command line: the working folder of another user's process is hidden from root in a
        container, and taking a living server for a dead one would cost the data.
        """
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        folders = [Path(os.fsdecode(word)) for flag, word in pairwise(words) if flag == b"-D"]
        return self.places.data.resolve() in [folder.resolve() for folder in folders]

    def _release_stale_locks(self) -> None:
        """Release the locks of a crashed server whose pid now belongs to someone else.

        PostgreSQL itself clears them when the pid is free, but refuses to start when it is taken.
        Its own file stays, with a pid that is free: by the shared memory named there PostgreSQL
        knows that sessions of the dead server are writing still.
        """
        (self.places.socket / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
        file = self.places.data / "postmaster.pid"
        if self._pid() is None:
            file.unlink(missing_ok=True)
        else:
            lines = file.read_text().split("\n")
            file.write_text("\n".join([str(NO_PID), *lines[1:]]))

    def _run(self, what: str, program: str, *words: str | Path | int) -> None:
        command = self.places.command(self.places.binaries / program, *map(str, words))
        # The server must not inherit a pipe: reading it to its end would wait for the server.
        with (self.home / "bailiwick-db.log").open("ab") as log:
            done = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SetupError(f"PostgreSQL did not {what}:\n{self._last_words()}")

    def _last_words(self) -> str:
        lines: list[str] = []
        for path in (self.home / "bailiwick-db.log", self.places.log):
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-10:]
        return "\n".join(lines)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._make_folder(self.home)
        with (self.home / "cluster.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _restrict_ogc(connection: psycopg.Connection) -> None:
    role = sql.Identifier(OGC_ROLE)
    connection.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(role, OGC_CONNECTIONS))
    for name, value in OGC_DEFAULTS.items():
        # The words of a search path are identifiers, which quotes would make one.
        words = sql.SQL(", ").join(map(sql.Literal, value.split(", ")))
        connection.execute(
            sql.SQL("ALTER ROLE {} SET {} TO {}").format(role, sql.Identifier(name), words)
        )


def _exists(connection: psycopg.Connection, statement: str, value: str) -> bool:
    return connection.execute(statement.encode(), (value,)).fetchone() is not None


def _shared_buffers_mb() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return max(128, min(2048, total // 12))
