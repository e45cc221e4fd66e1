"""Clients of every role who ask `/ogc`, and something for them to find."""

from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest

from app.db.session import Database
from app.settings import Settings
from tests.auth.clients import ClientAs, clients_of
from tests.auth.world import World, make_world
from tests.conftest import remove_all_rows
from tests.search.crowd import add_customers

N_CUSTOMERS = 230


@pytest.fixture
async def client_as(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    async with clients_of(settings, database) as make:
        yield make


@pytest.fixture
async def world(database: Database) -> World:
    """Two customers, two territories in force and two geofences."""
    return await make_world(database)


@pytest.fixture
async def planner(client_as: ClientAs) -> httpx.AsyncClient:
    return await client_as("planner")


@pytest.fixture
async def viewer(client_as: ClientAs) -> httpx.AsyncClient:
    return await client_as("viewer")


@pytest.fixture(scope="module")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A planner's client; every customer, territory and geofence of the module is there."""
    remove_all_rows(settings)
    database = Database.of(settings)
    await make_world(database)
    random = np.random.default_rng(7)
    days = [None, *map(int, random.integers(0, 900, N_CUSTOMERS - 1))]
    lon, lat = random.uniform(-180, 180, N_CUSTOMERS), random.uniform(-80, 80, N_CUSTOMERS)
    await add_customers(database, lon, lat, last_visit_days=days)
    async with clients_of(settings, database) as make:
        yield await make("planner")
    await database.close()
