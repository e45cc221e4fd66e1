"""Hot spots, changes, overdue visits, rarer filters, small cells and tags over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.activity import fold, snapshot, turn_day
from app.db import heat_counts
from app.db.session import Database
from app.settings import Settings, WorkSettings
from tests.auth.clients import ClientAs, clients_of
from tests.search.crowd import add_customers
from tests.tiles.ground import add_owner, add_plan, patch, quarters

N = 300
VIEW = {"bbox": "120,30,123,32", "resolution": 6, "format": "cells"}


@pytest.fixture
async def client_as(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    async with clients_of(settings, database) as make:
        yield make


@pytest.fixture
async def crowd(database: Database) -> dict[str, Any]:
    rng = np.random.default_rng(8)
    columns: dict[str, Any] = {
        "class": rng.choice(["A", "B", "D"], N).tolist(),
        "status": rng.choice(["active", "lead", "inactive"], N).tolist(),
        "tags": rng.choice(["", "key", "key,old"], N).tolist(),
        "potential": rng.uniform(0, 9, N).tolist(),
        "last_visit_days": rng.integers(0, 60, N).tolist(),
    }
    await add_customers(database, rng.normal(121.5, 0.07, N), rng.normal(31, 0.07, N), **columns)
    await turn_day(database, WorkSettings(), datetime.now(UTC).date())
    return columns


async def heat(client: httpx.AsyncClient, **query: Any) -> Any:
    answer = await client.get("/v1/heatmap", params={**VIEW, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def by_sql(database: Database, value: str, where: str = "true") -> dict[str, float]:
    async with database.reading() as session:
        rows = await session.execute(
            text(f"SELECT to_hex(cell_parent(cell, 6)), {value} FROM customer "
                 f"WHERE status <> 'inactive' AND {where} GROUP BY 1")
        )  # fmt: skip
        return {cell: float(found) for cell, found in rows}


async def test_the_visit_gap_is_the_share_of_customers_that_are_overdue(
    client: httpx.AsyncClient, database: Database, crowd: dict[str, Any]
) -> None:
    limits = "CASE class WHEN 'A' THEN 10 WHEN 'B' THEN 30 ELSE 1000000 END"
    is_overdue = f"(now()::date - last_visit_at::date > {limits})::int::float"
    found = await heat(client, measure="visit_gap")
    assert dict(found["cells"]) == pytest.approx(await by_sql(database, f"avg({is_overdue})"))
    assert found["as_of"] == datetime.now(UTC).date().isoformat()
    assert 0 < found["total"] < 1
    # The same, read from the customers.
    raw = await heat(client, measure="visit_gap", not_visited_days=0)
    assert dict(raw["cells"]) == pytest.approx(dict(found["cells"]))
    assert raw["generation"] is None


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"status": "lead"}, "status = 'lead'"),
        ({"tag": ["key", "old"]}, "tags @> '{key,old}'"),
        ({"not_visited_days": 30}, "last_visit_at < now() - interval '30 days'"),
        ({"class": "A", "status": "active"}, "class = 'A' AND status = 'active'"),
    ],
)
async def test_other_filters_count_the_customers_themselves(
    client: httpx.AsyncClient, database: Database, crowd: dict[str, Any],
    query: dict[str, Any], where: str,
) -> None:  # fmt: skip
    found = await heat(client, **query, measure="potential")
    assert dict(found["cells"]) == pytest.approx(await by_sql(database, "sum(potential)", where))


@pytest.mark.one_process
@pytest.mark.parametrize(
    "query",
    [{"status": "lead"}, {"tag": "key"}, {"not_visited_days": 30}, {"class": "A", "tag": "old"}],
)
async def test_other_filters_are_refused_for_views_with_too_many_customers(
    client: httpx.AsyncClient, crowd: dict[str, Any], query: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(heat_counts, "MAX_CUSTOMERS", 20)
    refused = await client.get("/v1/heatmap", params={**VIEW, **query})
    assert refused.status_code == 422
    assert "zoom in" in refused.json()["errors"][0]["detail"]


@pytest.mark.one_process
async def test_heat_is_had_of_a_territory_and_of_a_rep_that_the_caller_may_name(
    client: httpx.AsyncClient, client_as: ClientAs, database: Database, crowd: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ground = patch(121.5, 31, 0.5, 7)
    _, territories = await add_plan(database, ground, quarters(ground))
    reps = [await add_owner(database, id_, f"Rep {id_}") for id_ in territories]
    cells = "cell_parent(cell, 7) IN (SELECT cell FROM plan_cell WHERE territory_id = {})"
    expected = [await by_sql(database, "count(*)", cells.format(id_)) for id_ in territories]
    mine, foreign = ({"territory_id": id_} for id_ in territories[:2])

    assert dict((await heat(client, **mine))["cells"]) == expected[0]
    assert dict((await heat(client, rep_id=reps[1]))["cells"]) == expected[1]
    assert (await heat(client, **mine, rep_id=reps[1]))["cells"] == []
    rep = await client_as("rep", reps[0])
    assert dict((await heat(rep, **mine))["cells"]) == expected[0] != expected[1]
    for others in (foreign, {"rep_id": reps[1]}, {"territory_id": 4711}):
        assert (await heat(rep, **others))["cells"] == []
    viewer = await client_as("viewer")
    for asked in (mine, {"rep_id": reps[0]}, {"territory_id": 4711}):
        assert (await viewer.get("/v1/heatmap", params={**VIEW, **asked})).status_code == 403
    answer = await client.get("/v1/heatmap", params={**VIEW, "territory_id": 0})
    assert answer.status_code == 422
    # However many customers the view holds, those of the territory count, inactive ones not.
    count = int(sum(expected[0].values()))
    for most, status in ((count, 200), (count - 1, 422)):
        monkeypatch.setattr(heat_counts, "MAX_CUSTOMERS", most)
        for asked in (mine, {"rep_id": reps[0]}):
            answer = await client.get("/v1/heatmap", params={**VIEW, **asked})
            assert answer.status_code == status, answer.text


async def test_a_viewer_sees_no_cell_with_fewer_than_five_customers(
    client: httpx.AsyncClient, client_as: ClientAs, crowd: dict[str, Any]
) -> None:
    viewer = await client_as("viewer")
    for query in ({}, {"class": "A"}, {"status": "lead"}, {"measure": "potential"}):
        counts = dict((await heat(client, **{**query, "measure": "customers"}))["cells"])
        expected = {cell for cell, n in counts.items() if n >= 5}
        shown = await heat(viewer, **query)
        assert {cell for cell, _ in shown["cells"]} == expected
        assert shown["total"] == pytest.approx(sum(value for _, value in shown["cells"]))
        assert 0 < len(expected) < len(counts)


async def test_hot_spots_are_scores_of_the_cells_in_view_above_and_below_zero(
    client: httpx.AsyncClient, crowd: dict[str, Any]
) -> None:
    found = await heat(client, measure="hot_spot", of="potential", rings=2)
    sums = await heat(client, measure="potential")
    assert [cell for cell, _ in found["cells"]] == [cell for cell, _ in sums["cells"]]
    assert (found["of"], found["total"]) == ("potential", None)
    values = [value for _, value in found["cells"]]
    assert min(values) < 0 < max(values)


async def test_change_is_later_minus_earlier_and_names_the_months_it_has(
    client: httpx.AsyncClient, client_as: ClientAs, database: Database, crowd: dict[str, Any]
) -> None:
    async with database.writing() as session:
        await snapshot(session, date(2026, 1, 20))
        await session.execute(text("DELETE FROM customer WHERE class = 'A'"))
    await fold(database)
    async with database.writing() as session:
        await snapshot(session, date(2026, 2, 20))
    lost = {cell: -n for cell, n in (await _class_a(database)).items()}
    query = {"measure": "change", "of": "customers", "from": "2026-01"}
    for more in ({}, {"to": "2026-02"}):
        found = await heat(client, **query, **more)
        assert {cell: n for cell, n in found["cells"] if n} == lost
        assert found["total"] == sum(lost.values())
    coarser = await heat(client, **query, resolution=4)
    assert sum(n for _, n in coarser["cells"]) == sum(lost.values())
    refused = await client.get("/v1/heatmap", params={**VIEW, **query, "to": "2031-05"})
    assert "2026-01 to" in refused.json()["errors"][0]["detail"]
    refused = await client.get("/v1/heatmap", params={**VIEW, **query, "tag": "key"})
    assert refused.status_code == 422


async def _class_a(database: Database) -> dict[str, int]:
    async with database.reading() as session:
        rows = await session.execute(
            text("SELECT to_hex(cell), sum(customers) FROM measure_snapshot "
                 "WHERE month = '2026-01-01' AND class = 'A' GROUP BY 1")
        )  # fmt: skip
        return {cell: int(n) for cell, n in rows}


async def test_what_is_known_is_not_sent_again_until_it_changes(
    client: httpx.AsyncClient, database: Database, crowd: dict[str, Any]
) -> None:
    for query in ({}, {"measure": "hot_spot"}, {"status": "lead"}):
        params = {**VIEW, **query}
        first = await client.get("/v1/heatmap", params=params)
        known = {"If-None-Match": first.headers["etag"]}
        again = await client.get("/v1/heatmap", params=params, headers=known)
        assert (again.status_code, again.content) == (304, b"")
        other = await client.get("/v1/heatmap", params={**params, "class": "A"}, headers=known)
        assert other.status_code == 200
        async with database.writing() as session:
            await session.execute(
                text("DELETE FROM customer WHERE id = "
                     "(SELECT min(id) FROM customer WHERE status = 'lead')")
            )  # fmt: skip
        await fold(database)
        changed = await client.get("/v1/heatmap", params=params, headers=known)
        assert changed.status_code == 200
