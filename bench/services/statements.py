"""The SQL that the service sends, for pgbench to run without the service."""

import asyncio
import re
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg

from app.db.access import Access
from app.db.glance import Glance
from app.db.prepared import Prepared
from app.db.programs import Programs
from app.settings import Settings

Reading = Callable[[Glance], Awaitable[Any]]
OPTIONS = "-c search_path=public,jobs -c jit=off -c max_parallel_workers_per_gather=0"


def statements_of(settings: Settings, readings: list[Reading]) -> list[str]:
    """Return the longest statement each reading sends, its values written into it."""
    return asyncio.run(_statements_of(settings, readings))


class _Noting(Glance):
    """Notes what is sent."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection, {})
        self.sent: list[tuple[str, Any]] = []

    async def all(self, statement: Prepared, **given: Any) -> list[tuple[Any, ...]]:
        self.sent.append((statement.text, statement.values(given)))
        return await super().all(statement, **given)


async def _statements_of(settings: Settings, readings: list[Reading]) -> list[str]:
    found = []
    conninfo = Access.of(settings).conninfo
    async with await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, options=OPTIONS
    ) as connection:
        writer = psycopg.AsyncClientCursor(connection)
        for reading in readings:
            noting = _Noting(connection)
            await reading(noting)
            statement, values = max(noting.sent, key=lambda one: len(one[0]))
            written = writer.mogrify(statement.encode(), values)
            # pgbench takes a line of `--` as a comment of its own, and `:name` as a variable.
            lines = (re.sub(r"--.*", "", line) for line in written.splitlines())
            found.append(" ".join(line.strip() for line in lines if line.strip()))
    return found


def pgbench(settings: Settings, statements: list[str], seconds: int, clients: int) -> float:
    """Return how many of the statements a second the database answers by itself."""
    with tempfile.TemporaryDirectory(prefix="bailiwick-pgbench-") as folder:
        arguments = []
        for number, statement in enumerate(statements):
            path = Path(folder) / f"{number}.sql"
            path.write_text(f"{statement};\n")
            arguments += ["-f", str(path)]
        done = subprocess.run(
            [
                str(Programs.of(settings).folder / "pgbench"), "-n", "-M", "prepared",
                "-c", str(clients), "-j", "1", "-T", str(seconds), *arguments,
                Access.of(settings).conninfo,
            ],
            capture_output=True, text=True, check=True, env={"PGOPTIONS": OPTIONS},
        )  # fmt: skip
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench says no rate: {done.stdout} {done.stderr}")
    return float(found[1])
