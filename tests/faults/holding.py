"""Holding something in the database from outside, so that a run stops at a known place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.faults.harness import Site, wait_for

TURN, FOLD = 7236443, 7236442
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@contextmanager
def held(site: Site, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Keep what a statement locks until the block ends."""
    with site.connected() as connection:
        with connection.transaction():
            connection.execute(statement.encode())
            yield connection


def wait_until_waiting(site: Site, at_least: int = 1, timeout_s: float = 60.0) -> None:
    """Wait until somebody waits for a lock."""
    wait_for(lambda: site.value(WAITING) >= at_least, timeout_s, f"{at_least} wait for a lock")
