"""How the database draws tiles over a hundred thousand customers, as the application's own role."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.db.customer_filter import CustomerFilter
from app.db.generation import read_generations
from app.db.scope import EVERYTHING
from app.db.session import Database, ReadSession
from app.settings import Settings
from app.tiles import cell_tiles, customer_tiles, fence_tiles, heat_tiles, territory_tiles
from app.tiles.plan_cells import KnownPlans
from app.tiles.plans import ShownPlan, find_plan
from geo.tiles import tile_at
from tests.crowded_ground import HERE, crowded_ground, explained, read_whole, statements_sent

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
    async with crowded_ground(settings) as database:
        yield database


async def plans_of(database: Database, name: str, z: int) -> list[str]:
    """What EXPLAIN says of every statement that drawing a tile sends."""
    async with database.reading() as session:
        plan = await find_plan(session, EVERYTHING, None, None)
        assert plan is not None
        with statements_sent(database) as sent:
            assert await DRAWINGS[name](session, plan, tile_at(*HERE, z))
    return await explained(database, sent)


@pytest.mark.parametrize(
    ("name", "z"),
    [
        *(("customers", z) for z in (0, 5, 9, 11, 12, 14, 18)),
        *(("a viewer's customers", z) for z in (0, 5, 9, 13, 15)),
        *(("heat", z) for z in (0, 5, 9, 12, 16)),
        *(("cells", z) for z in (0, 5, 7, 9, 12, 16)),
        *(("territories", z) for z in (0, 5, 7, 9, 14)),
        ("a viewer's territories", 9),
        # Wider ones hold every fence there is here.
        *(("geofences", z) for z in (7, 9, 12, 16)),
        ("generation", 9),
    ],
)
async def test_a_tile_reads_no_large_table_from_end_to_end(
    crowded: Database, name: str, z: int
) -> None:
    plans = await plans_of(crowded, name, z)

    assert plans
    for plan in plans:
        assert not read_whole(plan), plan
