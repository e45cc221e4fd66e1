"""Callers of every role, an issuer of tokens on loopback, and a verifier that trusts it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.auth.tokens import TokenVerifier
from app.db.session import Database
from app.settings import Settings
from tests.auth.clients import ClientAs, clients_of
from tests.auth.issuer import Issuer, running_issuer


@pytest.fixture
async def client_as(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    """Make a client that calls with a new key of the role asked for."""
    async with clients_of(settings, database) as make:
        yield make


@pytest.fixture
async def planner(client_as: ClientAs) -> httpx.AsyncClient:
    return await client_as("planner")


@pytest.fixture
async def admin(client_as: ClientAs) -> httpx.AsyncClient:
    return await client_as("admin")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
async def verifier(issuer: Issuer) -> AsyncIterator[TokenVerifier]:
    verifier = TokenVerifier.of(Settings(**issuer.settings()))
    assert verifier is not None
    yield verifier
    await verifier.close()
