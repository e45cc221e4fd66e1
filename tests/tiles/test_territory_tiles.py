"""Tiles of territories: what they say, whom they show it, and that neighbours fit together."""

from itertools import combinations
from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from app.db.scope import Scope
from app.db.session import Database
from app.tiles import territory_tiles
from geo.tiles import tile_at
from tests.tiles.ground import add_owner, add_plan, patch, quarters

HERE = (121.47, 31.23)


def decode(tile: bytes) -> list[dict[str, Any]]:
    layers = mapbox_vector_tile.decode(tile)
    assert list(layers) == ["territories"]
    found: list[dict[str, Any]] = layers["territories"]["features"]
    return found


async def fetch(client: httpx.AsyncClient, z: int, **query: Any) -> list[dict[str, Any]]:
    _, x, y = tile_at(*HERE, z)
    answer = await client.get(f"/v1/tiles/territories/{z}/{x}/{y}.mvt", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    return decode(answer.content)


async def test_a_territory_tells_who_is_responsible_and_how_it_is_balanced(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 2, 6)
    _, territories = await add_plan(database, cells, quarters(cells))
    await add_owner(database, territories[1], "Lin Mei")

    found = {f["id"]: f["properties"] for f in await fetch(client, 6)}

    assert sorted(found) == sorted(territories)
    assert found[territories[1]] == {
        "territory_id": territories[1], "code": "T02", "name": "Territory 2", "colour": 1,
        "rep_name": "Lin Mei", "customers": 11, "work_minutes": 600.5, "imbalance": 0.01,
    }  # fmt: skip
    assert "rep_name" not in found[territories[0]]


async def test_neighbours_fit_together_at_every_zoom(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 2, 6)
    await add_plan(database, cells, quarters(cells))
    for z in range(15):
        shapes = [shape(f["geometry"]) for f in await fetch(client, z)]
        # A unit is an eighth of a pixel; all vertices lie on whole units.
        assert sum(one.intersection(other).area for one, other in combinations(shapes, 2)) < 1
        whole = shapely.get_parts(shapely.union_all(shapes))
        assert sum(len(part.interiors) for part in whole) == 0
        assert len(whole) == 1


async def test_a_draft_is_shown_when_it_is_named(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 2, 6)
    plan_id, territories = await add_plan(database, cells, quarters(cells), is_published=False)
    _, x, y = tile_at(*HERE, 8)

    unnamed = await client.get(f"/v1/tiles/territories/8/{x}/{y}.mvt")
    named = await fetch(client, 8, plan_id=plan_id)

    assert unnamed.status_code == 204
    assert unnamed.content == b""
    assert {f["id"] for f in named} <= set(territories)


async def test_each_layer_has_its_plan_and_the_first_one_is_the_default(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 2, 6)
    _, first = await add_plan(database, cells, quarters(cells))
    _, second = await add_plan(database, cells, quarters(cells), layer="education")

    assert {f["id"] for f in await fetch(client, 5)} == set(first)
    assert {f["id"] for f in await fetch(client, 5, layer_id=2)} == set(second)


async def test_a_limited_caller_sees_its_own_territories_only(database: Database) -> None:
    cells = patch(*HERE, 2, 6)
    plan_id, territories = await add_plan(database, cells, quarters(cells))
    rep_id = await add_owner(database, territories[2], "Lin Mei")
    scope, tile = Scope(frozenset({rep_id})), tile_at(*HERE, 6)
    async with database.reading() as session:
        drawn = await territory_tiles.read_tile(session, scope, plan_id, *tile, fewest=1)
        nothing = await territory_tiles.read_tile(
            session, Scope(frozenset()), plan_id, *tile, fewest=1
        )
        assert [f["id"] for f in decode(drawn)] == [territories[2]]
        assert nothing == b""
        assert await territory_tiles.bounds(session, Scope(frozenset()), plan_id) is None


async def test_a_tile_that_would_be_too_large_is_drawn_more_coarsely(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = patch(*HERE, 2, 7)
    rng = np.random.default_rng(2)
    plan_id, _ = await add_plan(database, cells, rng.integers(0, 40, len(cells)))
    tile = tile_at(*HERE, 8)
    sizes = []
    for limit in (500_000, 75_000, 40_000):
        monkeypatch.setattr(territory_tiles, "MAX_BYTES", limit)
        async with database.reading() as session:
            drawn = await territory_tiles.read_tile(session, Scope(), plan_id, *tile, fewest=1)
        sizes.append(len(drawn))
        assert sizes[-1] <= limit
    assert sizes[0] > sizes[1] > sizes[2] > 0
