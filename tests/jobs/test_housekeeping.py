"""Reports of runs are kept for a while, and how a run ended for as long as the run."""

import httpx
from sqlalchemy import text

from app.db.session import Database
from app.jobs.housekeeping import keep_house
from app.settings import Settings
from tests.conftest import Drain

ROWS = "external_id,name,lon,lat\nC1,Good,121.49,31.24\nC2,Bad,999,31.2\n"
AGED = text("UPDATE run SET finished_at = now() - make_interval(days => :days)")


async def _import(client: httpx.AsyncClient, drain: Drain) -> str:
    file = {"file": ("c.csv", ROWS.encode())}
    run = (await client.post("/v1/imports", files=file, data={"kind": "customers"})).json()
    await drain()
    return f"/v1/runs/{run['id']}"


async def _age(database: Database, days: int) -> None:
    async with database.writing() as session:
        await session.execute(AGED, {"days": days})


async def test_a_report_goes_after_the_days_it_is_kept(
    client: httpx.AsyncClient, database: Database, settings: Settings, drain: Drain
) -> None:
    run = await _import(client, drain)
    report = run.replace("runs", "imports") + "/errors"
    told = (await client.get(f"{run}/events")).text.count("event: progress")
    await _age(database, 89)

    assert await keep_house(database, settings) == 0
    assert len((await client.get(report)).json()["items"]) == 1
    await _age(database, 91)
    assert await keep_house(database, settings) == told + 1

    assert (await client.get(report)).json()["items"] == []
    ended = await client.get(f"{run}/events")
    assert (ended.text.count("event: progress"), ended.text.count("event: end")) == (0, 1)
    assert (await client.get(run)).json()["result"]["rejected"] == 1


async def test_a_report_of_a_run_that_is_not_over_stays(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    file = {"file": ("c.csv", ROWS.encode())}
    await client.post("/v1/imports", files=file, data={"kind": "customers"})

    assert await keep_house(database, settings) == 0


async def test_the_error_of_an_aborted_import_tells_no_rows_after_that(
    client: httpx.AsyncClient, database: Database, settings: Settings, drain: Drain
) -> None:
    file = {"file": ("c.csv", ROWS.encode())}
    form = {"kind": "customers", "on_error": "abort"}
    run = (await client.post("/v1/imports", files=file, data=form)).json()
    await drain()
    address = f"/v1/runs/{run['id']}"
    assert (await client.get(address)).json()["error"]["errors"] != []
    await _age(database, 91)

    await keep_house(database, settings)

    error = (await client.get(address)).json()["error"]
    assert error["errors"] == []
    assert error["detail"].startswith("1 of 2 rows are bad")
    assert await keep_house(database, settings) == 0
