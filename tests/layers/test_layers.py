"""Layers over HTTP."""

from typing import Any

import httpx
import pytest

from app.db.session import Database
from tests.ground import ALWAYS, PAST, TOMORROW, put_in_force


async def test_a_created_layer_reads_back_with_its_filter(client: httpx.AsyncClient) -> None:
    body = {
        "name": "education",
        "title": "Education accounts",
        "customer_filter": {"segment": ["education"], "class": ["A", "B"]},
    }

    created = await client.post("/v1/layers", json=body)

    assert created.status_code == 201
    read = (await client.get(created.headers["Location"])).json()
    assert read == created.json()
    assert {name: read[name] for name in body} == body
    assert read["plan_in_force"] is None


async def test_a_layer_without_a_title_takes_one_from_its_name(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/layers", json={"name": "field_sales-north"})

    assert answer.json()["title"] == "Field sales north"
    assert answer.json()["customer_filter"] == {}


async def test_a_name_is_taken_once(client: httpx.AsyncClient) -> None:
    await client.post("/v1/layers", json={"name": "all"})

    answer = await client.post("/v1/layers", json={"name": "all"})

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/name"


@pytest.mark.parametrize("name", ["", "All", "-a", "a b", "a/b", "x" * 64, "ä", "a\n"])
async def test_a_name_that_does_not_fit_in_addresses_is_refused(
    client: httpx.AsyncClient, name: str
) -> None:
    assert (await client.post("/v1/layers", json={"name": name})).status_code == 422


@pytest.mark.parametrize(
    "customer_filter",
    [{"class": []}, {"class": ["X"]}, {"colour": ["red"]}, {"tag": ["a\x00"]}, {"status": "lead"}],
)
async def test_a_filter_that_means_nothing_is_refused(
    client: httpx.AsyncClient, customer_filter: dict[str, Any]
) -> None:
    answer = await client.post("/v1/layers", json={"name": "x", "customer_filter": customer_filter})

    assert answer.status_code == 422


async def test_a_layer_that_does_not_exist_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/layers/7")).status_code == 404


async def test_layers_are_listed_with_the_plan_that_is_in_force(
    client: httpx.AsyncClient, database: Database
) -> None:
    current = await put_in_force(database, "current", during=ALWAYS)
    await put_in_force(database, "ended", during=PAST)
    await put_in_force(database, "coming", during=TOMORROW)

    layers = (await client.get("/v1/layers")).json()["items"]

    plans = {layer["name"]: layer["plan_in_force"] for layer in layers}
    assert plans["current"]["plan_id"] == current.plan_id
    assert plans["current"]["effective_from"] == "2020-01-01T00:00:00Z"
    assert plans["ended"] is None
    assert plans["coming"] is None
