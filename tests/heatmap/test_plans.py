"""How PostgreSQL executes the heatmap's statements on sixty thousand rows of two resolutions."""

import re
from typing import Any

import numpy as np
from sqlalchemy import Select, create_engine, text

from app.db.access import Access
from app.db.customer_filter import CustomerFilter
from app.db.heat import heat_rows
from app.db.scope import EVERYTHING
from app.db.session import Database
from app.settings import Settings
from geo.bbox import BoundingBox
from geo.cover import cover
from geo.fill import fill
from tests.search.crowd import add_customers, analyze
from tests.tiles.ground import add_plan, patch, quarters

# All cells of a land, two rows each.
LAND = BoundingBox(100, 30, 102.5, 32)
CITY = BoundingBox(100.5, 30.5, 100.9, 30.8)
SUMS = text("""
    INSERT INTO activity_cell
    SELECT :resolution, cell, class, '', 3, 1, 1, 1, 1
    FROM unnest(CAST(:cells AS bigint[])) AS cells (cell), (VALUES ('A'), ('B')) AS classes (class)
""")


async def _fill(database: Database, settings: Settings) -> None:
    async with database.writing() as session:
        for resolution in (7, 8):
            cells = fill(LAND.polygon(), resolution).astype(np.int64).tolist()
            await session.execute(SUMS, {"resolution": resolution, "cells": cells})
    lon, lat = np.random.default_rng(0).uniform((100, 30), (102.5, 32), (50_000, 2)).T
    await add_customers(database, lon, lat)
    analyze(settings)
    engine = create_engine(Access.of(settings).owner_url)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE activity_cell"))
    engine.dispose()


async def explain(database: Database, statement: Select[Any]) -> str:
    """The plan of a statement, as the application's own role and session would run it."""
    compiled = statement.compile(
        database.engine.sync_engine, compile_kwargs={"render_postcompile": True}
    )
    async with database.reading() as session:
        connection = await session.connection()
        lines = await connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.construct_params())
        return "\n".join(line for (line,) in lines)


async def test_heat_walks_the_ranges_of_the_view(database: Database, settings: Settings) -> None:
    await _fill(database, settings)
    covering = cover(CITY, 8)
    for wanted in (CustomerFilter(), CustomerFilter(classes=("A",))):
        rows = heat_rows(EVERYTHING, "revenue", wanted, 8, covering, 1)
        plan = await explain(database, rows)
        assert re.search("Index Scan using (pk|ix)_activity_cell", plan), plan
        assert "Seq Scan" not in plan, plan
        assert "Sort" not in plan, plan
    by_status = CustomerFilter(statuses=("active",))
    plan = await explain(database, heat_rows(EVERYTHING, "revenue", by_status, 8, covering, 1))
    assert "ix_customer_cell" in plan, plan
    assert "Seq Scan on customer" not in plan, plan


async def test_heat_of_a_territory_reads_its_customers_in_view(
    database: Database, settings: Settings
) -> None:
    await _fill(database, settings)
    cells = patch(101.2, 31.0, 0.8, 7)
    await add_plan(database, cells, quarters(cells))
    analyze(settings)
    for wanted in (CustomerFilter(territory_id=1), CustomerFilter(rep_id=1, tags=("key",))):
        rows = heat_rows(EVERYTHING, "revenue", wanted, 8, cover(CITY, 8), 1)
        plan = await explain(database, rows)
        assert "plan_cell_1" in plan, plan
        assert "ix_customer_cell" in plan, plan
        assert not re.search("Seq Scan on customer( |$)", plan, re.MULTILINE), plan
