"""A plan's tiles as one file: the same tiles as by address, and any part of it."""

import gzip
from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pmtiles.reader import MemorySource, Reader, all_tiles
from sqlalchemy import text

from app.db.session import Database
from app.errors import UnsatisfiableRange
from app.tiles.plan_cells import PlanCells
from app.tiles.pmtiles_job import tiles_of
from app.tiles.pmtiles_store import range_of
from geo.cell_sets import without_inner
from geo.cells import cells_from_points
from geo.outlines import cell_outlines
from geo.tiles import resolution_for_zoom, tile_at
from tests.conftest import Drain
from tests.tiles.ground import add_plan, patch, quarters

HERE = (121.47, 31.23)


@pytest.fixture
async def plan_id(database: Database) -> int:
    cells = patch(*HERE, 0.4, 6)
    found, _ = await add_plan(database, cells, quarters(cells))
    return found


async def made(client: httpx.AsyncClient, drain: Drain, plan_id: int) -> bytes:
    asked = await client.post(f"/v1/plans/{plan_id}:pmtiles")
    assert asked.status_code == 202, asked.text
    await drain()
    run = (await client.get(asked.headers["location"])).json()
    assert run["state"] == "succeeded", run
    answer = await client.get(run["result"]["href"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.pmtiles"
    assert run["result"]["size_bytes"] == len(answer.content)
    return answer.content


async def test_the_file_holds_the_tiles_that_the_addresses_give(
    client: httpx.AsyncClient, drain: Drain, plan_id: int
) -> None:
    data = await made(client, drain, plan_id)
    reader = Reader(MemorySource(data))
    header, metadata = reader.header(), reader.metadata()
    documents: dict[str, Any] = {
        name: (await client.get(f"/v1/tiles/{name}.json?plan_id={plan_id}")).json()
        for name in ("territories", "cells")
    }
    tiles = dict(all_tiles(MemorySource(data)))

    assert header["min_zoom"] == 0
    assert header["max_zoom"] == max(z for z, _, _ in tiles)
    bounds = [header[name] / 1e7 for name in
              ("min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7")]  # fmt: skip
    assert bounds == pytest.approx(documents["territories"]["bounds"], abs=1e-6)
    assert [layer["id"] for layer in metadata["vector_layers"]] == ["territories", "cells"]
    for (z, x, y), packed in tiles.items():
        parts = [
            await client.get(document["tiles"][0].format(z=z, x=x, y=y))
            for document in documents.values()
        ]
        assert gzip.decompress(packed) == b"".join(part.content for part in parts)
    layers = mapbox_vector_tile.decode(gzip.decompress(tiles[0, 0, 0]))
    assert set(layers) == {"territories", "cells"}
    # Nothing of the plan lies beyond the tiles in the file.
    z = header["max_zoom"]
    near = {
        (x + dx, y + dy) for a, x, y in tiles if a == z for dx in (-1, 0, 1) for dy in (-1, 0, 1)
    }
    for x, y in near - {(x, y) for a, x, y in tiles if a == z}:
        answer = await client.get(f"/v1/tiles/cells/{z}/{x}/{y}.mvt?plan_id={plan_id}")
        assert answer.status_code == 204


async def test_the_same_plan_gives_the_same_file_again(
    client: httpx.AsyncClient, drain: Drain, plan_id: int
) -> None:
    assert await made(client, drain, plan_id) == await made(client, drain, plan_id)


async def test_parts_of_the_file_are_given(
    client: httpx.AsyncClient, drain: Drain, plan_id: int
) -> None:
    data = await made(client, drain, plan_id)
    address = f"/v1/plans/{plan_id}/tiles.pmtiles"

    async def ask(**headers: str) -> httpx.Response:
        return await client.get(
            address, headers={n.replace("_", "-"): v for n, v in headers.items()}
        )

    start = await ask(range="bytes=0-126")
    end = await ask(range="bytes=-10")
    beyond = await ask(range=f"bytes={len(data)}-")
    etag = start.headers["etag"]
    assert (start.status_code, start.content) == (206, data[:127])
    assert start.headers["content-range"] == f"bytes 0-126/{len(data)}"
    assert (end.status_code, end.content) == (206, data[-10:])
    assert beyond.status_code == 416
    assert beyond.headers["content-type"] == "application/problem+json"
    assert (await ask(range="bytes=0-1,5-6")).content == data
    assert (await ask(range="bytes=0-126", if_range='"old"')).content == data
    assert (await ask(range="bytes=0-126", if_range=etag)).status_code == 206
    assert (await ask(if_none_match=etag)).status_code == 304


async def test_a_file_that_was_not_made_says_how_it_is(
    client: httpx.AsyncClient, database: Database, plan_id: int
) -> None:
    missing = await client.get(f"/v1/plans/{plan_id}/tiles.pmtiles")
    assert missing.status_code == 404
    assert missing.json()["errors"][0]["detail"] == f"POST /v1/plans/{plan_id}:pmtiles"
    asked = await client.post(f"/v1/plans/{plan_id}:pmtiles")
    again = await client.post(f"/v1/plans/{plan_id}:pmtiles")
    waiting = await client.get(f"/v1/plans/{plan_id}/tiles.pmtiles")
    assert again.status_code == 409
    assert waiting.json()["errors"][0]["detail"] == asked.headers["location"]

    cells = patch(*HERE, 0.3, 6)
    draft, _ = await add_plan(database, cells, quarters(cells), layer="d", is_published=False)
    assert (await client.post(f"/v1/plans/{draft}:pmtiles")).status_code == 409
    for path in ("/v1/plans/99:pmtiles", "/v1/plans/0:pmtiles"):
        assert (await client.post(path)).status_code in (404, 422)


@given(
    st.sampled_from([0.0, 179.9, -120.0]), st.sampled_from([0.0, 52.5, 64.0, -80.0]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
@hypothesis_settings(max_examples=12, deadline=None)
async def test_a_plan_of_coarse_and_fine_cells_has_every_tile_it_reaches_into(
    lon: float, lat: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    coarse = cells_from_points([lon, lon], [lat, lat], 3)[:1]
    beside = cells_from_points(rng.uniform(lon - 3, lon, 9), rng.uniform(lat - 3, lat, 9), 4)
    fine = cells_from_points(rng.uniform(lon - 4, lon, 9), rng.uniform(lat - 4, lat, 9), 9)
    cells = without_inner(np.unique(np.concatenate([coarse, beside, fine])))
    plan = PlanCells(cells, np.zeros(len(cells), dtype=np.int32))

    wanted = set(await tiles_of(plan, 10))

    for z in range(11):
        drawn = (await plan.level(resolution_for_zoom(z) + 1)).cells
        for shape in (*cell_outlines(cells), *cell_outlines(drawn)):
            border = shapely.get_coordinates(shapely.segmentize(shape, 0.05))
            assert {tile_at(*place, z) for place in border.tolist()} <= wanted


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_a_slice(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    for header, expected in (
        (f"bytes={first}-{last}", data[first : last + 1]),
        (f"bytes={first}-", data[first:]),
        (f"bytes=-{last}", data[-last:] if last else b""),
    ):
        if header == f"bytes={first}-{last}" and last < first:
            assert range_of(header, size) is None
        elif not expected:
            with pytest.raises(UnsatisfiableRange):
                range_of(header, size)
        else:
            found = range_of(header, size)
            assert found is not None
            assert data[found[0] : found[1] + 1] == expected


async def test_the_file_is_for_all_so_it_tells_of_no_territory_of_a_few_customers(
    client: httpx.AsyncClient, database: Database, drain: Drain, plan_id: int
) -> None:
    async with database.writing() as session:
        await session.execute(
            text(
                "UPDATE territory SET scores = jsonb_set(scores, '{activity,customers}', '4')"
                " WHERE code = 'T01'"
            )
        )

    data = await made(client, drain, plan_id)

    tiles = dict(all_tiles(MemorySource(data)))
    layer = mapbox_vector_tile.decode(gzip.decompress(tiles[0, 0, 0]))["territories"]
    told = {feature["properties"]["code"]: feature["properties"] for feature in layer["features"]}
    sums = {"customers", "work_minutes", "imbalance"}
    assert not sums & set(told["T01"])
    assert sums <= set(told["T02"])
