"""How the database draws tiles over a hundred thousand customers, as the application's own role."""

from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from sqlalchemy import event, text

from app.activity import fold
from app.db.customer_filter import CustomerFilter
from app.db.generation import read_generations
from app.db.scope import EVERYTHING
from app.db.session import Database, ReadSession
from app.settings import Settings
from app.tiles import cell_tiles, customer_tiles, fence_tiles, heat_tiles, territory_tiles
from app.tiles.plan_cells import KnownPlans
from app.tiles.plans import ShownPlan, find_plan
from geo.tiles import tile_at
from tests.search.crowd import add_customers, analyze, clear
from tests.tiles.ground import add_plan, patch, quarters

HERE = (121.47, 31.23)
N = 100_000
FENCES = text("""
    INSERT INTO geofence (name, geom)
    SELECT 'F', ST_Multi(ST_MakeEnvelope(x, y, x + 0.01, y + 0.01, 4326))
    FROM generate_series(110, 130, 0.2) AS x, generate_series(22, 40, 0.25) AS y
""")
LARGE = ("customer", "activity_cell", "geofence")
Draw = Callable[[ReadSession, ShownPlan, tuple[int, int, int]], Awaitable[object]]
DRAWINGS: dict[str, Draw] = {
    "customers": lambda session, plan, tile: customer_tiles.read_tile(
        session, EVERYTHING, plan, *tile
    ),
    "a viewer's customers": lambda session, plan, tile: customer_tiles.read_tile(
        session, EVERYTHING, plan, *tile, 5
    ),
    "heat": lambda session, plan, tile: heat_tiles.read_tile(
        session, EVERYTHING, "customers", CustomerFilter(), tile, 1
    ),
    "cells": lambda session, plan, tile: cell_tiles.read_tile(
        session, KnownPlans(), EVERYTHING, plan, tile, 1
    ),
    "territories": lambda session, plan, tile: territory_tiles.read_tile(
        session, EVERYTHING, plan.id, *tile, fewest=1
    ),
    "a viewer's territories": lambda session, plan, tile: territory_tiles.read_tile(
        session, EVERYTHING, plan.id, *tile, fewest=5
    ),
    "geofences": lambda session, plan, tile: fence_tiles.read_tile(session, *tile),
    "generation": lambda session, plan, tile: read_generations(session),
}


@pytest.fixture(scope="module")
async def crowded(settings: Settings) -> AsyncIterator[Database]:
    clear(settings)
    database = Database.of(settings, has_timeout=False)
    rng = np.random.default_rng(0)
    # Some of them where the tiles are.
    around = np.where(rng.random(N) < 0.02, 0.01, 9.0)
    lon = HERE[0] + around * rng.uniform(-1, 1, N)
    lat = HERE[1] + around * rng.uniform(-1, 1, N)
    await add_customers(database, lon, lat)
    cells = patch(*HERE, 2, 7)
    await add_plan(database, cells, quarters(cells))
    async with database.writing() as session:
        await session.execute(FENCES)
    await fold(database)
    analyze(settings)
    yield database
    await database.close()
    clear(settings)


async def plans_of(database: Database, name: str, z: int) -> list[str]:
    """What EXPLAIN says of every statement that drawing a tile sends."""
    sent: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, values: object, *_: object
    ) -> None:
        sent.append((statement, values))

    async with database.reading() as session:
        plan = await find_plan(session, EVERYTHING, None, None)
        assert plan is not None
        connection = await session.connection()
        engine = connection.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            assert await DRAWINGS[name](session, plan, tile_at(*HERE, z))
        finally:
            event.remove(engine, "before_cursor_execute", note)
        explained = []
        for statement, values in sent:
            lines = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
            explained.append("\n".join(line for (line,) in lines))
    return explained


@pytest.mark.parametrize(
    ("name", "z"),
    [
        ("customers", 14),
        ("customers", 9),
        ("a viewer's customers", 13),
        ("heat", 9),
        ("heat", 12),
        ("cells", 9),
        ("territories", 9),
        ("a viewer's territories", 9),
        ("geofences", 9),
        ("generation", 9),
    ],
)
async def test_a_tile_reads_no_large_table_from_end_to_end(
    crowded: Database, name: str, z: int
) -> None:
    explained = await plans_of(crowded, name, z)

    assert explained
    for plan in explained:
        for table in LARGE:
            assert f"Seq Scan on {table} " not in f"{plan} ", plan
