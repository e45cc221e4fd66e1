"""Vector tiles of OGC API Tiles: where they are said to be, and what is in them."""

from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest

from app.db.session import Database
from geo.tiles import tile_at, tile_bounds
from tests.auth.world import World
from tests.search.crowd import add_customers

SCHEME = "WebMercatorQuad"
MVT = "application/vnd.mapbox-vector-tile"
# Tiles show a little of what lies around them, so that nothing is cut at their edges.
BUFFER = 256 / 4096


async def _links(client: httpx.AsyncClient, address: str, rel: str) -> list[str]:
    document = (await client.get(address)).json()
    return [link["href"] for link in document["links"] if link["rel"].endswith(rel)]


async def _features(client: httpx.AsyncClient, address: str) -> list[dict[str, Any]]:
    answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == MVT
    layers = mapbox_vector_tile.decode(answer.content) if answer.content else {}
    features: list[dict[str, Any]] = layers.get("default", {"features": []})["features"]
    return features


async def test_tiles_are_found_from_the_landing_page(
    world: World, planner: httpx.AsyncClient
) -> None:
    (collections,) = await _links(planner, "/ogc", "data")
    listed = (await planner.get(collections)).json()["collections"]

    for collection in listed:
        address = f"/ogc/collections/{collection['id']}"
        (tilesets,) = await _links(planner, address, "tilesets-vector")
        (tileset,) = (await planner.get(tilesets)).json()["tilesets"]
        assert tileset["dataType"] == "vector"
        (own,) = [link["href"] for link in tileset["links"] if link["rel"] == "self"]
        assert (await planner.get(own)).json() == tileset
        (template,) = [link for link in tileset["links"] if link["rel"] == "item"]
        assert template["templated"] is True
        values = {"tileMatrix": 0, "tileRow": 0, "tileCol": 0}
        assert len(await _features(planner, template["href"].format(**values))) == 2


async def test_the_tiling_scheme_is_the_one_of_web_maps(planner: httpx.AsyncClient) -> None:
    (schemes,) = await _links(planner, "/ogc", "tiling-schemes")
    (listed,) = (await planner.get(schemes)).json()["tileMatrixSets"]
    scheme = (await planner.get(listed["links"][0]["href"])).json()

    assert scheme["id"] == listed["id"] == SCHEME
    assert scheme["tileMatrices"][0]["tileWidth"] == 256
    for matrix in scheme["tileMatrices"][:3]:
        assert matrix["matrixWidth"] == matrix["matrixHeight"] == 2 ** int(matrix["id"])


@pytest.mark.parametrize("zoom", [0, 3, 6])
async def test_a_tile_holds_the_customers_of_its_ground(
    database: Database, planner: httpx.AsyncClient, zoom: int
) -> None:
    random = np.random.default_rng(3)
    lon, lat = random.uniform(100, 140, 400), random.uniform(10, 50, 400)
    await add_customers(database, lon, lat)
    z, x, y = tile_at(121.5, 31.2, zoom)
    bounds = tile_bounds(z, x, y)

    found = await _features(planner, f"/ogc/collections/customers/tiles/{SCHEME}/{z}/{y}/{x}")

    names = {feature["properties"]["external_id"] for feature in found}
    inside = {f"C{n}" for n in np.flatnonzero(bounds.contains(lon, lat))}
    assert inside <= names
    width, height = bounds.east - bounds.west, bounds.north - bounds.south
    for name in names - inside:
        n = int(name[1:])
        assert bounds.west - BUFFER * width <= lon[n] <= bounds.east + BUFFER * width
        assert bounds.south - 2 * BUFFER * height <= lat[n] <= bounds.north + 2 * BUFFER * height
    assert {"id", "name", "class"} <= set(found[0]["properties"])


async def test_a_tile_of_too_much_holds_fewer_and_the_first(
    database: Database, planner: httpx.AsyncClient
) -> None:
    random = np.random.default_rng(4)
    lon, lat = random.uniform(100, 101, 9000), random.uniform(10, 11, 9000)
    await add_customers(database, lon, lat)
    place = f"/ogc/collections/customers/tiles/{SCHEME}/0/0/0"

    answer = await planner.get(place)
    found = await _features(planner, place)

    assert len(answer.content) <= 500_000
    ids = sorted(feature["properties"]["id"] for feature in found)
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert 500 < len(ids) < 9000


async def test_an_empty_tile_is_empty(world: World, planner: httpx.AsyncClient) -> None:
    assert await _features(planner, f"/ogc/collections/customers/tiles/{SCHEME}/8/0/0") == []


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("WebMercatorQuad/0/0/1", 404),
        ("WebMercatorQuad/23/0/0", 404),
        ("WebMercatorQuad/-1/0/0", 404),
        (f"WebMercatorQuad/{2**70}/0/0", 404),
        (f"WebMercatorQuad/3/{2**70}/0", 404),
        ("WebMercatorQuad/a/0/0", 400),
        ("WebMercatorQuad/1.5/0/0", 400),
        ("WorldCRS84Quad/0/0/0", 404),
        ("WebMercatorQuad/0/0/0?f=png", 400),
        ("WebMercatorQuad/0/0/0?limit=100000", 400),
        ("WebMercatorQuad/0/0/0?filter=x", 400),
        ("WebMercatorQuad/0/0/0?bbox=0,0,1,1", 400),
    ],
)
async def test_a_tile_that_is_none_is_refused(
    planner: httpx.AsyncClient, place: str, status: int
) -> None:
    answer = await planner.get(f"/ogc/collections/customers/tiles/{place}")

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
