"""How plans stand: sums per cell and named accounts against customers counted one by one."""

from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.activity import fold
from app.db.session import Database
from app.plans import standing as subject
from app.plans.standing import measure_standing
from tests.plans.conftest import DesignPlan, add_customers

pytestmark = pytest.mark.usefixtures("designed_once")


@pytest.mark.parametrize("customer_filter", [{}, {"segment": ["retail"]}])
async def test_sums_and_counts_agree(
    client: httpx.AsyncClient, database: Database, customers: int, design_plan: DesignPlan,
    customer_filter: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    body = {"name": "some", "customer_filter": customer_filter}
    layer = (await client.post("/v1/layers", json=body)).json()["id"]
    run = await design_plan(layer_id=layer, n_territories=4)
    plan_id = run["result"]["plan_id"]
    random = np.random.default_rng(5)
    await add_customers(
        database, random.uniform(110, 116, 200), random.uniform(28, 33, 200), "more", 37.5
    )
    async with database.writing() as session:
        await session.execute(text("UPDATE customer SET revenue = id, potential = 3 * id"))
        await session.execute(text("UPDATE customer SET status = 'inactive' WHERE id % 11 = 0"))
        await session.execute(
            text("""
                INSERT INTO customer_override
                    (layer_id, customer_id, territory_code, during, reason)
                SELECT :layer, id, CASE WHEN id % 3 = 0 THEN 'T99' ELSE 'T02' END,
                    tstzrange(now() - interval '1 day',
                        CASE WHEN id % 5 = 0 THEN now() - interval '1 hour' END), 'key'
                FROM customer WHERE id % 7 = 0
            """),
            {"layer": layer},
        )
    await fold(database)

    async with database.reading() as session:
        by_sums = await measure_standing(session, plan_id)
        monkeypatch.setattr(subject, "FINEST", 0)
        by_counts = await measure_standing(session, plan_id)

    for name in ("sums", "targets", "uncovered", "imbalance"):
        np.testing.assert_allclose(
            getattr(by_sums, name), getattr(by_counts, name), rtol=1e-9, atol=1e-6
        )
    assert by_sums.uncovered[1] > 0
    assert by_sums.worst("work_minutes") > 0.01
