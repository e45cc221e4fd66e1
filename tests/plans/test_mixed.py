"""A plan with one very heavy cell, from the design to lookup, tiles, drift, lists and scope."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
from sqlalchemy import text

from app.auth import create_key
from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from geo.tiles import tile_at
from tests.conftest import ANY_VERSION
from tests.plans.checks import cell_of, cells_by_territory, is_contiguous_mixed
from tests.plans.conftest import DesignPlan, add_customers
from tests.second_process import transport_to

pytestmark = pytest.mark.usefixtures("designed_once")

TOWN = (113.0, 30.5)
ZOOM = 14


@dataclass(frozen=True, slots=True)
class Mixed:
    """A published plan, its cells, and the customers as (id, lon, lat)."""

    plan: dict[str, Any]
    cells: dict[str, str]
    customers: list[tuple[int, float, float]]

    def code_of(self, lon: float, lat: float) -> str | None:
        """Code of the territory of a point, by h3's own ancestors; the cells must not overlap."""
        ancestors = {cell_of(lon, lat, resolution) for resolution in self.plan["resolutions"]}
        (found,) = [self.cells.get(cell) for cell in ancestors if cell in self.cells] or [None]
        return found


@pytest.fixture
async def mixed(
    client: httpx.AsyncClient, database: Database, layer_id: int, design_plan: DesignPlan
) -> Mixed:
    random = np.random.default_rng(11)
    around = random.uniform((112.5, 30.1), (113.5, 30.9), (200, 2)).T
    await add_customers(database, *around, prefix="A")
    town = random.normal(TOWN, 0.006, (260, 2)).T
    await add_customers(database, *town, prefix="B")
    run = await design_plan(layer_id=layer_id, n_territories=5, resolution=6)
    assert run["state"] == "succeeded", run
    href = run["result"]["href"]
    plan = (await client.get(href)).json()
    lon, lat = plan["balance"][0]["label_point"]
    rep = {"external_id": "R", "name": "R", "home_lon": lon, "home_lat": lat}
    assert (await client.post("/v1/reps", json=rep)).status_code == 201
    assert (await client.post(f"{href}:publish", headers=ANY_VERSION)).status_code == 201
    cells = dict((await client.get(f"{href}/cells")).json()["cells"])
    async with database.reading() as session:
        rows = await session.execute(text("SELECT id, ST_X(geom), ST_Y(geom) FROM customer"))
        customers = [tuple(row) for row in rows]
    return Mixed((await client.get(href)).json(), cells, customers)


async def test_a_heavy_cell_is_split_and_every_road_to_its_customers_agrees(
    client: httpx.AsyncClient, mixed: Mixed
) -> None:
    plan = mixed.plan
    assert plan["is_feasible"], plan["violations"]
    assert len(plan["resolutions"]) > 1
    assert plan["scores"]["splitting"]["n_split"] >= 1
    assert plan["scores"]["splitting"]["heaviest_unit_share_of_target"] <= 0.25
    wanted = {number: mixed.code_of(lon, lat) for number, lon, lat in mixed.customers}
    assert None not in wanted.values()
    assert len({wanted[n] for n, lon, lat in mixed.customers if n > 200}) > 1

    assert await _by_lookup(client, mixed) == wanted
    assert await _by_list(client, mixed) == wanted
    in_tiles = await _by_tile(client, mixed)
    assert in_tiles == {number: wanted[number] for number in in_tiles}
    assert len(in_tiles) == len(wanted)
    drift = (await client.get(f"/v1/plans/{plan['id']}/drift")).json()
    assert drift["uncovered_customers"] == 0
    counts = Counter(wanted.values())
    assert {row["code"]: row["customers"] for row in drift["territories"]} == counts
    assert {row["code"]: row["customers"] for row in plan["balance"]} == counts


async def test_territories_of_a_mixed_plan_are_connected_and_drawn(
    client: httpx.AsyncClient, mixed: Mixed
) -> None:
    cells = {"cells": list(mixed.cells.items())}
    assert all(is_contiguous_mixed(members) for members in cells_by_territory(cells).values())
    assert all(row["components"] == 1 for row in mixed.plan["balance"])

    z, x, y = tile_at(*TOWN, 9)
    answer = await client.get(f"/v1/tiles/territories/{z}/{x}/{y}.mvt")

    drawn = mapbox_vector_tile.decode(answer.content)["territories"]["features"]
    assert len({feature["properties"]["code"] for feature in drawn}) > 1


async def test_the_rep_of_a_mixed_plan_sees_exactly_its_customers(
    settings: Settings, database: Database, mixed: Mixed
) -> None:
    own = next(row for row in mixed.plan["balance"] if row["rep"])
    async with database.writing() as session:
        key = await create_key(session, "R", "rep", own["rep"]["id"])
    application = create_app(settings.model_copy(update={"auth": "on"}))
    transport = transport_to(application)
    headers = {"Authorization": f"Bearer {key}"}
    wanted = {n for n, lon, lat in mixed.customers if mixed.code_of(lon, lat) == own["code"]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers=headers
    ) as rep:
        listed = (await rep.get("/v1/customers", params={"limit": 1000})).json()["items"]
        heat = (
            await rep.get(
                "/v1/heatmap", params={"bbox": "112,29,114,32", "resolution": 7, "format": "cells"}
            )
        ).json()
    await application.state.database.close()

    assert {customer["id"] for customer in listed} == wanted
    assert heat["total"] == len(wanted)


async def _by_lookup(client: httpx.AsyncClient, mixed: Mixed) -> dict[int, str | None]:
    points = [{"lon": lon, "lat": lat} for _, lon, lat in mixed.customers]
    found = (await client.post("/v1/territories/at:batch", json={"points": points})).json()["items"]
    assert all(len(placements) == 1 for placements in found)
    return {
        number: placements[0]["territory"]["code"]
        for (number, _, _), placements in zip(mixed.customers, found, strict=True)
    }


async def _by_list(client: httpx.AsyncClient, mixed: Mixed) -> dict[int, str | None]:
    found: dict[int, str | None] = {}
    for row in mixed.plan["balance"]:
        query = {"territory_id": row["territory_id"], "limit": 1000}
        items = (await client.get("/v1/customers", params=query)).json()["items"]
        assert not found.keys() & {item["id"] for item in items}
        found |= {item["id"]: row["code"] for item in items}
    return found


async def _by_tile(client: httpx.AsyncClient, mixed: Mixed) -> dict[int, str | None]:
    found: dict[int, str | None] = {}
    for z, x, y in {tile_at(lon, lat, ZOOM) for _, lon, lat in mixed.customers}:
        answer = await client.get(f"/v1/tiles/customers/{z}/{x}/{y}.mvt")
        for feature in mapbox_vector_tile.decode(answer.content)["customers"]["features"]:
            properties = feature["properties"]
            found[properties["id"]] = properties.get("code")
    return found
