"""Tiles of customers: nobody is lost, nobody is shown twice, no tile is too large."""

from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import insert, select

from app.activity import fold
from app.db.membership import in_territories
from app.db.scope import Scope
from app.db.session import Database
from app.db.tables import Customer, CustomerOverride, Territory
from app.tiles import customer_tiles
from geo.cells import CUSTOMER_RESOLUTION, ancestors, cells_from_points, points_from_cells
from geo.tiles import MAX_LATITUDE, resolution_for_zoom, tile_at, tile_bounds
from tests.search.crowd import add_customers
from tests.tiles.ground import ALWAYS, add_owner, add_plan, patch, quarters

Floats = NDArray[np.float64]
Tile = tuple[int, int, int]


async def features(client: httpx.AsyncClient, tile: Tile, **query: Any) -> list[dict[str, Any]]:
    z, x, y = tile
    answer = await client.get(f"/v1/tiles/customers/{z}/{x}/{y}.mvt", params=query)
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    assert len(answer.content) <= 500_000
    layers = mapbox_vector_tile.decode(answer.content)
    assert list(layers) == ["customers"]
    found: list[dict[str, Any]] = layers["customers"]["features"]
    return found


def tiles_of(lon: Floats, lat: Floats, z: int) -> set[Tile]:
    """The tiles that customers, or the centres of their rollup cells, fall into."""
    cells = cells_from_points(lon, lat, CUSTOMER_RESOLUTION)
    centres = points_from_cells(ancestors(cells, max(2, resolution_for_zoom(z, 9))))
    points = [*zip(lon, lat, strict=True), *zip(*centres, strict=True)]
    return {tile_at(float(a), float(b), z) for a, b in points}


@pytest.fixture
async def scattered(database: Database) -> tuple[Floats, Floats]:
    """Customers on corners and rims of tiles, at the poles, on both sides of 180°, and anywhere."""
    rng = np.random.default_rng(3)
    corner = tile_bounds(12, 3000, 1500)
    special = [
        (0, 0), (180, 0), (-180, 0), (180, 70), (-180, 70), (90, 0), (0, 90), (17, -90), (5, 86),
        (corner.west, corner.north), (corner.east, corner.south), (0, MAX_LATITUDE),
        (0, -MAX_LATITUDE), (121.47, 31.23), (121.47, 31.23), (121.47, 31.23),
    ]  # fmt: skip
    lon = np.concatenate([[p[0] for p in special], rng.uniform(-180, 180, 40)])
    lat = np.concatenate([[p[1] for p in special], rng.uniform(-90, 90, 40)])
    status = ["inactive" if i % 10 == 3 else "lead" for i in range(len(lon))]
    await add_customers(database, lon, lat, status=status, work_minutes=12.5)
    await fold(database)
    served = np.array(status) != "inactive"
    return lon[served], lat[served]


async def test_every_served_customer_is_in_exactly_one_tile_of_a_zoom(
    client: httpx.AsyncClient, scattered: tuple[Floats, Floats]
) -> None:
    lon, lat = scattered
    for z in (0, 1, 4, 8, 11, 12, 17, 22):
        shown = [f for tile in tiles_of(lon, lat, z) for f in await features(client, tile)]
        assert sum(f["properties"]["n"] for f in shown) == len(lon)
        work = sum(f["properties"]["work_minutes"] for f in shown)
        assert work == pytest.approx(12.5 * len(lon))


def on_map(lon: float, lat: float, z: int) -> tuple[Tile, tuple[float, float]]:
    """The tile of a point and where it is there, from 0 to 4096, by the definition of the map.

    https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames; who is beyond the map is on its rim.
    """
    n = 1 << z
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 if abs(lat) < 90 else (lat < 0) * 1.0
    place = np.clip([(lon + 180) / 360, y], 0, 1) * n
    # Corners of tiles are a rounding or two beside the whole numbers that they are.
    whole = np.round(place)
    place = np.where(np.abs(place - whole) < 1e-6, whole, place)
    column, row = (int(i) for i in np.minimum(np.floor(place), n - 1))
    return (z, column, row), ((place[0] - column) * 4096, (place[1] - row) * 4096)


