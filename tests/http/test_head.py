"""HEAD answers what GET does, without the body: who may, ETags, refusals."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from geo.tiles import tile_at
from tests.auth.clients import ClientAs, clients_of
from tests.auth.rows import ALL, MATRIX
from tests.auth.world import make_world
from tests.http.conftest import client_of
from tests.jobs.processes import server

# Of the moment, or of one request.
FLEETING = {"date", "x-request-id"}
READS = [name for name, row in MATRIX.items() if row.method == "GET" and name != "follow_run"]


@pytest.fixture
async def client_as(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    async with clients_of(settings, database) as make:
        yield make


def lasting(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in FLEETING}


@pytest.mark.parametrize("operation", READS)
async def test_every_address_that_is_read_answers_head_as_it_does_get(
    database: Database, client_as: ClientAs, operation: str
) -> None:
    world = await make_world(database)
    for role in (None, *sorted(ALL)):
        client = await client_as(role, world.reps.get(role or ""))
        for whose in ("own", "foreign", "missing"):
            address = MATRIX[operation].address.format(**world.ids(whose))
            got, told = await client.get(address), await client.head(address)

            assert told.content == b""
            assert told.status_code == got.status_code, (role, whose)
            assert lasting(told).keys() == lasting(got).keys()
            for name in ("etag", "content-type", "cache-control", "allow", "www-authenticate"):
                assert told.headers.get(name) == got.headers.get(name)


@pytest.mark.parametrize("kind", ["customer", "tile", "heat"])
async def test_head_with_the_tag_of_a_get_is_304(client: httpx.AsyncClient, kind: str) -> None:
    body = {"external_id": "C1", "name": "Clinic", "lon": 121.49, "lat": 31.24}
    customer = (await client.post("/v1/customers", json=body)).json()
    z, x, y = tile_at(121.49, 31.24, 14)
    address = {
        "customer": f"/v1/customers/{customer['id']}",
        "tile": f"/v1/tiles/customers/{z}/{x}/{y}.mvt",
        "heat": "/v1/heatmap?resolution=3",
    }[kind]

    got = await client.get(address)
    told = await client.head(address, headers={"If-None-Match": got.headers["ETag"]})

    assert got.status_code == 200
    assert (told.status_code, told.content) == (304, b"")
    assert told.headers["ETag"] == got.headers["ETag"]


@pytest.mark.parametrize("address", ["/v1/search/polygon", "/v1/nothing", "/v1/customers?x=1"])
async def test_what_get_refuses_head_refuses_too(client: httpx.AsyncClient, address: str) -> None:
    got, told = await client.get(address), await client.head(address)

    assert got.status_code in (400, 404, 405)
    assert (told.status_code, told.content) == (got.status_code, b"")
    assert told.headers.get("Allow") == got.headers.get("Allow")


async def test_a_wrong_method_is_told_of_head(client: httpx.AsyncClient) -> None:
    for address in ("/v1/layers", "/v1/customers/7", "/ogc/collections"):
        answer = await client.put(address)
        assert answer.status_code == 405
        assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))


async def test_the_page_and_its_files_answer_head(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>map</p>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "map.js").write_text("0;")
    application = create_app(settings.model_copy(update={"web_folder": tmp_path}))

    async with client_of(application) as client:
        for address in ("/", "/assets/map.js"):
            got, told = await client.get(address), await client.head(address)
            assert (got.status_code, told.status_code, told.content) == (200, 200, b"")
            assert lasting(told) == lasting(got)
            seen = await client.head(address, headers={"If-None-Match": got.headers["ETag"]})
            assert seen.status_code == 304


@pytest.mark.parametrize("asked", ["bytes=9-2", "bytes=999-", "lines=1-2", "bytes=", "bytes=0-1"])
async def test_files_of_the_page_come_whole_whatever_part_is_asked_for(
    settings: Settings, tmp_path: Path, asked: str
) -> None:
    (tmp_path / "index.html").write_text("<p>map</p>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "map.js").write_text("let map = 0;")
    application = create_app(settings.model_copy(update={"web_folder": tmp_path}))

    async with client_of(application) as client:
        for address in ("/", "/assets/map.js"):
            whole = await client.get(address)
            answer = await client.get(address, headers={"Range": asked})
            assert (answer.status_code, answer.content) == (200, whole.content)
            assert answer.headers["Accept-Ranges"] == "none"


@pytest.mark.one_process
async def test_over_a_connection_head_tells_the_length_and_the_next_request_is_answered(
    settings: Settings, empty_database: None
) -> None:
    with server(settings) as (_, address):
        async with httpx.AsyncClient(base_url=address, timeout=10) as client:
            got, told = await client.get("/v1/layers"), await client.head("/v1/layers")
            again = await client.get("/v1/layers")

    assert told.headers["Content-Length"] == got.headers["Content-Length"]
    assert (told.content, again.content) == (b"", got.content)


async def test_head_of_what_is_followed_ends(database: Database, client: httpx.AsyncClient) -> None:
    world = await make_world(database)
    address = f"/v1/runs/{world.ids('own')['run_id']}/events"

    told = await asyncio.wait_for(client.head(address), 10)

    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["Content-Type"].startswith("text/event-stream")
