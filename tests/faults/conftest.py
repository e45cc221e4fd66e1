"""One deployment for all faults; each test starts with empty tables and its own processes."""

from collections.abc import Iterator

import pytest

from tests.conftest import remove_all_rows
from tests.faults.harness import Site, site, wait_for
from tests.faults.ledger import Ledger
from tests.faults.remains import sessions


@pytest.fixture(scope="package")
def database_site() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture
def empty_site(database_site: Site) -> Iterator[Site]:
    """A site with PostgreSQL only, without rows."""
    remove_all_rows(database_site.settings)
    yield database_site
    database_site.remove_processes()
    database_site.start_postgres()
    wait_for(lambda: sessions(database_site) == 0, 10, "no session is left")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()
