"""Tiles of heat by the filters of the heatmap: what they count, refuse, and how they are tagged."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.activity import fold
from app.db import heat_counts
from app.db.heat_sums import COARSEST, FINEST
from app.db.session import Database
from app.settings import Settings
from app.tiles import drawing, endpoints
from geo.cells import CUSTOMER_RESOLUTION, ancestors, cells_from_points
from geo.tiles import resolution_for_zoom, tile_at
from tests.auth.clients import ClientAs, clients_of
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch, quarters
from tests.tiles.test_heat_tiles import decode, whole

HERE = (121.47, 31.23)
N = 300
# A tile with all of the crowd.
Z, X, Y = tile_at(*HERE, 5)
TILE = f"/v1/tiles/heat/{Z}/{X}/{Y}.mvt"


@pytest.fixture
async def crowd(database: Database) -> dict[str, Any]:
    """The columns of the customers, the number of the territory of each among them."""
    rng = np.random.default_rng(5)
    columns: dict[str, Any] = {
        "class": rng.choice(["A", "B"], N).tolist(),
        "status": rng.choice(["active", "lead", "inactive"], N).tolist(),
        "tags": rng.choice(["", "key", "key,old"], N).tolist(),
        "last_visit_days": rng.integers(0, 60, N).tolist(),
    }
    lon, lat = rng.normal(HERE[0], 0.1, N), rng.normal(HERE[1], 0.1, N)
    await add_customers(database, lon, lat, **columns)
    cells = patch(*HERE, 1.5, 7)
    _, territories = await add_plan(database, cells, quarters(cells))
    reps = [await add_owner(database, id_, f"Rep {id_}") for id_ in territories]
    await fold(database)
    own_cells = ancestors(cells_from_points(lon, lat, CUSTOMER_RESOLUTION), 7)
    home = quarters(cells)[np.searchsorted(cells, own_cells)]
    return {"lon": lon, "lat": lat, "home": home, "territories": territories, "reps": reps,
            **columns}  # fmt: skip


@pytest.fixture
async def client_as(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    async with clients_of(settings, database) as make:
        yield make


def query_of(crowd: dict[str, Any], name: str) -> tuple[str, Any]:
    """A query, and who is counted by it."""
    column = {key: np.array(value) for key, value in crowd.items()}
    is_served = column["status"] != "inactive"
    has_key = np.array(["key" in tags for tags in crowd["tags"]])
    has_old = np.array(["old" in tags for tags in crowd["tags"]])
    is_first, is_second = (column["home"] == n for n in (0, 1))
    query, wanted = {
        "status": ("status=lead", column["status"] == "lead"),
        "tags": ("tag=key&tag=old", has_key & has_old),
        "visits": ("not_visited_days=30", column["last_visit_days"] >= 30),
        "territory": (f"territory_id={crowd['territories'][0]}", is_first),
        "rep": (f"rep_id={crowd['reps'][1]}", is_second),
        "several": (
            f"class=A&status=active&tag=key&rep_id={crowd['reps'][1]}",
            is_second & has_key & (column["class"] == "A") & (column["status"] == "active"),
        ),
    }[name]
    return query, wanted & is_served


NAMES = ("status", "tags", "visits", "territory", "rep", "several")


@pytest.mark.parametrize("name", NAMES)
async def test_a_tile_counts_whom_the_filter_accepts(
    client: httpx.AsyncClient, crowd: dict[str, Any], name: str
) -> None:
    query, wanted = query_of(crowd, name)
    for z in (3, 9, 13):
        resolution = max(COARSEST, resolution_for_zoom(z, FINEST))
        fine = cells_from_points(crowd["lon"][wanted], crowd["lat"][wanted], CUSTOMER_RESOLUTION)
        cells, counts = np.unique(ancestors(fine, resolution), return_counts=True)

        shown = await whole(client, z, crowd["lon"], crowd["lat"], f"?{query}")

        expected = {f"{cell:x}": n for cell, n in zip(cells.tolist(), counts, strict=True)}
        assert {cell: found["customers"] for cell, found in shown.items()} == expected
        assert len(expected) > 0


async def test_a_rep_is_drawn_nothing_of_a_territory_or_rep_that_is_not_its_own(
    client_as: ClientAs, crowd: dict[str, Any]
) -> None:
    territories, reps = crowd["territories"], crowd["reps"]
    rep = await client_as("rep", reps[0])
    own = await rep.get(f"{TILE}?territory_id={territories[0]}")
    _, wanted = query_of(crowd, "territory")
    assert sum(cell["customers"] for cell in decode(own.content)) == wanted.sum()
    for asked in (f"territory_id={territories[1]}", f"rep_id={reps[1]}", "territory_id=4711"):
        assert (await rep.get(f"{TILE}?{asked}")).status_code == 204


async def test_a_viewer_may_not_name_territories_or_reps_and_sees_no_few(
    client_as: ClientAs, crowd: dict[str, Any]
) -> None:
    viewer, admin = await client_as("viewer"), await client_as("admin")
    for asked in ("territory_id=1", "rep_id=1", "rep_id=4711&class=A"):
        # Also when others have been drawn the tile.
        tag = (await admin.get(f"{TILE}?{asked}")).headers["etag"]
        for headers in ({}, {"If-None-Match": tag}):
            answer = await viewer.get(f"{TILE}?{asked}", headers=headers)
            assert answer.status_code == 403, answer.text
        assert (await viewer.get(f"/v1/tiles/heat.json?{asked}")).status_code == 403
    seen = await whole(viewer, 7, crowd["lon"], crowd["lat"], "?status=lead")
    all_of_them = await whole(admin, 7, crowd["lon"], crowd["lat"], "?status=lead")
    enough = {cell for cell, found in all_of_them.items() if found["customers"] >= 5}
    assert set(seen) == enough
    assert 0 < len(enough) < len(all_of_them)


@pytest.mark.one_process
async def test_a_tile_that_would_be_read_from_too_many_customers_is_refused(
    client: httpx.AsyncClient, crowd: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sums are of whoever is not inactive.
    n = int((np.array(crowd["status"]) != "inactive").sum())
    n_own = int(query_of(crowd, "territory")[1].sum())
    for most, refused in (
        (n, ()), (n - 1, ("status", "tags", "visits")), (n_own, ("status", "tags", "visits")),
    ):  # fmt: skip
        monkeypatch.setattr(heat_counts, "MAX_CUSTOMERS", most)
        for name in ("status", "tags", "visits", "territory"):
            # An address of its own each time, for what was drawn is kept.
            asked = f"{query_of(crowd, name)[0]}&segment=&segment=n{most}"
            answer = await client.get(f"{TILE}?{asked}")
            assert answer.status_code == (422 if name in refused else 200), answer.text
            if name in refused:
                (fault,) = answer.json()["errors"]
                assert (fault["code"], fault["pointer"]) == ("too-many-customers", "/path/z")
                assert "zoom in" in fault["detail"]
    # What the rollups answer is never refused.
    assert (await client.get(f"{TILE}?class=A")).status_code == 200


async def test_the_tilejson_passes_every_filter_on(
    client: httpx.AsyncClient, crowd: dict[str, Any]
) -> None:
    query = (
        "measure=potential&class=A&class=B&segment=x&status=lead&tag=key&tag=old"
        "&not_visited_days=3&territory_id=1&rep_id=2"
    )
    document = (await client.get(f"/v1/tiles/heat.json?{query}")).json()
    assert document["tiles"] == [f"http://localhost/v1/tiles/heat/{{z}}/{{x}}/{{y}}.mvt?{query}"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("status=inactive", 422), ("not_visited_days=-1", 422), ("territory_id=0", 422),
     ("rep_id=x", 422), ("colour=red", 400)],
)  # fmt: skip
async def test_a_filter_that_means_nothing_is_refused(
    client: httpx.AsyncClient, query: str, status: int
) -> None:
    assert (await client.get(f"{TILE}?{query}")).status_code == status
    assert (await client.get(f"/v1/tiles/heat.json?{query}")).status_code == status
    assert (await client.get(f"/v1/tiles/cells/0/0/0.mvt?{query}")).status_code in (400, 422)


CHANGES = (
    "UPDATE customer SET status = 'lead' WHERE status = 'active'",
    "UPDATE customer SET tags = '{key,old}'",
    "UPDATE customer SET last_visit_at = NULL",
    "UPDATE territory_owner SET rep_id = 1 + rep_id % 4",
    "UPDATE customer_override SET during = tstzrange(NULL, now())",
)
NAMED = text("""
    INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
    SELECT 1, id, 'T01', tstzrange('2020-01-01', NULL), 'Key account' FROM customer WHERE id < 60
