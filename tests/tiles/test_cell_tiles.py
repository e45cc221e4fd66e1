"""Tiles of cells: which territory each shows, at every zoom, for plans of every state."""

from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from app.activity import fold
from app.db.scope import Scope
from app.db.session import Database
from app.tiles import cell_tiles
from app.tiles.plan_cells import KnownPlans, level_of, pieces_of
from app.tiles.plans import find_plan
from geo.cell_sets import owners_of
from geo.cells import (
    ancestors,
    cells_from_points,
    cells_from_text,
    cells_to_text,
    descendants,
    points_from_cells,
    resolutions,
)
from geo.outlines import cell_outlines
from geo.tiles import tile_at, tile_bounds
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch, quarters

HERE = (121.47, 31.23)


def decode(tile: bytes) -> list[dict[str, Any]]:
    if not tile:
        return []
    found: list[dict[str, Any]] = mapbox_vector_tile.decode(tile)["cells"]["features"]
    return [feature["properties"] for feature in found]


async def fetch(client: httpx.AsyncClient, z: int, x: int, y: int, **query: Any) -> Any:
    answer = await client.get(f"/v1/tiles/cells/{z}/{x}/{y}.mvt", params=query)
    assert answer.status_code in (200, 204), answer.text
    assert len(answer.content) <= 500_000
    return decode(answer.content)


def tiles_around(z: int) -> list[tuple[int, int, int]]:
    _, x, y = tile_at(*HERE, z)
    n = 1 << z
    return [
        (z, a, b) for a in range(x - 3, x + 4) for b in range(y - 3, y + 4)
        if 0 <= a < n and 0 <= b < n
    ]  # fmt: skip


@pytest.mark.parametrize("is_published", [True, False])
async def test_every_cell_of_a_plan_is_shown_with_its_territory(
    client: httpx.AsyncClient, database: Database, is_published: bool
) -> None:
    cells = patch(*HERE, 0.5, 7)
    alignment = quarters(cells)
    plan_id, territories = await add_plan(database, cells, alignment, is_published=is_published)

    shown = [c for tile in tiles_around(9) for c in await fetch(client, *tile, plan_id=plan_id)]

    expected = {
        text: territories[owner]
        for text, owner in zip(cells_to_text(cells), alignment.tolist(), strict=True)
    }
    assert {c["cell"]: c["territory_id"] for c in shown} == expected
    assert {c["n_cells"] for c in shown} == {1}
    assert {c["code"] for c in shown} == {"T01", "T02", "T03", "T04"}


async def test_a_tile_holds_the_cells_that_touch_it_and_no_others(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 0.5, 7)
    plan_id, _ = await add_plan(database, cells, quarters(cells))
    outlines = dict(zip(cells_to_text(cells), cell_outlines(cells), strict=True))
    for tile in tiles_around(11):
        bounds = tile_bounds(*tile)
        width = bounds.east - bounds.west
        inner = shapely.box(*bounds.as_tuple()).buffer(-width / 500)
        # Drawn a 64th beyond the tile, so that lines meet.
        outer = shapely.box(*bounds.as_tuple()).buffer(width / 50)
        shown = {c["cell"] for c in await fetch(client, *tile, plan_id=plan_id)}
        assert shown >= {name for name, shape in outlines.items() if shape.intersects(inner)}
        assert shown <= {name for name, shape in outlines.items() if shape.intersects(outer)}


async def test_low_zooms_show_larger_cells_that_stand_for_all(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 2, 7)
    plan_id, _ = await add_plan(database, cells, quarters(cells))
    for z in range(9):
        shown = {c["cell"]: c for t in tiles_around(z) for c in await fetch(client, *t)}
        assert sum(c["n_cells"] for c in shown.values()) == len(cells)
        if z < 6:
            assert len(shown) < len(cells)
    assert plan_id


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_a_larger_cell_goes_to_whom_most_of_its_ground_belongs(seed: int, resolution: int) -> None:
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(-180, 180, 12), rng.uniform(-80, 80, 12)
    coarse = np.unique(cells_from_points(lon, lat, 5))
    split = rng.random(len(coarse)) < 0.5
    fine = descendants(coarse[split], 6) if split.any() else coarse[:0]
    cells = np.sort(np.concatenate([coarse[~split], fine]))
    ordinals = rng.integers(0, 3, len(cells)).astype(np.int32)

    level = level_of(cells, ordinals, resolution)

    ground: dict[int, dict[int, float]] = {}
    for cell, ordinal, own in zip(cells, ordinals, resolutions(cells), strict=True):
        parent = int(ancestors(cell[None], resolution)[0]) if own > resolution else int(cell)
        shares = ground.setdefault(parent, {})
        shares[int(ordinal)] = shares.get(int(ordinal), 0) + 7.0 ** (10 - int(own))
    expected = {
        parent: max(shares.items(), key=lambda share: (share[1], -share[0]))[0]
        for parent, shares in ground.items()
    }
    assert dict(zip(level.cells.tolist(), level.ordinals.tolist(), strict=True)) == expected
    assert level.n_cells.sum() == len(cells)


