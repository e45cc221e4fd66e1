"""ETags that are known without drawing, and addresses that never change."""

from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.activity import fold
from app.db.session import Database
from app.settings import Settings
from app.tiles import drawing, endpoints
from app.tiles.kept_tiles import OVERHEAD_BYTES, KeptTiles
from geo.tiles import tile_at
from tests.auth.clients import clients_of
from tests.conftest import ANY_VERSION
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch, quarters

HERE = (121.47, 31.23)
Z, X, Y = tile_at(*HERE, 9)
TILESETS = ("customers", "heat", "cells", "territories", "geofences")


def path(tileset: str) -> str:
    return f"/v1/tiles/{tileset}/{Z}/{X}/{Y}.mvt"


@pytest.fixture
async def plan(database: Database) -> tuple[int, list[int]]:
    cells = patch(*HERE, 0.5, 7)
    found = await add_plan(database, cells, quarters(cells))
    await add_customers(database, np.full(9, HERE[0]), np.full(9, HERE[1]))
    await fold(database)
    return found


@pytest.mark.parametrize("tileset", TILESETS)
async def test_a_tile_that_is_known_is_not_drawn(
    client: httpx.AsyncClient, plan: Any, monkeypatch: pytest.MonkeyPatch, tileset: str
) -> None:
    first = await client.get(path(tileset))
    etag = first.headers["etag"]

    async def refuse(*_: object) -> bytes:
        raise AssertionError("drawn")

    monkeypatch.setattr(endpoints, "draw", refuse)
    again = await client.get(path(tileset), headers={"If-None-Match": f'"x", W/{etag}'})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert again.headers["cache-control"] == "private, max-age=0, must-revalidate"


CHANGES = {
    "UPDATE customer SET potential = 5 WHERE id = 1": {"customers", "heat"},
    "UPDATE rep SET name = 'Wu' WHERE id = 1": {"customers", "heat", "cells", "territories"},
    "DELETE FROM territory_owner": {"customers", "heat", "cells", "territories"},
    "DELETE FROM publication": {"customers", "heat", "cells", "territories"},
    "INSERT INTO geofence (name, geom) SELECT 'n', outline FROM territory LIMIT 1": {"geofences"},
}


@pytest.mark.parametrize("statement", CHANGES)
async def test_a_change_makes_new_tags_of_what_is_drawn_from_it(
    client: httpx.AsyncClient, database: Database, plan: Any, statement: str
) -> None:
    await add_owner(database, plan[1][0], "Lin")
    before = {name: (await client.get(path(name))).headers["etag"] for name in TILESETS}
    async with database.writing() as session:
        await session.execute(text(statement))

    changed = set()
    for name in TILESETS:
        answer = await client.get(path(name), headers={"If-None-Match": before[name]})
        assert answer.status_code in (200, 204, 304)
        if answer.status_code != 304:
            changed.add(name)
    assert changed == CHANGES[statement]


async def test_every_acknowledged_change_is_seen_by_the_next_request(
    client: httpx.AsyncClient, plan: Any
) -> None:
    for n in range(1, 6):
        etag = (await client.get(path("customers"))).headers["etag"]
        gone = await client.delete(f"/v1/customers/{n}", headers=ANY_VERSION)
        assert gone.status_code == 204
        again = await client.get(path("customers"), headers={"If-None-Match": etag})
        assert again.status_code == 200


async def test_the_tag_of_one_scope_is_unknown_in_another(
    settings: Settings, database: Database, plan: Any
) -> None:
    _, territories = plan
    reps = [await add_owner(database, territories[n], name) for n, name in enumerate(("Li", "Wu"))]
    async with clients_of(settings, database) as client_as:
        callers = [
            await client_as("admin"), await client_as("viewer"),
            await client_as("rep", reps[0]), await client_as("rep", reps[1]),
        ]  # fmt: skip
        for name in TILESETS:
            tags = [(await caller.get(path(name))).headers["etag"] for caller in callers]
            assert len(set(tags)) == len(callers), name
            for caller, own in zip(callers, tags, strict=True):
                for tag in tags:
                    answer = await caller.get(path(name), headers={"If-None-Match": tag})
                    assert (answer.status_code == 304) == (tag == own)
        viewer = callers[1]
        z, x, y = tile_at(*HERE, 16)
        close = await viewer.get(f"/v1/tiles/customers/{z}/{x}/{y}.mvt")
        if close.content:
            found = mapbox_vector_tile.decode(close.content)["customers"]["features"]
            assert all("external_id" not in f["properties"] for f in found)


