"""One deployment for the documents and the page, which use the same sample data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment, deploy

HERE = Path(__file__).parent
# Whole documents, command by command, and designs of a continent: minutes on a slow machine.
AT_MOST_S = 650


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(AT_MOST_S))


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    with deploy() as running:
        yield running
