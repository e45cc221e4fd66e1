"""Tiles of heat: their sums are those of the customers, and few customers are not told of."""

from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.activity import fold
from app.db.customer_filter import CustomerFilter
from app.db.scope import Scope
from app.db.session import Database
from app.tiles import customer_tiles, heat_tiles
from geo.tiles import tile_at
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch

HERE = (121.47, 31.23)


def decode(tile: bytes) -> list[dict[str, Any]]:
    if not tile:
        return []
    return [f["properties"] for f in mapbox_vector_tile.decode(tile)["heat"]["features"]]


async def whole(client: httpx.AsyncClient, z: int, lon: Any, lat: Any, query: str = "") -> Any:
    """Every cell of a zoom, once, from the tiles that hold customers."""
    cells = {}
    for tile in {tile_at(x, y, z) for x, y in zip(lon, lat, strict=True)}:
        answer = await client.get("/v1/tiles/heat/{}/{}/{}.mvt".format(*tile) + query)
        assert answer.status_code in (200, 204), answer.text
        assert len(answer.content) <= 500_000
        cells |= {c["cell"]: c for c in decode(answer.content)}
    return cells


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1), z=st.integers(0, 14))
async def test_cells_sum_to_the_customers_at_every_zoom(
    client: httpx.AsyncClient, database: Database, seed: int, z: int
) -> None:
    rng = np.random.default_rng(seed)
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer"))
    lon = np.concatenate([rng.normal(HERE[0], 0.02, 40), rng.uniform(-180, 180, 8)])
    lat = np.concatenate([rng.normal(HERE[1], 0.02, 40), rng.uniform(-84, 84, 8)])
    work = rng.uniform(1, 100, len(lon)).round(2).tolist()
    kinds = [["A", "B"][i % 2] for i in range(len(lon))]
    await add_customers(database, lon, lat, work_minutes=work, **{"class": kinds})
    await fold(database)

    everything = await whole(client, z, lon, lat)
    minutes = await whole(client, z, lon, lat, "?measure=work_minutes&class=A")

    assert sum(c["customers"] for c in everything.values()) == len(lon)
    assert sum(c["value"] for c in everything.values()) == pytest.approx(len(lon))
    assert sum(c["customers"] for c in minutes.values()) == len(lon) / 2
    assert sum(c["value"] for c in minutes.values()) == pytest.approx(sum(work[::2]))


async def test_a_caller_without_detail_is_told_of_five_customers_or_more(
    database: Database,
) -> None:
    lon = np.repeat([121.40, 121.50], [4, 5])
    await add_customers(database, lon, np.full(9, HERE[1]))
    await fold(database)
    async with database.reading() as session:
        for z in (0, 9, 12, 14, 18):
            east, west = tile_at(121.5, HERE[1], z), tile_at(121.4, HERE[1], z)
            shown = []
            for tile in {east, west}:
                heat = await heat_tiles.read_tile(
                    session, Scope(), "customers", CustomerFilter(), tile, 5
                )
                shown += [c["customers"] for c in decode(heat)]
                drawn = await customer_tiles.read_tile(session, Scope(), None, *tile, 5)
                if drawn:
                    found = mapbox_vector_tile.decode(drawn)["customers"]["features"]
                    assert {f["properties"]["n"] for f in found} <= {5, 9}
                    assert not any("name" in f["properties"] for f in found)
            assert set(shown) <= {5, 9}
            assert len(shown) > 0


async def test_a_limited_caller_gets_the_heat_of_its_own_customers(database: Database) -> None:
    cells = patch(*HERE, 0.4, 7)
    _, territories = await add_plan(database, cells, np.zeros(len(cells), dtype=np.int64))
    rep_id = await add_owner(database, territories[0], "Lin")
    await add_customers(database, np.array([121.47, 121.48, 130.0]), np.array([31.23, 31.23, 40.0]))
    await fold(database)
    async with database.reading() as session:
        for scope, expected in ((Scope(frozenset({rep_id})), 2), (Scope(frozenset({0})), 0)):
            tile = await heat_tiles.read_tile(
                session, scope, "customers", CustomerFilter(), (0, 0, 0), 1
            )
            assert sum(c["customers"] for c in decode(tile)) == expected