async def test_cells_tell_of_the_customers_in_them(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 0.5, 7)
    plan_id, _ = await add_plan(database, cells, quarters(cells))
    rng = np.random.default_rng(1)
    lon, lat = rng.normal(HERE[0], 0.03, 200), rng.normal(HERE[1], 0.03, 200)
    await add_customers(database, lon, lat)
    await fold(database)
    owns, counts = np.unique(ancestors(cells_from_points(lon, lat, 12), 7), return_counts=True)
    expected = dict(zip(cells_to_text(owns), counts.tolist(), strict=True))

    shown = {c["cell"]: c for t in tiles_around(9) for c in await fetch(client, *t)}
    async with database.reading() as session:
        plan = await find_plan(session, Scope(), plan_id, None)
        assert plan is not None
        tile = tile_at(*HERE, 9)
        hiding = await cell_tiles.read_tile(session, KnownPlans(), Scope(), plan, tile, 5)

    told = {name: c["customers"] for name, c in shown.items() if "customers" in c}
    assert told == expected
    assert min(told.values()) < 5
    assert sum(c.get("work_minutes", 0) for c in shown.values()) == pytest.approx(200 * 60)
    assert min(c["customers"] for c in decode(hiding) if "customers" in c) >= 5


async def test_larger_cells_tell_of_the_customers_in_the_plan_only(
    client: httpx.AsyncClient, database: Database
) -> None:
    cells = patch(*HERE, 0.5, 7)
    plan_id, _ = await add_plan(database, cells, quarters(cells))
    rng = np.random.default_rng(5)
    # Many more round the plan than in it, and in the same cells at low zooms.
    lon, lat = rng.normal(HERE[0], 0.5, 900), rng.normal(HERE[1], 0.5, 900)
    await add_customers(database, lon, lat)
    await fold(database)
    places = cells_from_points(lon, lat, 12)
    inside = places[np.isin(ancestors(places, 7), cells)]
    assert 100 < len(inside) < 500

    for z in range(10):
        query = {"plan_id": plan_id}
        shown = {c["cell"]: c for t in tiles_around(z) for c in await fetch(client, *t, **query)}
        ids = np.sort(cells_from_text(list(shown)))
        owners, counts = np.unique(ids[owners_of(ids, inside)], return_counts=True)
        expected = dict(zip(cells_to_text(owners), counts.tolist(), strict=True))
        assert {n: c["customers"] for n, c in shown.items() if "customers" in c} == expected
        work = sum(c.get("work_minutes", 0) for c in shown.values())
        assert work == pytest.approx(len(inside) * 60)


async def test_cells_too_fine_for_sums_tell_of_no_customers(
    client: httpx.AsyncClient, database: Database
) -> None:
    home = cells_from_points([HERE[0]], [HERE[1]], 8)
    ninth = descendants(home, 9)
    # One whole set of seven at resolution 10, one that lacks a cell, and cells of resolution 9.
    whole, broken = descendants(ninth[:1], 10), descendants(ninth[1:2], 10)[1:]
    cells = np.sort(np.concatenate([whole, broken, ninth[2:]]))
    plan_id, _ = await add_plan(database, cells, np.zeros(len(cells), dtype=np.int64))
    lon, lat = points_from_cells(descendants(home, 10))
    await add_customers(database, lon, lat)
    await fold(database)
    query = {"plan_id": plan_id}

    near, far = [
        {c["cell"]: c for t in tiles_around(z) for c in await fetch(client, *t, **query)}
        for z in (14, 11)
    ]

    fine = cells_to_text(np.concatenate([whole, broken]))
    assert set(near) == set(cells_to_text(cells))
    assert {n for n, c in near.items() if "customers" not in c} == set(fine)
    told = {name: c.get("customers") for name, c in far.items()}
    assert told == dict.fromkeys(cells_to_text(ninth), 7) | {cells_to_text(ninth[1:2])[0]: None}
    (layer,) = (await client.get("/v1/tiles/cells.json")).json()["vector_layers"]
    assert "finer than resolution 9" in layer["fields"]["customers"]


