"""Tags of heat: nobody learns from a 304 what others are told."""

from collections.abc import AsyncIterator
from itertools import permutations

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.activity import fold
from app.db.session import Database
from app.settings import Settings
from tests.auth.clients import clients_of
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch, quarters

HERE = (121.47, 31.23)
VIEW = "/v1/heatmap?bbox=121,30.8,122,31.7"
ADDRESSES = [
    f"{VIEW}&resolution=7",
    f"{VIEW}&zoom=9&format=cells",
    f"{VIEW}&resolution=6&measure=revenue&class=C&format=cells",
    f"{VIEW}&resolution=7&measure=hot_spot",
    # Not of the rollups, for nobody.
    f"{VIEW}&resolution=7&status=active",
    "/v1/heatmap?resolution=4&format=cells",
]
Callers = dict[str, httpx.AsyncClient]


@pytest.fixture
async def callers(settings: Settings, database: Database) -> AsyncIterator[Callers]:
    """A planner, a viewer, two reps with a quarter of the ground each, and one with nothing."""
    cells = patch(*HERE, 0.6, 7)
    _, territories = await add_plan(database, cells, quarters(cells))
    rng = np.random.default_rng(2)
    n = 300
    places = np.array(HERE) + rng.uniform(-0.25, 0.25, (n, 2))
    # Whole numbers: the last digits of other sums depend on the order in which rows are found.
    revenue = rng.integers(1, 100, n).tolist()
    await add_customers(database, places[:, 0], places[:, 1], revenue=revenue)
    await fold(database)
    reps = [await add_owner(database, territories[i], name) for i, name in enumerate(("Li", "Wu"))]
    async with database.writing() as session:
        new = text("INSERT INTO rep (external_id, name) VALUES ('Ho', 'Ho') RETURNING id")
        idle = await session.scalar(new)
    async with clients_of(settings, database) as client_as:
        yield {
            "planner": await client_as("planner"),
            "viewer": await client_as("viewer"),
            "Li": await client_as("rep", reps[0]),
            "Wu": await client_as("rep", reps[1]),
            "Ho": await client_as("rep", idle),
        }


@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_tag_of_one_caller_s_heat_is_unknown_to_another(
    callers: Callers, address: str
) -> None:
    answers = {name: await caller.get(address) for name, caller in callers.items()}
    assert all(answer.status_code == 200 for answer in answers.values())
    told = {name: answer.content for name, answer in answers.items()}
    assert len({content for name, content in told.items() if name != "viewer"}) == 4

    for name, caller in callers.items():
        own = answers[name].headers["etag"]
        assert (await caller.get(address, headers={"If-None-Match": own})).status_code == 304
    for (name, caller), (other, _) in permutations(callers.items(), 2):
        tag = answers[other].headers["etag"]
        for sent in (tag, f"W/{tag}", f'"x", {tag}'):
            probe = await caller.get(address, headers={"If-None-Match": sent})
            # What is the same for planners and viewers may have the same tag.
            if told[name] != told[other]:
                assert probe.status_code == 200, (name, other)
                assert probe.content == told[name]


async def change_owner(database: Database, before: str, after: str) -> None:
    """Give the territory of one rep to another."""
    statement = text("""
        UPDATE territory_owner SET rep_id = (SELECT id FROM rep WHERE name = :after)
        WHERE rep_id = (SELECT id FROM rep WHERE name = :before)
    """)
    async with database.writing() as session:
        await session.execute(statement, {"before": before, "after": after})


async def test_the_tag_of_one_s_heat_is_not_that_of_more_or_fewer_territories(
    callers: Callers, database: Database
) -> None:
    """A rep who is given another territory, or loses one, is told what is theirs now."""
    address = ADDRESSES[0]
    before = await callers["Li"].get(address)
    await change_owner(database, "Wu", "Li")
    more = await callers["Li"].get(address, headers={"If-None-Match": before.headers["etag"]})
    fewer = await callers["Wu"].get(address, headers={"If-None-Match": more.headers["etag"]})
    again = await callers["Li"].get(address, headers={"If-None-Match": more.headers["etag"]})

    assert (more.status_code, fewer.status_code, again.status_code) == (200, 200, 304)
    assert fewer.json()["features"] == []
    assert len(more.json()["features"]) > len(before.json()["features"])
