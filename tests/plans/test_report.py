"""Reports of plans through the API and a worker: their files, and the numbers in them."""

import io
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from app.db.session import Database
from app.plans.fairness import gini
from app.plans.report_words import hours, number, share
from tests.conftest import ANY_VERSION, Drain
from tests.plans.conftest import DesignPlan, add_customers
from tests.reports.test_rendering import Reader, read

pytestmark = pytest.mark.usefixtures("designed_once")

Make = Callable[[int], Awaitable[dict[str, Any]]]
EVIL = "<script>alert(1)</script> & $x^{$"


@pytest.fixture
def make(client: httpx.AsyncClient, drain: Drain) -> Make:
    async def report(plan_id: int) -> dict[str, Any]:
        answer = await client.post(f"/v1/plans/{plan_id}:report")
        assert answer.status_code == 202, answer.text
        await drain()
        run: dict[str, Any] = (await client.get(answer.headers["Location"])).json()
        assert run["state"] == "succeeded", run
        return run

    return report


async def add_reps(client: httpx.AsyncClient) -> None:
    places = [(112.6, 30.2), (113.3, 30.9), (113.0, 30.5), (112.8, 30.8)]
    for n, (lon, lat) in enumerate(places):
        body = {"external_id": f"r{n}", "name": EVIL if n == 0 else f"Rep {n}", "home_lon": lon,
                "home_lat": lat}  # fmt: skip
        assert (await client.post("/v1/reps", json=body)).status_code == 201


def table(page: Reader, first: str) -> list[list[str]]:
    """The rows of the table whose head begins with a word."""
    start = next(place for place, row in enumerate(page.rows) if row and row[0] == first)
    rows = []
    for row in page.rows[start + 1 :]:
        if len(row) != len(page.rows[start]) or row[-1] in ("Gini", "Revenue", "Potential"):
            break
        rows.append(row)
    return rows


async def test_a_report_has_the_numbers_of_the_api_in_three_forms(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan, make: Make
) -> None:
    await add_reps(client)
    first = await design_plan(layer_id=layer_id, n_territories=3, name="Old")
    await client.post(
        f"/v1/plans/{first['result']['plan_id']}:publish", json={}, headers=ANY_VERSION
    )
    run = await design_plan(layer_id=layer_id, rep_ids=[1, 2, 3, 4], name=EVIL)
    plan_id = run["result"]["plan_id"]

    made = await make(plan_id)

    files = {form: await client.get(file["href"]) for form, file in made["result"]["files"].items()}
    assert {form: answer.headers["Content-Type"] for form, answer in files.items()} == {
        "png": "image/png", "html": "text/html; charset=utf-8", "pdf": "application/pdf",
    }  # fmt: skip
    picture = Image.open(io.BytesIO(files["png"].content))
    assert picture.size[0] == 1240
    assert picture.size[1] > 4000
    assert len(re.findall(rb"/Type /Page\b", files["pdf"].content)) >= 3
    assert "sandbox" in files["html"].headers["Content-Security-Policy"]
    page = read(files["html"].text)
    assert "script" not in {tag for tag, _ in page.tags}
    plan = (await client.get(f"/v1/plans/{plan_id}")).json()
    balance = table(page, "Territory")
    assert [row[0] for row in balance] == ["T01", "T02", "T03", "T04"]
    assert balance[0][1] == EVIL
    for row, told in zip(balance, plan["balance"], strict=True):
        assert row[2:6] == [
            number(told["customers"]), hours(told["work_minutes"]),
            hours(told["target_work_minutes"]),
            share(told["imbalance"]["work_minutes"], 2, signed=True),
        ]  # fmt: skip
    diff = (await client.get(f"/v1/plans/{first['result']['plan_id']}/diff/{plan_id}")).json()
    moves = table(page, "From")
    assert [row[3:5] for row in moves] == [
        [number(move["customers"]), hours(move["work_minutes"])] for move in diff["moves"]
    ]
    changes = table(page, "Rep")
    assert [row[1] for row in changes] == [
        number(change["gained"]["customers"]) for change in diff["reps"]
    ]
    words = " ".join(page.text)
    assert f"{number(diff['customers']['moved'])} of {number(diff['customers']['total'])}" in words
    proof = (await client.get(f"/v1/plans/{plan_id}/certificate")).json()
    for sentence in [*proof["proven"], *proof["not_proven"]]:
        assert sentence in words
    work = [row["work_minutes"] for row in plan["balance"]]
    measures = {row[0]: row for row in page.rows if row and row[0] in ("Work, h", "Travel, h")}
    assert measures["Work, h"][-1] == f"{gini(work):.3f}"
    assert measures["Work, h"][2:4] == [hours(min(work)), hours(max(work))]
    assert float(measures["Travel, h"][1].replace(",", "")) > 0