@pytest.mark.parametrize("tileset", ["cells", "territories"])
async def test_tiles_of_a_named_plan_have_an_address_for_good(
    client: httpx.AsyncClient, database: Database, plan: Any, tileset: str
) -> None:
    plan_id, territories = plan
    await add_owner(database, territories[0], "Lin")
    document = (await client.get(f"/v1/tiles/{tileset}.json?plan_id={plan_id}")).json()
    address = document["tiles"][0].format(z=Z, x=X, y=Y)
    assert "&v=" in address

    first = await client.get(address)
    await add_owner(database, territories[1], "Wu")
    second = await client.get(address)
    known = await client.get(address, headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    assert known.status_code == 304
    (layer,) = mapbox_vector_tile.decode(first.content).values()
    assert not any({"rep_name", "customers"} <= set(f["properties"]) for f in layer["features"])


async def test_a_version_that_is_not_the_plans_leads_to_the_tile_without_it(
    client: httpx.AsyncClient, database: Database, plan: Any
) -> None:
    plan_id, _ = plan
    document = (await client.get(f"/v1/tiles/cells.json?plan_id={plan_id}")).json()
    address = document["tiles"][0].format(z=Z, x=X, y=Y)
    async with database.writing() as session:
        await session.execute(text("UPDATE plan SET version = version + 1"))

    answer = await client.get(address)

    assert answer.status_code == 307
    assert answer.headers["location"] == f"{path('cells')}?plan_id={plan_id}"
    assert answer.headers["cache-control"] == "no-store"
    followed = await client.get(answer.headers["location"])
    assert followed.headers["cache-control"] == "private, max-age=0, must-revalidate"


async def test_a_draft_and_a_limited_caller_have_no_lasting_addresses(
    settings: Settings, client: httpx.AsyncClient, database: Database, plan: Any
) -> None:
    _, territories = plan
    rep_id = await add_owner(database, territories[0], "Lin")
    cells = patch(*HERE, 0.3, 7)
    draft, _ = await add_plan(database, cells, quarters(cells), layer="d", is_published=False)
    async with clients_of(settings, database) as client_as:
        rep = await client_as("rep", rep_id)
        limited = (await rep.get(f"/v1/tiles/cells.json?plan_id={plan[0]}")).json()
    drafted = (await client.get(f"/v1/tiles/cells.json?plan_id={draft}")).json()
    assert "v=" not in limited["tiles"][0]
    assert "v=" not in drafted["tiles"][0]


async def test_the_tag_of_a_drawn_tile_is_that_of_its_snapshot(
    client: httpx.AsyncClient, database: Database, plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that commits while a tile is drawn is not in it, and not in its tag either."""
    draw = drawing.draw

    async def slow(*words: Any) -> bytes:
        async with database.writing() as session:
            await session.execute(text("DELETE FROM customer WHERE id = 1"))
        return await draw(*words)

    z, x, y = tile_at(*HERE, 14)
    address = f"/v1/tiles/customers/{z}/{x}/{y}.mvt"
    monkeypatch.setattr(endpoints, "draw", slow)
    first = await client.get(address)
    monkeypatch.setattr(endpoints, "draw", draw)
    second = await client.get(address, headers={"If-None-Match": first.headers["etag"]})

    assert second.status_code == 200
    sizes = [
        len(mapbox_vector_tile.decode(answer.content)["customers"]["features"])
        for answer in (first, second)
    ]
    assert sizes == [9, 8]


@pytest.mark.one_process
@pytest.mark.parametrize("tileset", TILESETS)
async def test_a_tile_is_drawn_once_for_all_who_may_see_the_same(
    settings: Settings,
    database: Database,
    plan: Any,
    monkeypatch: pytest.MonkeyPatch,
    tileset: str,
) -> None:
    drawn = []

    async def note(*words: Any) -> bytes:
        drawn.append(words)
        return await drawing.draw(*words)

    monkeypatch.setattr(endpoints, "draw", note)
    rep_id = await add_owner(database, plan[1][0], "Lin")
    async with clients_of(settings, database) as client_as:
        admin, viewer = await client_as("admin"), await client_as("viewer")
        rep = await client_as("rep", rep_id)
        first = [await caller.get(path(tileset)) for caller in (admin, viewer, rep)]
        again = [await caller.get(path(tileset)) for caller in (admin, viewer, rep)]
        planner = await (await client_as("planner")).get(path(tileset))
        nobody = await admin.get(path(tileset), headers={"Authorization": "Bearer wrong"})

    assert len(drawn) == 3
    for one, other in zip(first, again, strict=True):
        assert (one.status_code, one.content) == (other.status_code, other.content)
        assert one.headers["etag"] == other.headers["etag"]
        assert one.headers.get("content-type") == other.headers.get("content-type")
    assert planner.content == first[0].content
    assert nobody.status_code == 401


@pytest.mark.one_process
@pytest.mark.parametrize("statement", CHANGES)
async def test_a_tile_is_drawn_again_after_each_change_of_what_it_shows(
    client: httpx.AsyncClient,
    database: Database,
    plan: Any,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
) -> None:
    await add_owner(database, plan[1][0], "Lin")
    for name in TILESETS:
        await client.get(path(name))
    async with database.writing() as session:
        await session.execute(text(statement))
    drawn = set()

    async def note(*words: Any) -> bytes:
        drawn.add(words[-1].name)
        return await drawing.draw(*words)

    monkeypatch.setattr(endpoints, "draw", note)
    for name in TILESETS:
        await client.get(path(name))
    assert drawn == CHANGES[statement]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 900)), max_size=40))
def test_kept_tiles_take_no_more_than_they_may(steps: list[tuple[int, int, int]]) -> None:
    kept, newest = KeptTiles(3_000), dict[str, bytes]()
    for tag, place, size in steps:
        name = f"{place} {tag}"
        newest[name] = bytes(size)
        kept.keep((str(place), b""), name, newest[name])
        assert kept.find(name) == newest[name]
    held = {name: kept.find(name) for name in newest if kept.find(name) is not None}
    assert sum(len(tile or b"") + OVERHEAD_BYTES for tile in held.values()) <= 3_000
    assert all(tile == newest[name] for name, tile in held.items())
    for place in range(4):
        is_held = any(name.startswith(f"{place} ") for name in held)
        assert kept.may_hold((str(place), b"")) == is_held
