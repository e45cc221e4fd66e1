"""Certificates over HTTP: stored with the plan, served to those who may see all of it."""

import gzip
import hashlib
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from app.db.scope import Scope
from app.db.session import Database
from app.db.tables import PlanCertificate
from app.errors import NotFound
from app.plans.certificate_store import certificate_digest
from geo.certificate_checker import check, read
from tests.ground import put_in_force
from tests.plans.conftest import DesignPlan

pytestmark = pytest.mark.usefixtures("designed_once")


@pytest.fixture
async def plan(
    client: httpx.AsyncClient, customers: int, layer_id: int, design_plan: DesignPlan
) -> dict[str, Any]:
    run = await design_plan(layer_id=layer_id, n_territories=5)
    assert run["state"] == "succeeded", run
    answer: dict[str, Any] = (await client.get(run["result"]["href"])).json()
    return answer


def _address(plan: dict[str, Any]) -> str:
    return f"/v1/plans/{plan['id']}/certificate"


async def test_the_certificate_of_a_plan_holds_and_is_of_this_plan(
    client: httpx.AsyncClient, plan: dict[str, Any]
) -> None:
    answer = await client.get(_address(plan))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert check(read(answer.content))["verdict"] == "holds"
    document = answer.json()
    codes = [territory["code"] for territory in document["territories"]]
    owners = dict(zip(document["cells"], (codes[n] for n in document["territory"]), strict=True))
    cells = (await client.get(f"/v1/plans/{plan['id']}/cells")).json()["cells"]
    assert owners == dict(cells)
    manifest = (await client.get(f"/v1/plans/{plan['id']}/manifest")).json()
    assert document["input_sha256"] == manifest["input"]["sha256"]
    assert document["objective"]["value"] == plan["scores"]["objective"]["value"]
    work = {territory["code"]: territory["sums"][0] for territory in document["territories"]}
    assert work == pytest.approx({row["code"]: row["work_minutes"] for row in plan["balance"]})


async def test_it_comes_compressed_or_plain_and_is_the_same(
    client: httpx.AsyncClient, plan: dict[str, Any]
) -> None:
    plain = await client.get(_address(plan), headers={"Accept-Encoding": "identity"})
    refused = await client.get(_address(plan), headers={"Accept-Encoding": "br, gzip;q=0"})
    packed = await client.get(_address(plan), headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content == refused.content
    assert plain.headers["etag"] != packed.headers["etag"]
    assert plain.headers["etag"].strip('"') == hashlib.sha256(plain.content).hexdigest()[:32]


async def test_who_has_it_is_told_so(client: httpx.AsyncClient, plan: dict[str, Any]) -> None:
    first = await client.get(_address(plan))

    again = await client.get(_address(plan), headers={"If-None-Match": first.headers["etag"]})
    other = await client.get(_address(plan), headers={"If-None-Match": '"other"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert other.status_code == 200


async def test_a_plan_of_before_says_why_it_has_none(
    client: httpx.AsyncClient, database: Database, plan: dict[str, Any]
) -> None:
    async with database.writing() as session:
        await session.execute(delete(PlanCertificate))

    answer = await client.get(_address(plan))

    assert answer.status_code == 404
    assert "wrote none" in answer.json()["detail"]


async def test_there_is_none_of_a_plan_that_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/plans/9/certificate")

    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no plan 9."


async def test_a_caller_of_limited_scope_gets_none(
    database: Database, client: httpx.AsyncClient
) -> None:
    plan = await put_in_force(database)
    async with database.writing() as session:
        document = gzip.compress(json.dumps({}).encode())
        session.add(PlanCertificate(plan_id=plan.plan_id, sha256="x", n_bytes=2, document=document))
    async with database.reading() as session:
        with pytest.raises(NotFound, match="There is no plan"):
            await certificate_digest(session, Scope(frozenset({1})), plan.plan_id)