@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_pieces_are_the_ground_of_the_plan_in_fewer_cells(seed: int, resolution: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = np.unique(cells_from_points(rng.uniform(-180, 180, 3), rng.uniform(-80, 80, 3), 3))
    cells = descendants(coarse, 6)
    # Whole families, and some with members missing.
    cells = cells[rng.random(len(cells)) < rng.choice([1.0, 0.999, 0.5])]
    level = level_of(cells, np.zeros(len(cells), dtype=np.int32), resolution)

    pieces = pieces_of(cells, level, resolution)

    assert descendants(pieces.cells, 6).tolist() == cells.tolist()
    above = [
        int(ancestors(cell[None], min(resolution, int(own)))[0])
        for cell, own in zip(pieces.cells, resolutions(pieces.cells), strict=True)
    ]
    assert level.cells[pieces.shown].tolist() == above
    assert resolutions(pieces.cells).min(initial=6) >= min(max(resolution, 2), 6)
    assert not pieces.is_untold.any()


async def test_a_limited_caller_gets_the_cells_of_its_own_territories(database: Database) -> None:
    cells = patch(*HERE, 0.5, 7)
    alignment = quarters(cells)
    plan_id, territories = await add_plan(database, cells, alignment)
    rep_id = await add_owner(database, territories[2], "Lin")
    await add_customers(database, np.full(9, HERE[0]), np.full(9, HERE[1]))
    await fold(database)
    scope, known = Scope(frozenset({rep_id})), KnownPlans()
    async with database.reading() as session:
        plan = await find_plan(session, scope, plan_id, None)
        assert plan is not None
        for z in (2, 6, 8):
            tile = tile_at(*HERE, z)
            mine = decode(await cell_tiles.read_tile(session, known, scope, plan, tile, 1))
            assert {c["territory_id"] for c in mine} == {territories[2]}
            assert sum(c["n_cells"] for c in mine) <= (alignment == 2).sum()
            assert not any("customers" in c for c in mine)
        nobody = Scope(frozenset({0}))
        assert not await cell_tiles.read_tile(session, known, nobody, plan, tile, 1)


async def test_a_large_plan_stays_below_the_size_at_every_zoom(
    client: httpx.AsyncClient, database: Database
) -> None:
    """Some 60,000 cells, of which the nearest 40 territories change at every step."""
    lon, lat = np.meshgrid(np.arange(117, 124, 0.02), np.arange(28, 34, 0.02))
    cells = np.unique(cells_from_points(lon.ravel(), lat.ravel(), 7))
    alignment = np.arange(len(cells)) % 4
    plan_id, _ = await add_plan(database, cells, alignment.astype(np.int64))
    assert len(cells) > 60_000
    for z in range(12):
        shown = await fetch(client, *tile_at(*HERE, z), plan_id=plan_id)
        assert len(shown) > 0


async def test_cells_at_the_antimeridian_are_on_both_sides(
    client: httpx.AsyncClient, database: Database
) -> None:
    lon, lat = np.meshgrid(np.linspace(179.5, 180.5, 40), np.linspace(-17, -16, 40))
    cells = np.unique(cells_from_points((lon.ravel() + 180) % 360 - 180, lat.ravel(), 5))
    plan_id, _ = await add_plan(database, cells, np.zeros(len(cells), dtype=np.int64))
    sides = [
        [c for y in (-16.1, -16.9) for c in await fetch(client, *tile_at(x, y, 6), plan_id=plan_id)]
        for x in (-179.9, 179.9)
    ]
    west, east = sides
    both = {c["cell"] for c in west} & {c["cell"] for c in east}
    assert len(both) > 0
    assert {c["cell"] for c in west} | {c["cell"] for c in east} == set(cells_to_text(cells))
