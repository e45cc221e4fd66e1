"""TileJSON, caching, and requests that are refused."""

import httpx
import mapbox_vector_tile
import numpy as np
import pytest

from app.db.session import Database
from geo.tiles import tile_at
from tests.conftest import ANY_VERSION
from tests.search.crowd import add_customers
from tests.tiles.ground import add_plan, patch, quarters

HERE = (121.47, 31.23)


async def test_tilejson_says_where_the_tiles_are_and_what_they_hold(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 2, 6)
    plan_id, _ = await add_plan(database, cells, quarters(cells))

    answer = await client.get(f"/v1/tiles/territories.json?plan_id={plan_id}")

    document = answer.json()
    assert document["tilejson"] == "3.0.0"
    address = f"http://localhost/v1/tiles/territories/{{z}}/{{x}}/{{y}}.mvt?plan_id={plan_id}&v="
    assert document["tiles"][0].startswith(address)
    assert document["minzoom"] == 0
    west, south, east, north = document["bounds"]
    assert west == pytest.approx(120.47, abs=0.1)
    assert north == pytest.approx(32.23, abs=0.1)
    assert (south, east) < (north, 180)
    assert [layer["id"] for layer in document["vector_layers"]] == ["territories"]


@pytest.mark.parametrize("tileset", ["customers", "territories"])
async def test_every_property_of_a_tile_is_described(
    client: httpx.AsyncClient, database: Database, tileset: str
) -> None:
    cells = patch(*HERE, 2, 7)
    await add_plan(database, cells, quarters(cells))
    await add_customers(database, np.array([HERE[0]]), np.array([HERE[1]]), segment="x")
    document = (await client.get(f"/v1/tiles/{tileset}.json")).json()

    (layer,) = document["vector_layers"]
    z, x, y = tile_at(*HERE, 12)
    address = document["tiles"][0].format(z=z, x=x, y=y)
    tile = mapbox_vector_tile.decode((await client.get(address)).content)

    shown = set(tile[layer["id"]]["features"][0]["properties"])
    assert shown - set(layer["fields"]) == set()
    assert set(layer["fields"]) - shown <= {"rep_name"}


async def test_a_tile_that_has_not_changed_is_not_sent_again(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add_customers(database, np.array([HERE[0]]), np.array([HERE[1]]))
    z, x, y = tile_at(*HERE, 13)
    path = f"/v1/tiles/customers/{z}/{x}/{y}.mvt"
    first = await client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, max-age=0, must-revalidate"
    assert first.headers["vary"] == "Authorization"

    again = await client.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
    await client.delete("/v1/customers/1", headers=ANY_VERSION)
    gone = await client.get(path, headers={"If-None-Match": etag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert gone.status_code == 204


ANSWERED = [
    ("rivers.json", 404),
    ("rivers/0/0/0.mvt", 404),
    ("customers/0/0/1.mvt", 404),
    ("customers/3/8/0.mvt", 404),
    ("customers/23/0/0.mvt", 404),
    ("customers/-1/0/0.mvt", 404),
    ("customers/0/0/-1.mvt", 404),
    (f"customers/{10**30}/0/0.mvt", 404),
    ("customers/a/0/0.mvt", 422),
    ("customers/1.5/0/0.mvt", 422),
    ("customers/0/0/0.mvt?plan_id=9", 404),
    ("territories/0/0/0.mvt?plan_id=9", 404),
    ("territories/0/0/0.mvt?layer_id=9", 404),
    ("territories.json?plan_id=9", 404),
    ("territories/0/0/0.mvt?plan_id=x", 422),
    ("territories/0/0/0.mvt?plan_id=0", 422),
    ("territories/0/0/0.mvt?class=A", 400),
    ("customers/0/0/0.mvt", 204),
    ("territories/0/0/0.mvt", 204),
    ("territories.json", 200),
]


async def test_an_address_that_does_not_exist_is_a_problem(client: httpx.AsyncClient) -> None:
    for path, status in ANSWERED:
        answer = await client.get(f"/v1/tiles/{path}")
        assert answer.status_code == status, path
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
