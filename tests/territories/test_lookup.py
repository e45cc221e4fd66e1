"""Which territory a place or a customer belongs to, and who belongs to none; against h3."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import h3
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from app.db import scope as scopes
from app.db.access import Access
from app.db.session import Database
from app.db.tables import CustomerOverride, Layer, Rep, TerritoryOwner
from app.settings import Settings
from app.territories.repository import lookup_each, lookup_one
from app.territories.schemas import BatchPlacements, Placements
from app.territories.white_space import COUNT, LIST
from geo.cells import cell_from_point
from tests.auth.clients import clients_of
from tests.ground import ALWAYS, BEIJING, PAST, SHANGHAI, TOKYO, PlanInForce, put_in_force
from tests.search.crowd import add_customers, analyze, clear
from tests.search.test_search import explain

QUICK = hypothesis_settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def held_by(lon: float, lat: float) -> str | None:
    """The territory of `tests.ground` by h3 alone: the parents of the cell at resolution 12."""
    cell = h3.latlng_to_cell(lat, lon, 12)
    for code, (x, y), resolution in (("T01", SHANGHAI, 5), ("T02", BEIJING, 4)):
        home = h3.cell_to_parent(h3.latlng_to_cell(y, x, 12), resolution)
        if h3.cell_to_parent(cell, resolution) == home:
            return code
    return None


@st.composite
def places(draw: st.DrawFn) -> list[tuple[float, float]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = []
    for lon, lat in (SHANGHAI, BEIJING):
        spread = rng.normal(0, draw(st.sampled_from([0.02, 0.1, 0.4])), (30, 2))
        found += [(lon + float(x), lat + float(y)) for x, y in spread]
    return [*found, (180.0, 0.0), (-180.0, 0.0), (0.0, 90.0), (0.0, -90.0)]


@given(points=places())
@QUICK
async def test_a_lookup_finds_what_h3_finds(
    client: httpx.AsyncClient, database: Database, points: list[tuple[float, float]]
) -> None:
    async with database.reading() as session:
        is_there = await session.scalar(text("SELECT count(*) FROM plan"))
    if not is_there:
        await put_in_force(database)
    body = {"points": [{"lon": lon, "lat": lat} for lon, lat in points]}

    answer = await client.post("/v1/territories/at:batch", json=body)
    alone = await client.get("/v1/territories/at", params=body["points"][0])

    items = BatchPlacements.model_validate_json(answer.content).items
    codes = [item[0].territory.code if item else None for item in items]
    assert codes == [held_by(lon, lat) for lon, lat in points]
    assert Placements.model_validate_json(alone.content).items == items[0]


async def test_a_placement_names_layer_rep_plan_and_the_deciding_cell(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    plan = await put_in_force(database)
    async with database.writing() as session:
        reps = [Rep(external_id=name, name=name) for name in ("before", "now")]
        without_plan = Layer(name="other", title="Other", customer_filter={})
        session.add_all([*reps, without_plan])
        await session.flush()
        now = datetime(2021, 1, 1, tzinfo=UTC)
        since = type(ALWAYS)(now, None, bounds="[)")
        for rep, during in zip(reps, (PAST, since), strict=True):
            territory_id = plan.territories["T01"]
            session.add(TerritoryOwner(territory_id=territory_id, rep_id=rep.id, during=during))
    query = {"lon": SHANGHAI[0], "lat": SHANGHAI[1]}

    (today,) = (await client.get("/v1/territories/at", params=query)).json()["items"]
    then = {**query, "as_of": "2020-06-01T00:00:00Z"}
    (earlier,) = (await client.get("/v1/territories/at", params=then)).json()["items"]
    before = {**query, "as_of": "2019-06-01T00:00:00Z"}

    assert today["rep"]["name"] == "now"
    assert earlier["rep"]["name"] == "before"
    assert today["plan_id"] == plan.plan_id
    assert today["cell"] == h3.cell_to_parent(h3.latlng_to_cell(*SHANGHAI[::-1], 12), 5)
    assert (await client.get("/v1/territories/at", params=before)).json() == {"items": []}
    async with clients_of(settings, database) as client_as:
        rep = await client_as("rep", reps[1].id)
        (mine,) = (await rep.get("/v1/territories/at", params=query)).json()["items"]
        (not_mine_yet,) = (await rep.get("/v1/territories/at", params=then)).json()["items"]
    assert mine["rep"]["name"] == "now"
    assert not_mine_yet["rep"] is None, "who is not on the caller's team is not named"
    other = {**query, "layer": without_plan.id}
    assert (await client.get("/v1/territories/at", params=other)).json() == {"items": []}


async def name_account(
    database: Database, plan: PlanInForce, external_id: str, code: str, during: Any = ALWAYS
) -> None:
    async with database.writing() as session:
        customer_id = await session.scalar(
            text("SELECT id FROM customer WHERE external_id = :name"), {"name": external_id}
        )
        session.add(
            CustomerOverride(
                layer_id=plan.layer_id, customer_id=customer_id, territory_code=code,
                during=during, reason="",
            )
        )  # fmt: skip


async def territories_of(client: httpx.AsyncClient, customer_id: int) -> list[tuple[str, str]]:
    answer = await client.get(f"/v1/customers/{customer_id}/territories")
    assert answer.status_code == 200, answer.text
    return [(item["territory"]["code"], item["by"]) for item in answer.json()["items"]]


async def ids(database: Database) -> list[int]:
    async with database.reading() as session:
        return list(await session.scalars(text("SELECT id FROM customer ORDER BY external_id")))


async def test_a_named_account_wins_over_the_cell(
    client: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database, "all")
    await put_in_force(database, "education", {"segment": ["education"]})
    there = np.array([SHANGHAI, SHANGHAI, TOKYO, SHANGHAI, BEIJING])
    await add_customers(database, there[:, 0], there[:, 1])
    await name_account(database, plan, "C1", "T02")
    await name_account(database, plan, "C3", "T99")
    await name_account(database, plan, "C4", "T01", PAST)

    found = [await territories_of(client, number) for number in await ids(database)]

    assert found == [
        [("T01", "cell")], [("T02", "named_account")], [], [], [("T02", "cell")],
    ]  # fmt: skip
    assert (await client.get("/v1/customers/4711/territories")).status_code == 404


async def uncovered(client: httpx.AsyncClient, layer_id: int, limit: int = 2) -> list[str]:
    names: list[str] = []
    address: str | None = f"/v1/territories/white-space?layer={layer_id}&limit={limit}"
    while address is not None:
        answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        names += [item["external_id"] for item in answer.json()["items"]]
        links = answer.json()["links"]
        address = next((link["href"] for link in links if link["rel"] == "next"), None)
    return names


@given(points=places(), data=st.data())
@QUICK
async def test_white_space_is_what_no_territory_holds(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    points: list[tuple[float, float]],
    data: st.DataObject,
) -> None:
    async with database.writing() as session:
        await session.execute(text("DELETE FROM publication"))
        await session.execute(text("DELETE FROM customer"))
    plan = await put_in_force(database, str(uuid4()), {"class": ["A"]})
    kinds = data.draw(st.lists(st.sampled_from("AB"), min_size=len(points), max_size=len(points)))
    status = data.draw(st.sampled_from(["active", "inactive"]))
    at = np.array(points)
    await add_customers(database, at[:, 0], at[:, 1], **{"class": kinds}, status=status)
    accounts = data.draw(st.dictionaries(st.integers(0, 9), st.sampled_from(["T01", "T99"])))
    for number, code in accounts.items():
        await name_account(database, plan, f"C{number}", code)

    names = await uncovered(client, plan.layer_id, 1000)
    count = (await client.get(f"/v1/territories/white-space/count?layer={plan.layer_id}")).json()

    def is_held(number: int) -> bool:
        account = accounts.get(number)
        return held_by(*points[number]) is not None if account is None else account == "T01"

    expected = [
        f"C{number}"
        for number, kind in enumerate(kinds)
        if kind == "A" and status == "active" and not is_held(number)
    ]
    assert sorted(names) == sorted(expected)
    assert count["customers"] == count["by_class"]["A"] == len(expected)


def first_and_last_inside(cell: str) -> list[tuple[float, float]]:
    """The places of the first and the last cell of resolution 12 in a cell of resolution 5."""
    first = h3.cell_to_center_child(cell, 12)
    # The digits of the levels 6 to 12, of which there are always seven.
    last = h3.int_to_str(h3.str_to_int(first) | 0o6666666000)
    return [h3.cell_to_latlng(inside)[::-1] for inside in (first, last)]


async def test_white_space_finds_each_hole_between_cells_that_follow_one_another(
    client: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    near_pentagon = h3.grid_disk(h3.get_pentagons(5)[3], 5)
    ground = sorted({*h3.grid_disk(h3.latlng_to_cell(*TOKYO[::-1], 5), 5), *near_pentagon})
    holes = set(np.random.default_rng(7).choice(ground, len(ground) // 10, replace=False))
    async with database.writing() as session:
        cells = [h3.str_to_int(cell) for cell in ground if cell not in holes]
        await session.execute(
            text("INSERT INTO plan_cell SELECT :plan, unnest(CAST(:cells AS bigint[])), :id"),
            {"plan": plan.plan_id, "cells": cells, "id": plan.territories["T01"]},
        )
    places = [(cell, place) for cell in ground for place in first_and_last_inside(cell)]
    at = np.array([place for _, place in places])
    await add_customers(database, at[:, 0], at[:, 1])

    names = await uncovered(client, plan.layer_id, 1000)

    expected = [f"C{number}" for number, (cell, _) in enumerate(places) if cell in holes]
    assert len(expected) == 2 * len(holes) > 30
    assert sorted(names) == sorted(expected)


async def test_a_lookup_is_of_a_layer_that_exists(
    client: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    place = {"lon": TOKYO[0], "lat": TOKYO[1]}

    for layer_id, status in ((plan.layer_id, 200), (4711, 404)):
        query = {**place, "layer": layer_id}
        body = {"points": [place], "layer": layer_id}
        one = await client.get("/v1/territories/at", params=query)
        many = await client.post("/v1/territories/at:batch", json=body)
        assert (one.status_code, many.status_code) == (status, status), many.text


async def test_white_space_is_paged_and_of_a_layer_that_exists(
    client: httpx.AsyncClient, database: Database
) -> None:
    plan = await put_in_force(database)
    there = np.array([TOKYO, SHANGHAI, TOKYO, TOKYO, TOKYO, TOKYO])
    await add_customers(database, there[:, 0], there[:, 1])

    assert await uncovered(client, plan.layer_id) == ["C0", "C2", "C3", "C4", "C5"]
    # In a territory that is not there, and between the others or before them by its cell.
    await name_account(database, plan, "C1", "T99")
    by_cell = {name: int(cell_from_point(*there[int(name[1:])], 12)) for name in ["C1", "C0"]}
    others = ["C0", "C2", "C3", "C4", "C5"]
    expected = ["C1", *others] if by_cell["C1"] < by_cell["C0"] else [*others, "C1"]
    for limit in (1, 2, 3, 5, 6, 100):
        assert await uncovered(client, plan.layer_id, limit) == expected
    for path in ("white-space", "white-space/count"):
        assert (await client.get(f"/v1/territories/{path}?layer=4711")).status_code == 404
        assert (await client.get(f"/v1/territories/{path}")).status_code == 422
        assert (await client.get(f"/v1/territories/{path}?layer=0")).status_code == 422


async def test_few_uncovered_are_not_told_to_viewers_and_none_to_reps(
    settings: Settings, database: Database
) -> None:
    plan = await put_in_force(database)
    there = np.array([TOKYO] * 7)
    kinds = ["A"] * 5 + ["B"] * 2
    await add_customers(database, there[:, 0], there[:, 1], **{"class": kinds})
    async with database.writing() as session:
        rep = Rep(external_id="R", name="R")
        session.add(rep)
        await session.flush()
    address = f"/v1/territories/white-space/count?layer={plan.layer_id}"

    async with clients_of(settings, database) as client_as:
        seen = {}
        for role, rep_id in (("planner", None), ("viewer", None), ("rep", rep.id)):
            client = await client_as(role, rep_id)
            seen[role] = (await client.get(address)).json()
        listed = await uncovered(client, plan.layer_id)

    assert (seen["planner"]["customers"], seen["planner"]["by_class"]["B"]) == (7, 2)
    assert (seen["viewer"]["customers"], seen["viewer"]["by_class"]["B"]) == (None, None)
    assert seen["viewer"]["by_class"]["A"] == 5
    assert seen["rep"]["customers"] == 0
    assert listed == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"points": []}, "/points"),
        ({"points": [{"lon": 0, "lat": 0}] * 10_001}, "/points"),
        ({"points": [{"lon": 0, "lat": 91}]}, "/points/0/lat"),
        ({"points": [{"lon": 0, "lat": 0}], "layer": 0}, "/layer"),
        ({"points": [{"lon": 0, "lat": 0}], "as_of": 5}, "/as_of"),
    ],
)
async def test_a_wrong_batch_is_refused_and_named(
    client: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/territories/at:batch", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_swapped_pair_of_a_batch_is_named_as_such(client: httpx.AsyncClient) -> None:
    points = [{"lon": 121.4, "lat": 31.2}, {"lon": 31.2, "lat": 121.4}]

    answer = await client.post("/v1/territories/at:batch", json={"points": points})

    (fault,) = answer.json()["errors"]
    assert answer.status_code == 422
    assert fault["pointer"] == "/points/1/lat"
    assert "lon and lat look swapped" in fault["detail"]


@pytest.mark.parametrize(
    "instant", ["5", "-5.5", "1700000000", "2.2e-309", "1e9", "1_0", "inf", "nan", "P1D", "today"]
)
async def test_a_number_is_no_instant(client: httpx.AsyncClient, instant: str) -> None:
    query = {"lon": 0, "lat": 0, "as_of": instant}

    answer = await client.get("/v1/territories/at", params=query)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/query/as_of"


async def test_lookups_and_white_space_read_indexes_only(
    settings: Settings, database: Database
) -> None:
    plan = await put_in_force(database)
    engine = create_engine(Access.of(settings).owner_url)
    with engine.begin() as connection:
        # Neither rollups nor the audit are asked here.
        connection.execute(text("ALTER TABLE customer DISABLE TRIGGER USER"))
        connection.execute(CROWD, {"cell": int(cell_from_point(*SHANGHAI, 12))})
        connection.execute(text("ALTER TABLE customer ENABLE TRIGGER USER"))
    engine.dispose()
    analyze(settings)
    cell = int(cell_from_point(*SHANGHAI, 12))
    of_plan = {"layer_id": plan.layer_id, "plan_id": plan.plan_id, "filter": "{}"}

    one = await explain(database, lookup_one(cell, scopes.EVERYTHING, None, None))
    many = await explain(database, lookup_each([cell] * 1000, scopes.EVERYTHING, None, None))
    listed = await explain(database, LIST.bindparams(**of_plan, after_cell=0, after=0, limit=100))
    counted = await explain(database, COUNT.bindparams(**of_plan))

    assert "plan_cell" in one
    assert "plan_cell" in many
    # Others empty the tables row by row.
    clear(settings)
    for explained in (listed, counted):
        assert "Seq Scan on customer " not in explained, explained
        assert "ix_customer_cell" in explained, explained


CROWD = text("""
    INSERT INTO customer (external_id, name, geom, cell)
    SELECT 'C' || n, 'Customer ' || n, ST_SetSRID(ST_MakePoint(121.47, 31.23), 4326), :cell
    FROM generate_series(1, 100000) AS n
""")
