"""Hosts, origins and limits as everywhere; a database that is slow, crowded or away; `/ogc` off."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.db.access import Access
from app.db.cluster import OGC_ROLE
from app.db.session import Database
from app.main import create_app
from app.ogc import reader
from app.settings import Settings
from tests.auth.world import World
from tests.faults.harness import Site, site
from tests.second_process import transport_to

ITEMS = "/ogc/collections/customers/items"


async def test_text_cannot_break_out_of_a_value(world: World, planner: httpx.AsyncClient) -> None:
    for text in ("'", "''", "\\'", "x' OR 'a'='a", "$1", "'; DROP VIEW ogc.customers; --", "\\"):
        answer = await planner.get(ITEMS, params={"name": text})
        assert (answer.status_code, answer.json()["numberMatched"]) == (200, 0), text
    assert (await planner.get(ITEMS)).json()["numberMatched"] == 2


async def test_only_our_origins_may_read_and_none_by_a_star(
    settings: Settings, database: Database
) -> None:
    origin = "https://maps.example.com"
    application = create_app(settings.model_copy(update={"cors_origins": (origin,)}))
    async with _client(application) as client:
        ours = await client.get("/ogc", headers={"Origin": origin})
        theirs = await client.get("/ogc", headers={"Origin": "https://evil.example"})
        asked = await client.options(
            "/ogc", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
        )

    assert ours.headers.get_list("Access-Control-Allow-Origin") == [origin]
    assert asked.headers.get_list("Access-Control-Allow-Origin") == [origin]
    assert "Access-Control-Allow-Origin" not in theirs.headers
    assert "Access-Control-Allow-Credentials" not in ours.headers


async def test_links_begin_with_the_public_address(settings: Settings) -> None:
    public = settings.model_copy(update={"public_url": "https://bailiwick.example/maps"})
    async with _client(create_app(public)) as client:
        document = (await client.get("/ogc/collections")).json()
        foreign = await client.get("/ogc", headers={"Host": "evil.example"})

    (link,) = document["links"]
    assert link["href"] == "https://bailiwick.example/maps/ogc/collections"
    assert foreign.json()["type"] == "/problems/unknown-host"


@pytest.mark.one_process
async def test_answers_are_kept_by_nobody_and_counted_by_route(
    world: World, planner: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await planner.get(f"{ITEMS}/1")
    counted = (await planner.get("/metrics")).text

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    route = '/ogc/collections/{collection_id}/items/{item_id}"'
    assert f'bailiwick_http_requests_total{{method="GET",route="{route},status="200"' in counted


@pytest.mark.one_process
async def test_what_a_caller_asks_here_counts_as_its_requests(
    settings: Settings, database: Database
) -> None:
    slow = settings.model_copy(update={"rate_read": "3/minute"})
    async with _client(create_app(slow)) as client:
        answers = [await client.get("/ogc/conformance") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "Retry-After" in answers[-1].headers


async def test_a_collection_of_nothing_may_be_anywhere(planner: httpx.AsyncClient) -> None:
    for collection in (await planner.get("/ogc/collections")).json()["collections"]:
        assert collection["extent"]["spatial"]["bbox"] == [[-180, -90, 180, 90]]


async def test_ogc_is_not_in_the_application_s_own_description(planner: httpx.AsyncClient) -> None:
    document = (await planner.get("/openapi.json")).json()

    assert not [path for path in document["paths"] if path.startswith("/ogc")]


class _client:  # noqa: N801
    """A client of an application; both are closed at the end."""

    def __init__(self, application: FastAPI) -> None:
        self._application = application

    async def __aenter__(self) -> httpx.AsyncClient:
        transport = transport_to(self._application)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        return self._client

    async def __aexit__(self, *exception: object) -> None:
        await self._client.aclose()
        await self._application.state.ogc.close()
        await self._application.state.database.close()


@pytest.fixture
async def local(settings: Settings, world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(create_app(settings)) as client:
        yield client


@pytest.fixture
def locked(settings: Settings) -> psycopg.Connection:
    """Somebody who holds the table of customers, so that every question waits."""
    connection = psycopg.connect(Access.of(settings).owner_conninfo_without_password)
    connection.execute("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE")
    return connection


async def test_a_question_that_takes_too_long_is_503(
    local: httpx.AsyncClient, locked: psycopg.Connection
) -> None:
    began = time.monotonic()
    answer = await local.get(ITEMS)
    seconds = time.monotonic() - began
    locked.close()

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/took-too-long"
    assert "Retry-After" in answer.headers
    assert 4 < seconds < 8.5
    assert (await local.get(ITEMS)).status_code == 200


@pytest.mark.one_process
async def test_a_crowd_waits_a_bounded_time_and_holds_up_nobody_else(
    local: httpx.AsyncClient, locked: psycopg.Connection
) -> None:
    crowd = [asyncio.create_task(local.get(ITEMS)) for _ in range(6)]
    await asyncio.sleep(0.5)
    other = await local.get("/v1/layers")
    answers = await asyncio.gather(*crowd)
    locked.close()

    assert other.status_code == 200
    assert {answer.status_code for answer in answers} == {503}
    kinds = sorted(answer.json()["type"] for answer in answers)
    assert set(kinds) <= {"/problems/busy", "/problems/took-too-long"}
    assert "/problems/busy" in kinds
    assert all("Retry-After" in answer.headers for answer in answers)


async def test_whoever_goes_away_leaves_a_connection_that_works(
    local: httpx.AsyncClient, locked: psycopg.Connection
) -> None:
    for _ in range(reader.MOST_CONNECTIONS + 1):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(local.get(ITEMS), 0.3)
    locked.close()

    assert (await local.get(ITEMS)).status_code == 200


async def test_with_the_database_away_the_service_starts_and_says_so(tmp_path: Path) -> None:
    away = f"postgresql://bailiwick@/none?host={tmp_path}"
    settings = Settings(home=tmp_path, auth="off", database_url=away, ogc_database_url=away)
    async with _client(create_app(settings)) as client:
        answer = await client.get(ITEMS)
        landing = await client.get("/ogc")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert landing.status_code == 200


@pytest.mark.parametrize("path", ["", "/collections", "/collections/customers/items"])
async def test_without_a_role_for_it_ogc_is_off_and_says_why(tmp_path: Path, path: str) -> None:
    away = f"postgresql://bailiwick@/none?host={tmp_path}"
    async with _client(
        create_app(Settings(home=tmp_path, auth="off", database_url=away))
    ) as client:
        answer = await client.get(f"/ogc{path}")

    assert answer.status_code == 404
    assert "docs/operations.md" in answer.json()["detail"]


@pytest.mark.parametrize("role", ["nobody_at_all", "bailiwick_owner2"])
async def test_a_role_that_is_not_let_in_is_503(
    settings: Settings, database: Database, role: str
) -> None:
    access = Access.of(settings)
    addresses = {
        "database_url": access.url.render_as_string(hide_password=False),
        "ogc_database_url": access.url.set(username=role).render_as_string(hide_password=False),
    }
    other = Settings(home=settings.home, auth="off", **addresses)
    async with _client(create_app(other)) as client:
        answer = await client.get(ITEMS)

    assert answer.status_code == 503
    assert role not in answer.text


@pytest.fixture
def own_site() -> Iterator[Site]:
    with site() as made:
        yield made


def test_a_started_service_goes_on_after_its_database_was_away(own_site: Site) -> None:
    role = own_site.cluster.url(OGC_ROLE)
    api = own_site.add_api(BAILIWICK_OGC_DATABASE_URL=role)
    api.wait_until_ready()
    assert httpx.get(f"{api.url}/ogc/collections/geofences/items").status_code == 200

    own_site.cluster.down()
    assert httpx.get(f"{api.url}/ogc/collections/geofences/items").status_code == 503
    own_site.cluster.up()
    api.wait_until_ready()

    assert httpx.get(f"{api.url}/ogc/collections/geofences/items").status_code == 200
