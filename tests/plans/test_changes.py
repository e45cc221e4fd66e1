"""Publishing a plan whose customers have changed since it was designed."""

from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.db.session import Database
from tests.conftest import ANY_VERSION
from tests.plans.conftest import DesignPlan, add_customers

pytestmark = pytest.mark.usefixtures("designed_once")


@pytest.fixture
async def draft(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> str:
    run = await design_plan(layer_id=layer_id, n_territories=4)
    return str(run["result"]["href"])


async def post(client: httpx.AsyncClient, href: str, step: str, **body: Any) -> httpx.Response:
    return await client.post(f"{href}:{step}", json=body, headers=ANY_VERSION)


async def more_customers(
    client: httpx.AsyncClient, database: Database, href: str, n: int, work: float = 100.0
) -> None:
    """Put customers where the first territory has its label."""
    lon, lat = (await client.get(href)).json()["balance"][0]["label_point"]
    await add_customers(database, np.full(n, lon), np.full(n, lat), prefix="N", work=work)


async def test_a_few_customers_more_are_no_obstacle(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    await more_customers(client, database, draft, 1)

    assert (await post(client, draft, "publish")).status_code == 201


async def test_many_more_are_told_and_can_be_accepted(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    before = (await client.get(draft)).content
    await more_customers(client, database, draft, 60)

    refused = await post(client, draft, "publish")

    assert refused.status_code == 409
    told = [fault["detail"] for fault in refused.json()["errors"]]
    assert told[0] == "600 customers then, 660 now (10.0%)"
    assert told[1] == "60000 minutes of work then, 66000 now"
    assert told[2].startswith("work_minutes was off by up to")
    assert f"{draft}:refresh" in refused.json()["detail"]
    assert (await client.get(draft)).content == before

    assert (await post(client, draft, "publish", accept_changes=True)).status_code == 201
    (event,) = (await client.get(f"{draft}/events")).json()["items"]
    assert event["detail"]["accepted"]["customers"] == [600, 660]


async def test_a_plan_that_is_out_of_balance_now_is_held_up_though_few_customers_came(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    await more_customers(client, database, draft, 3, work=3000.0)

    refused = await post(client, draft, "publish")

    assert refused.status_code == 409
    assert "600 customers then, 603 now (0.5%)" in refused.text


async def test_a_draft_that_is_counted_anew_tells_of_today_and_is_published(
    client: httpx.AsyncClient, database: Database, draft: str
) -> None:
    await more_customers(client, database, draft, 60)
    cells = (await client.get(f"{draft}/cells")).content

    refreshed = await post(client, draft, "refresh")

    assert refreshed.status_code == 200
    view = refreshed.json()
    assert sum(row["customers"] for row in view["balance"]) == pytest.approx(660, abs=30)
    assert view["max_imbalance"]["work_minutes"] > 0.05
    assert {v["code"] for v in view["violations"]} == {"tolerance_not_met"}
    assert (await client.get(f"{draft}/cells")).content == cells
    assert (await post(client, draft, "publish")).status_code == 201
    assert (await post(client, draft, "refresh")).status_code == 409


async def test_a_rollback_is_not_held_up_by_customers(
    client: httpx.AsyncClient, database: Database, draft: str, layer_id: int,
    design_plan: DesignPlan,
) -> None:  # fmt: skip
    await post(client, draft, "publish")
    run = await design_plan(layer_id=layer_id, n_territories=5)
    await post(client, run["result"]["href"], "publish")
    async with database.writing() as session:
        await session.execute(text("DELETE FROM customer WHERE id % 2 = 0"))

    assert (await post(client, draft, "rollback")).status_code == 201
