"""Plain connections, for what is the database's own doing."""

from collections.abc import Iterator

import psycopg
import pytest

from app.db.access import Access
from app.settings import Settings


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection in the application's role, in a transaction that is rolled back."""
    with psycopg.connect(Access.of(settings).conninfo) as connection:
        yield connection
        connection.rollback()
