"""The style: what the specification wants, and nothing that is not ours."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from operator import eq, ge, lt
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from app.db.session import Database
from app.http.values import ServiceClass
from tests.tiles.ground import add_plan, patch, quarters

HERE = (121.47, 31.23)
REPOSITORY = Path(__file__).parents[2]
SPECIFICATION = REPOSITORY / "web/node_modules/@maplibre/maplibre-gl-style-spec/dist/index.mjs"
VALIDATE = """
import { readFileSync } from "node:fs";
const { validateStyleMin } = await import(process.argv[1]);
const faults = validateStyleMin(JSON.parse(readFileSync(0, "utf8")));
console.log(JSON.stringify(faults.map((fault) => fault.message)));
"""


@pytest.fixture
async def style(client: httpx.AsyncClient, database: Database) -> dict[str, Any]:
    cells = patch(*HERE, 1, 6)
    plan_id, _ = await add_plan(database, cells, quarters(cells))
    answer = await client.get(f"/v1/tiles/style.json?plan_id={plan_id}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_style_is_valid_by_the_specification(style: dict[str, Any]) -> None:
    if not SPECIFICATION.exists():
        pytest.skip("needs the packages of web/ (make setup)")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", VALIDATE, SPECIFICATION.as_uri()],
        input=json.dumps(style), capture_output=True, text=True, env=os.environ | {"PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


async def test_a_style_names_no_other_host(style: dict[str, Any]) -> None:
    assert not {"glyphs", "sprite"} & set(style)
    text = json.dumps(style)
    assert text.count("http") == len(style["sources"])
    for source in style["sources"].values():
        (address,) = source["tiles"]
        assert address.startswith("http://localhost/v1/tiles/")


async def test_a_style_draws_every_layer_of_the_tiles(
    client: httpx.AsyncClient, style: dict[str, Any]
) -> None:
    drawn = {layer["source-layer"] for layer in style["layers"] if "source" in layer}
    assert drawn == {"territories", "cells", "heat", "customers", "geofences"}
    for name, source in style["sources"].items():
        described = (await client.get(f"/v1/tiles/{name}.json")).json()
        assert [layer["id"] for layer in described["vector_layers"]] == [name]
        answer = await client.get(source["tiles"][0].format(z=3, x=6, y=3))
        assert answer.status_code in (200, 204)
    assert style["center"] == pytest.approx(HERE, abs=0.2)
    assert 6 < style["zoom"] < 10


async def test_a_style_of_nothing_is_one_of_the_world(client: httpx.AsyncClient) -> None:
    empty = (await client.get("/v1/tiles/style.json")).json()
    assert empty["zoom"] < 2
    assert (await client.get("/v1/tiles/style.json?plan_id=9")).status_code == 404
    assert (await client.get("/v1/tiles/style.json?measure=customers")).status_code == 400


# What QGIS 3.22 reads of the expression language; the rest it passes over, with a warning or none.
KNOWN_TO_QGIS = {"match", "interpolate", "get", "has", "!", "all", "==", ">=", "<", "%"}


def expressions(value: Any) -> Iterator[list[Any]]:
    """Yield each expression in a value of a style, the inner ones too."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        yield value
    for part in value if isinstance(value, list) else ():
        yield from expressions(part)


async def test_a_style_says_all_in_forms_that_qgis_reads(style: dict[str, Any]) -> None:
    for layer in style["layers"]:
        said = [layer.get("filter"), *layer["paint"].values()]
        found = [expression for value in said for expression in expressions(value)]
        operators = [expression for expression in found if expression != ["linear"]]
        assert {operator for operator, *_ in operators} <= KNOWN_TO_QGIS | {"zoom"}, layer["id"]
        for operator, *parts in operators:
            if operator == "match":
                assert all(isinstance(labels, list) for labels in parts[1:-1:2])
            if operator == "interpolate":
                assert parts[1] == ["zoom"]
        if layer["type"] == "circle":
            assert not any(isinstance(value, list) for value in layer["paint"].values())


def passes(expression: Any, properties: dict[str, Any]) -> Any:
    """Return what a filter says of a feature."""
    if not isinstance(expression, list):
        return expression
    operator, *parts = expression
    if operator in ("get", "has"):
        return properties.get(parts[0]) if operator == "get" else parts[0] in properties
    values = [passes(part, properties) for part in parts]
    if operator in ("all", "!"):
        return all(values) if operator == "all" else not values[0]
    return {"==": eq, ">=": ge, "<": lt}[operator](*values)


async def test_a_style_hides_nothing_that_lies_below(style: dict[str, Any]) -> None:
    assert "background" not in {layer["type"] for layer in style["layers"]}


async def test_every_cell_of_heat_and_every_customer_is_drawn_once(style: dict[str, Any]) -> None:
    values = [-5, 0, 0.5, 2.9, 3, 9, 10, 99, 100, 999, 1000, 9999, 10_000, 5_000_000]
    features = {
        "heat": [{"value": value} for value in values],
        "customers": [
            *({"id": 1, "n": 1, "class": name} for name in get_args(ServiceClass)),
            *({"n": n} for n in values if n >= 1),
        ],
    }
    for source, properties in features.items():
        layers = [layer for layer in style["layers"] if layer.get("source") == source]
        for feature in properties:
            assert sum(passes(layer["filter"], feature) for layer in layers) == 1, feature