async def test_until_it_is_made_there_is_none_and_the_answer_says_how(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan, drain: Drain
) -> None:
    run = await design_plan(layer_id=layer_id, n_territories=3, name="Old")
    plan_id = run["result"]["plan_id"]

    before = await client.get(f"/v1/plans/{plan_id}/report.pdf")
    asked = await client.post(f"/v1/plans/{plan_id}:report")
    again = await client.post(f"/v1/plans/{plan_id}:report")
    meanwhile = await client.get(f"/v1/plans/{plan_id}/report.pdf")
    await drain()
    done = await client.get(f"/v1/plans/{plan_id}/report.pdf")
    known = await client.get(
        f"/v1/plans/{plan_id}/report.pdf", headers={"If-None-Match": done.headers["ETag"]}
    )

    assert before.status_code == meanwhile.status_code == 404
    assert before.json()["errors"][0]["detail"] == f"POST /v1/plans/{plan_id}:report"
    assert meanwhile.json()["errors"][0]["detail"] == asked.headers["Location"]
    assert again.status_code == 409
    assert done.status_code == 200
    assert known.status_code == 304
    assert (await client.get(f"/v1/plans/{plan_id}/report.svg")).status_code == 404
    assert (await client.get("/v1/plans/77/report.pdf")).status_code == 404
    assert (await client.post("/v1/plans/77:report")).status_code == 404


async def test_a_second_report_takes_the_place_of_the_first(
    client: httpx.AsyncClient,
    database: Database,
    customers: int,
    layer_id: int,
    design_plan: DesignPlan,
    make: Make,
) -> None:
    run = await design_plan(layer_id=layer_id, n_territories=3, name="Old")
    plan_id = run["result"]["plan_id"]
    await make(plan_id)
    first = await client.get(f"/v1/plans/{plan_id}/report.html")
    async with database.writing() as session:
        await session.execute(text("UPDATE plan SET name = 'Renamed'"))
    second_run = await make(plan_id)
    second = await client.get(f"/v1/plans/{plan_id}/report.html")

    assert "Old" in first.text
    assert "No plan is in force" in first.text
    assert "No territory has a rep" in first.text
    assert "Renamed" in second.text
    assert first.headers["ETag"] != second.headers["ETag"]
    async with database.reading() as session:
        kept = await session.execute(
            text("SELECT DISTINCT run_id, count(*) FROM artifact GROUP BY 1")
        )
        assert kept.all() == [(second_run["id"], 3)]


async def test_white_space_and_a_plan_without_certificate_and_input_are_said(
    client: httpx.AsyncClient,
    database: Database,
    customers: int,
    layer_id: int,
    design_plan: DesignPlan,
    make: Make,
) -> None:
    # Three customers far from all others: too few for a territory of their own.
    await add_customers(database, np.full(3, 118.0), np.full(3, 30.5), "FAR")
    run = await design_plan(layer_id=layer_id, n_territories=3, name="With white space")
    plan_id = run["result"]["plan_id"]
    async with database.writing() as session:
        await session.execute(text("DELETE FROM plan_certificate"))
        await session.execute(text("DELETE FROM plan_source"))
    await client.post(f"/v1/plans/{plan_id}:publish", json={}, headers=ANY_VERSION)

    await make(plan_id)

    words = " ".join(read((await client.get(f"/v1/plans/{plan_id}/report.html")).text).text)
    assert "White space: 3 customers in 1 pieces of ground are in no territory" in words
    assert "This plan has no certificate" in words
    assert "Travel is left out" in words
    assert "This plan is the one in force: nothing moves." in words