@pytest.mark.parametrize("z", [12, 15, 22])
async def test_a_tile_of_single_customers_holds_exactly_its_own_where_they_are(
    client: httpx.AsyncClient, database: Database, z: int
) -> None:
    """No buffer: no customer is in two tiles, not even one that stands on a border."""
    corner, rng = tile_bounds(12, 3000, 1500), np.random.default_rng(9)
    special = [
        (0, 0), (180, 70), (-180, 70), (0, 90), (17, -90), (5, 86), (corner.west, corner.north),
        (corner.east, corner.south), (0, MAX_LATITUDE), (0, -MAX_LATITUDE),
    ]  # fmt: skip
    # Around a corner as well: by units of a tile of zoom 12, on all of its four sides.
    unit = (corner.east - corner.west) / 4096 * rng.uniform(-3, 3, (12, 2))
    places = np.array([*special, *(np.array([corner.west, corner.north]) + unit)])
    lon, lat = places.T
    status = ["inactive" if i % 11 == 10 else "active" for i in range(len(places))]
    await add_customers(database, lon, lat, status=status)
    expected: dict[Tile, dict[str, tuple[float, float]]] = {}
    for i in np.flatnonzero(np.array(status) == "active").tolist():
        tile, place = on_map(*places[i], z)
        expected.setdefault(tile, {})[f"C{i}"] = place
    last = (1 << z) - 1
    beside = {
        (z, (x + dx) % (last + 1), y + dy)
        for _, x, y in expected
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
        if 0 <= y + dy <= last
    }

    async with database.reading() as session:
        ids = dict((await session.execute(select(Customer.external_id, Customer.id))).all())
    for tile in beside:
        shown = {f["properties"]["external_id"]: f for f in await features(client, tile)}
        own = expected.get(tile, {})
        assert set(shown) == set(own), tile
        for name, feature in shown.items():
            assert feature["id"] == feature["properties"]["id"] == ids[name]
            assert feature["properties"]["n"] == 1
            x, y = feature["geometry"]["coordinates"]
            # The decoder counts from the south.
            apart = np.abs(np.array([x, 4096 - y]) - own[name])
            assert apart.max() <= 1, (tile, name)


async def test_a_limited_caller_gets_the_sums_of_its_own_customers(
    database: Database, scattered: tuple[Floats, Floats]
) -> None:
    cells = patch(121.47, 31.23, 0.6, 7)
    _, territories = await add_plan(database, cells, np.zeros(len(cells), dtype=np.int64))
    rep_id = await add_owner(database, territories[0], "Lin")
    async with database.reading() as session:
        for z in (0, 6, 12):
            tile = tile_at(121.47, 31.23, z)
            mine = await customer_tiles.read_tile(session, Scope(frozenset({rep_id})), None, *tile)
            other = await customer_tiles.read_tile(session, Scope(frozenset({0})), None, *tile)
            shown = mapbox_vector_tile.decode(mine)["customers"]["features"]
            assert sum(f["properties"]["n"] for f in shown) == 2
            assert other == b""


