"""How the database finds a rep's customers among a hundred thousand, as the application's role."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from app.db import scope as scopes
from app.db.customer_filter import CustomerFilter
from app.db.heat import heat_rows
from app.db.scope import EVERYTHING, Scope
from app.db.session import Database
from app.db.spatial import geography
from app.geofences.coverage import total_of
from app.search.repository import around_each, in_area, nearest
from app.settings import Settings
from app.tiles import customer_tiles
from geo.bbox import BoundingBox
from geo.cell_ids import descendant_range, joined_ranges
from geo.cover import cover
from geo.geojson import polygon_from_geojson
from geo.tiles import tile_at
from tests.search.crowd import add_customers, analyze, clear
from tests.search.test_polygon import box
from tests.search.test_search import explain
from tests.tiles.ground import add_owner, add_plan, patch, quarters

HERE, FAR = (121.47, 31.23), (2.35, 48.85)
N = 100_000


@pytest.fixture(scope="module")
async def owned(settings: Settings) -> AsyncIterator[tuple[Database, int, int]]:
    """The database, a territory with a few hundred of the customers, and the rep it belongs to."""
    clear(settings)
    database = Database.of(settings, has_timeout=False)
    rng = np.random.default_rng(0)
    around = np.where(rng.random(N) < 0.02, 0.04, 9.0)
    lon = HERE[0] + around * rng.uniform(-1, 1, N)
    lat = HERE[1] + around * rng.uniform(-1, 1, N)
    await add_customers(database, lon, lat)
    cells = patch(*HERE, 2, 7)
    _, territories = await add_plan(database, cells, quarters(cells))
    rep_id = await add_owner(database, territories[0], "rep")
    analyze(settings)
    yield database, territories[0], rep_id
    await database.close()
    clear(settings)


def steps_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every step of a plan."""
    yield plan
    for inner in plan.get("Plans", []):
        yield from steps_of(inner)


def reads_few(explained: str) -> None:
    """Customers come from the cells of the territory, and nobody else is looked at."""
    assert "ix_customer_cell" in explained, explained
    assert "Seq Scan on customer " not in explained, explained
    assert "ix_customer_geo" not in explained, explained


@pytest.mark.parametrize("limited_by", ["scope", "territory_id", "rep_id"])
async def test_a_search_without_bounds_starts_from_the_cells_of_the_territories(
    owned: tuple[Database, int, int], limited_by: str
) -> None:
    database, territory_id, rep_id = owned
    conditions = {
        "scope": [scopes.customers_at_large(Scope(frozenset({rep_id})))],
        "territory_id": CustomerFilter(territory_id=territory_id).conditions(EVERYTHING),
        "rep_id": CustomerFilter(rep_id=rep_id).conditions(EVERYTHING),
    }[limited_by]
    far, world = geography(*FAR), polygon_from_geojson(box(-180, -90, 180, 90))

    reads_few(await explain(database, nearest(far, far, conditions, 20, is_walk=False)))
    reads_few(await explain(database, in_area(world, conditions, 0, 100), limit=100))
    batch = around_each([(*FAR, *FAR)] * 5, None, conditions, 5, 15, is_walk=False)
    reads_few(await explain(database, batch))


async def test_sums_of_a_scope_start_from_the_cells_of_its_territories(
    owned: tuple[Database, int, int],
) -> None:
    database, _, rep_id = owned
    reads_few(await explain(database, total_of(Scope(frozenset({rep_id})))))


@pytest.mark.parametrize("z", [0, 5, 9])
async def test_a_wide_tile_of_a_scope_starts_from_the_cells_of_its_territories(
    owned: tuple[Database, int, int], z: int
) -> None:
    database, _, rep_id = owned
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    async with database.reading() as session:
        connection = await session.connection()
        engine = connection.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            scope = Scope(frozenset({rep_id}))
            assert await customer_tiles.read_tile(session, scope, None, *tile_at(*HERE, z))
        finally:
            event.remove(engine, "before_cursor_execute", note)
        ((statement, values),) = sent
        lines = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
        reads_few("\n".join(line for (line,) in lines))


async def test_heat_of_a_scope_looks_into_the_cells_of_its_territories_in_the_view_alone(
    owned: tuple[Database, int, int],
) -> None:
    database, _, rep_id = owned
    view = cover(BoundingBox(121.43, 31.19, 121.45, 31.21), 8)
    rows = heat_rows(Scope(frozenset({rep_id})), "revenue", CustomerFilter(), 8, view, 1)
    first, last = joined_ranges(view)
    cells = patch(*HERE, 2, 7)
    own = cells[quarters(cells) == 0]
    low, high = descendant_range(own)
    in_view = (high[:, None] >= first) & (low[:, None] <= last)

    reads_few(await explain(database, rows))
    async with database.reading() as session:
        connection = await session.connection()
        sent = rows.compile(connection.engine.sync_engine).construct_expanded_state()
        analyzed = await connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {sent.statement}", sent.parameters
        )
        steps = list(steps_of(analyzed.scalar_one()[0]["Plan"]))

    assert 0 < in_view.sum() < 0.1 * len(own)
    looks = [step for step in steps if step.get("Index Name") == "ix_customer_cell"]
    assert sum(step["Actual Loops"] for step in looks) == in_view.sum()
    assert steps[0]["Actual Rows"] > 0
