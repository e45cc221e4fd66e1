"""One deployment for the documents and the page, which use the same sample data."""

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment, deploy


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    with deploy() as running:
        yield running
