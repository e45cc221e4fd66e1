"""A few hundred customers in and around one city, and plans designed from them for real."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.activity import fold
from app.db.session import Database
from app.jobs.child import run_child
from app.jobs.runs import RunContext
from geo.cells import cells_from_points
from tests.conftest import Drain

DesignPlan = Callable[..., Awaitable[dict[str, Any]]]
Designs = dict[bytes, dict[str, bytes]]

INSERT = text("""
    INSERT INTO customer (external_id, name, geom, cell, class, segment, work_minutes, potential)
    VALUES (:external_id, :external_id, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), :cell, 'B',
        :segment, :work, 100)
""")


async def add_customers(
    database: Database, lon: Any, lat: Any, prefix: str = "C", work: float = 100.0
) -> None:
    """Store customers at these places; every fourth is in the segment education."""
    cells = cells_from_points(lon, lat, 12)
    rows = [
        {
            "external_id": f"{prefix}{number}",
            "lon": float(lon[number]),
            "lat": float(lat[number]),
            "cell": int(cells[number]),
            "segment": "education" if number % 4 == 0 else "retail",
            "work": work,
        }
        for number in range(len(lon))
    ]
    async with database.writing() as session:
        await session.execute(INSERT, rows)
    await fold(database)


@pytest.fixture
async def customers(database: Database) -> int:
    """Six hundred customers inland, denser in the middle."""
    random = np.random.default_rng(7)
    lon = 113.0 + random.normal(0, 0.6, 600)
    lat = 30.5 + random.normal(0, 0.45, 600)
    await add_customers(database, lon, lat)
    return 600


@pytest.fixture
async def layer_id(client: httpx.AsyncClient) -> int:
    answer = await client.post("/v1/layers", json={"name": "all"})
    return int(answer.json()["id"])


@pytest.fixture(scope="session")
def designs() -> Designs:
    """What children left, by what they were given."""
    return {}


@pytest.fixture
def designed_once(designs: Designs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each plan designed once, for tests of what becomes of a plan.

    Equal input gives the equal plan: that is for test_design and test_determinism to show.
    """

    monkeypatch.setattr("app.plans.job.run_child", once_for_each_input(designs))


def once_for_each_input(designs: Designs) -> Callable[..., Awaitable[None]]:
    """A `run_child` that computes what it has not computed before."""

    async def run_once(context: RunContext, module: str, folder: Path, *window: float) -> None:
        given = _files(folder)
        key = hashlib.sha256(repr(sorted(given.items())).encode()).digest()
        if key not in designs:
            await run_child(context, module, folder, *window)
            designs[key] = _files(folder)
        for name, content in designs[key].items():
            (folder / name).write_bytes(content)

    return run_once


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def design_plan(client: httpx.AsyncClient, drain: Drain) -> DesignPlan:
    """Design a plan through the API and a worker; return the run when it is over."""

    async def design(**request: Any) -> dict[str, Any]:
        answer = await client.post("/v1/plans", json=request)
        assert answer.status_code == 202, answer.text
        await drain()
        run: dict[str, Any] = (await client.get(answer.headers["Location"])).json()
        return run

    return design
