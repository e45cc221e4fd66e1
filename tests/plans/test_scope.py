"""What a rep sees of plans: its own territories, and nothing that tells of others."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.auth import create_key
from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from tests.conftest import ANY_VERSION
from tests.plans.conftest import DesignPlan
from tests.second_process import transport_to

pytestmark = pytest.mark.usefixtures("designed_once")


@pytest.fixture
async def published(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> dict[str, Any]:
    """A plan in force whose first territory has a rep."""
    run = await design_plan(layer_id=layer_id, n_territories=4)
    href = run["result"]["href"]
    lon, lat = (await client.get(href)).json()["balance"][0]["label_point"]
    rep = {"external_id": "R", "name": "R", "home_lon": lon, "home_lat": lat}
    assert (await client.post("/v1/reps", json=rep)).status_code == 201
    assert (await client.post(f"{href}:publish", headers=ANY_VERSION)).status_code == 201
    plan: dict[str, Any] = (await client.get(href)).json()
    return plan


@pytest.fixture
async def rep(
    settings: Settings, database: Database, published: dict[str, Any]
) -> AsyncIterator[httpx.AsyncClient]:
    """The rep of the first territory, with a key."""
    async with database.writing() as session:
        key = await create_key(session, "R", "rep", published["balance"][0]["rep"]["id"])
    application = create_app(settings.model_copy(update={"auth": "on"}))
    transport = transport_to(application)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost", headers=headers
    ) as client:
        yield client
    await application.state.database.close()


async def test_a_rep_sees_its_territory_and_no_total(
    rep: httpx.AsyncClient, published: dict[str, Any]
) -> None:
    (own,) = published["balance"][:1]

    plan = (await rep.get(f"/v1/plans/{published['id']}")).json()
    (listed,) = (await rep.get("/v1/plans")).json()["items"]

    assert [row["code"] for row in plan["balance"]] == [own["code"]]
    for seen in (plan, listed):
        assert seen["bbox"] == own["bbox"]
        assert (seen["n_territories"], seen["n_cells"]) == (1, own["n_cells"])
    assert (plan["scores"], plan["parameters"], plan["components"]) == ({}, {}, [])


async def test_a_rep_gets_only_the_cells_and_outline_of_its_territory(
    rep: httpx.AsyncClient, published: dict[str, Any]
) -> None:
    (own,) = published["balance"][:1]

    cells = (await rep.get(f"/v1/plans/{published['id']}/cells")).json()["cells"]
    outlines = (await rep.get(f"/v1/plans/{published['id']}/territories")).json()["features"]

    assert {code for _, code in cells} == {own["code"]}
    assert len(cells) == own["n_cells"]
    assert [feature["properties"]["code"] for feature in outlines] == [own["code"]]


async def test_the_manifest_is_not_for_reps(
    rep: httpx.AsyncClient, published: dict[str, Any]
) -> None:
    assert (await rep.get(f"/v1/plans/{published['id']}/manifest")).status_code == 404


async def test_a_rep_cannot_ask_for_the_customers_of_another_territory(
    rep: httpx.AsyncClient, published: dict[str, Any]
) -> None:
    own, other = published["balance"][:2]

    async def count(territory: dict[str, Any]) -> int:
        query = {"territory_id": territory["territory_id"], "limit": 1000}
        return len((await rep.get("/v1/customers", params=query)).json()["items"])

    assert await count(own) == own["customers"]
    assert await count(other) == 0