""")


@pytest.mark.parametrize("statement", CHANGES)
async def test_a_tag_is_known_until_what_is_filtered_by_changes_and_never_after(
    client: httpx.AsyncClient, database: Database, crowd: dict[str, Any], statement: str
) -> None:
    """No fold comes between: customers read one by one change with the customers themselves."""
    async with database.writing() as session:
        await session.execute(NAMED)
    addresses = [f"{TILE}?{query_of(crowd, name)[0]}" for name in NAMES]
    first = [await client.get(address) for address in addresses]
    tags = [answer.headers["etag"] for answer in first]
    assert len(set(tags)) == len(tags)
    for address, tag in zip(addresses, tags, strict=True):
        again = await client.get(address, headers={"If-None-Match": tag})
        assert (again.status_code, again.headers["etag"]) == (304, tag)

    async with database.writing() as session:
        await session.execute(text(statement))

    n_changed = 0
    for address, tag, before in zip(addresses, tags, first, strict=True):
        known = await client.get(address, headers={"If-None-Match": tag})
        # Drawn from scratch: nobody has asked at this address before.
        anew = await client.get(f"{address}&measure=customers")
        is_same = decode(anew.content) == decode(before.content)
        n_changed += not is_same
        assert known.status_code in (200, 204, 304)
        if known.status_code == 304:
            assert is_same, address
        else:
            assert decode(known.content) == decode(anew.content)
    assert n_changed > 0


@pytest.mark.one_process
@pytest.mark.parametrize(
    ("name", "is_drawn"),
    [("status", False), ("tags", False), ("rep", False), ("visits", True), ("territory", True)],
)
async def test_what_a_generation_tells_of_is_not_drawn_again(
    client: httpx.AsyncClient, crowd: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
    name: str, is_drawn: bool,
) -> None:  # fmt: skip
    address = f"{TILE}?{query_of(crowd, name)[0]}"
    tag = (await client.get(address)).headers["etag"]
    drawn = []

    async def note(*words: Any) -> bytes:
        drawn.append(words)
        return await drawing.draw(*words)

    monkeypatch.setattr(endpoints, "draw", note)
    again = await client.get(address, headers={"If-None-Match": tag})
    whole_again = await client.get(address)

    assert (again.status_code, whole_again.status_code) == (304, 200)
    assert bool(drawn) == is_drawn


async def test_a_visit_becomes_too_long_ago_at_its_hour_and_the_tile_with_it(
    client: httpx.AsyncClient, database: Database
) -> None:
    await add_customers(database, np.array([HERE[0]]), np.array([HERE[1]]), last_visit_days=[0])
    await fold(database)
    async with database.writing() as session:
        moment = "now() - interval '30 days' + interval '2 seconds'"
        await session.execute(text(f"UPDATE customer SET last_visit_at = {moment}"))
    address = f"{TILE}?not_visited_days=30"
    before = await client.get(address)
    assert before.status_code == 204

    async with database.reading() as session:
        await session.execute(text("SELECT pg_sleep(2.1)"))
    after = await client.get(address, headers={"If-None-Match": before.headers["etag"]})

    assert after.status_code == 200
    assert [cell["customers"] for cell in decode(after.content)] == [1]


async def test_a_territory_that_comes_into_being_is_drawn_though_its_empty_tile_was_asked_for(
    client: httpx.AsyncClient, database: Database, crowd: dict[str, Any]
) -> None:
    """A draft has named accounts at once, and is no new generation of anything."""
    async with database.writing() as session:
        await session.execute(NAMED)
    address = f"{TILE}?territory_id=99"
    before = await client.get(address)
    assert before.status_code == 204

    async with database.writing() as session:
        for table, first, other in (
            ("plan", "plan.id = 1", {"id": 98, "state": "draft"}),
            ("territory", "code = 'T01'", {"id": 99, "plan_id": 98}),
        ):
            changed = ", ".join(f"'{name}', CAST(:{name} AS text)" for name in other)
            await session.execute(
                text(
                    f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record("
                    f"{table}, jsonb_build_object({changed}))).* FROM {table} WHERE {first}"
                ),
                {name: str(value) for name, value in other.items()},
            )
    after = await client.get(address, headers={"If-None-Match": before.headers["etag"]})

    assert after.status_code == 200
    assert sum(cell["customers"] for cell in decode(after.content)) > 0
