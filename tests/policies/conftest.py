"""Four territories around Shanghai, their customers, their reps, and policies that watch them."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.activity import fold
from app.activity.rollup import snapshot
from app.db.session import Database
from geo.cell_sets import owners_of
from geo.cells import CUSTOMER_RESOLUTION, CellArray, cells_from_points
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch, quarters

HERE = (121.47, 31.23)
KINDS = ("max_customers", "growth", "efficiency_gap", "utilisation", "vacancy")


@dataclass
class Field:
    """A layer with a plan in force; territories by number, T01 is 0."""

    database: Database
    layer_id: int
    plan_id: int
    territory_ids: list[int]
    cells: CellArray
    alignment: np.ndarray
    reps: dict[str, int]

    async def run(self, statement: str, **values: Any) -> None:
        """Execute a statement, and bring the sums up to date."""
        async with self.database.writing() as session:
            await session.execute(text(statement), values)
        await fold(self.database)

    async def keep_month(self, day: date) -> None:
        """Take the picture of the month as it is now."""
        await fold(self.database)
        async with self.database.writing() as session:
            await snapshot(session, day)


def places(n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where customers are, within the plans of `field_of`, and their cells."""
    rng = np.random.default_rng(seed)
    lon, lat = (middle + rng.uniform(-0.3, 0.3, n) for middle in HERE)
    return lon, lat, cells_from_points(lon, lat, CUSTOMER_RESOLUTION)


def territory_of(field: Field, cells: CellArray) -> np.ndarray:
    """The number of the territory of each cell, -1 for none."""
    owners = owners_of(field.cells, cells)
    return np.where(owners >= 0, field.alignment[owners], -1)


async def field_of(
    database: Database, resolution: int = 6, cells: CellArray | None = None, **layer: Any
) -> Field:
    """A layer and a plan; T01 to T03 have a rep, T04 has none."""
    ground = patch(*HERE, 0.9, resolution) if cells is None else cells
    alignment = quarters(ground)
    plan_id, ids = await add_plan(database, ground, alignment, **layer)
    reps = {f"T0{n + 1}": await add_owner(database, ids[n], f"R{n + 1}") for n in range(3)}
    async with database.reading() as session:
        query = text("SELECT layer_id FROM plan WHERE id = :id")
        layer_id = int(await session.scalar(query, {"id": plan_id}) or 0)
    return Field(database, layer_id, plan_id, ids, ground, alignment, reps)


@pytest.fixture
async def field(database: Database) -> Field:
    """Four hundred customers, a hundred or so in each territory."""
    found = await field_of(database)
    lon, lat, _ = places(400)
    revenue = (np.arange(400) % 7 + 1.0).tolist()
    await add_customers(database, lon, lat, revenue=revenue, work_minutes=900.0)
    await fold(database)
    return found


async def add_policy(client: httpx.AsyncClient, kind: str, **members: Any) -> dict[str, Any]:
    """Create a policy through the API."""
    body = {"kind": kind, "name": f"Watch {kind}", **members}
    answer = await client.post("/v1/policies", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def evaluated(client: httpx.AsyncClient, layer_id: int) -> dict[str, Any]:
    """Evaluate the policies of a layer through the API."""
    answer = await client.post("/v1/policies:evaluate", json={"layer_id": layer_id})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def alerts(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """List alerts through the API."""
    answer = await client.get("/v1/alerts", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])