async def test_a_crowd_is_summed_up_instead_of_cut_off(
    client: httpx.AsyncClient, database: Database
) -> None:
    """20,000 customers, 6,000 of them in one tile of zoom 14 and 4,500 at one address."""
    rng = np.random.default_rng(5)
    bounds = tile_bounds(14, *tile_at(121.47, 31.23, 14)[1:])
    lon = np.concatenate([
        rng.uniform(bounds.west, bounds.east, 1_500), np.full(4_500, 121.47),
        rng.normal(121.47, 0.1, 14_000),
    ])  # fmt: skip
    lat = np.concatenate([
        rng.uniform(bounds.south, bounds.north, 1_500), np.full(4_500, 31.23),
        rng.normal(31.23, 0.1, 14_000),
    ])  # fmt: skip
    await add_customers(database, lon, lat)
    await fold(database)

    for z in range(23):
        crowded = await features(client, tile_at(121.47, 31.23, z))
        assert 1 <= len(crowded) <= 4_000
        if z >= 12:
            west, south, east, north = tile_bounds(*tile_at(121.47, 31.23, z)).as_tuple()
            inside = (lon >= west) & (lon < east) & (lat > south) & (lat <= north)
            assert sum(f["properties"]["n"] for f in crowded) == inside.sum() >= 4_500
            assert "external_id" not in crowded[0]["properties"]
    rollup = [f for tile in tiles_of(lon, lat, 9) for f in await features(client, tile)]
    assert sum(f["properties"]["n"] for f in rollup) == 20_000


async def test_long_names_never_make_a_tile_too_large(
    client: httpx.AsyncClient, database: Database
) -> None:
    rng = np.random.default_rng(6)
    bounds = tile_bounds(*tile_at(121.47, 31.23, 13))
    lon = rng.uniform(bounds.west, bounds.east, 3_900)
    lat = rng.uniform(bounds.south, bounds.north, 3_900)
    await add_customers(database, lon, lat, segment=[f"{i:0>299}" for i in range(3_900)])

    shown = await features(client, tile_at(121.47, 31.23, 13))

    assert sum(f["properties"]["n"] for f in shown) == 3_900
    assert len(shown) < 3_900


async def test_a_single_customer_tells_who_it_is(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add_customers(
        database, np.array([121.47]), np.array([31.23]), segment="retail", work_minutes=90.5
    )
    (feature,) = await features(client, tile_at(121.47, 31.23, 14))
    assert feature["id"] == 1
    assert feature["properties"] == {
        "id": 1, "external_id": "C0", "name": "Customer 0", "class": "C", "segment": "retail",
        "status": "active", "n": 1, "work_minutes": 90.5,
    }  # fmt: skip


async def test_tiles_and_lists_agree_on_the_territory_of_every_customer(
    client: httpx.AsyncClient, database: Database
) -> None:
    """Cells decide, but named accounts win, and the layer's filter leaves customers out."""
    cells = patch(121.47, 31.23, 0.3, 7)
    wanted = {"segment": ["retail"]}
    plan_id, territories = await add_plan(database, cells, quarters(cells), customer_filter=wanted)
    rng = np.random.default_rng(8)
    lon, lat = rng.uniform(121.25, 121.69, 300), rng.uniform(31.01, 31.45, 300)
    segment = ["retail" if i % 4 else "education" for i in range(300)]
    await add_customers(database, lon, lat, segment=segment)
    async with database.writing() as session:
        for customer, code in ((1, "T01"), (2, "T02"), (3, "T03"), (6, "T04"), (7, "GONE")):
            await session.execute(
                insert(CustomerOverride).values(
                    layer_id=1, customer_id=customer, territory_code=code, during=ALWAYS, reason=""
                )
            )
    async with database.reading() as session:
        listed = {}
        for territory_id in territories:
            inside = in_territories(select(Territory.id).where(Territory.id == territory_id))
            for customer_id in await session.scalars(select(Customer.id).where(inside)):
                listed[customer_id] = territory_id

    drawn = {}
    for tile in tiles_of(lon, lat, 12):
        for feature in await features(client, tile, plan_id=plan_id):
            properties = feature["properties"]
            if "territory_id" in properties:
                drawn[properties["id"]] = properties["territory_id"]
                number = territories.index(properties["territory_id"]) + 1
                assert properties["code"] == f"T{number:02d}"

    assert drawn == listed
    assert 100 < len(drawn) < 225
    assert drawn[6] == territories[3]
    assert 7 not in drawn
