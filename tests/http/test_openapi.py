"""The OpenAPI document: whole, named, and without loose ends."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.main import create_app
from app.settings import Settings

# What `BAILIWICK_RATE_HEAVY` counts.
HEAVY_OPERATIONS = {
    "backtest_policy",
    "create_catchments",
    "create_import",
    "create_service_circles",
    "design_plan",
    "evaluate_policies",
    "get_geofence_coverage",
    "import_geofence_collection",
    "make_plan_front",
    "rebalance_plan",
    "verify_plan",
    "make_plan_report",
    "suppose_changes",
    "make_plan_pmtiles",
    "split_territory",
}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


@pytest.fixture(scope="module")
def application() -> FastAPI:
    """The application; describing it takes no database."""
    return create_app(Settings(database_url="postgresql://nobody@/none", auth="off"))


@pytest.fixture(scope="module")
def document(application: FastAPI) -> dict[str, Any]:
    return application.openapi()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_the_document_has_the_members_that_openapi_requires(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Bailiwick"
    assert document["info"]["version"]
    for path, _, operation in _operations(document):
        assert path.startswith("/")
        assert operation["responses"]


def test_every_operation_is_summarised_and_filed_under_one_tag(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert len(operation["tags"]) == 1, (method, path)


def test_operations_that_count_as_heavy_are_these(document: dict[str, Any]) -> None:
    heavy = {
        operation["operationId"]
        for _, _, operation in _operations(document)
        if operation.get("x-cost-class") == "heavy"
    }

    assert heavy == HEAVY_OPERATIONS


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(document)]

    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)


def test_operations_are_named_by_their_functions(
    application: FastAPI, document: dict[str, Any]
) -> None:
    functions = {
        (route.path_format, method.lower()): route.endpoint.__name__
        for route in _routes(application)
        for method in route.methods
    }

    for path, method, operation in _operations(document):
        assert operation["operationId"] == functions[path, method]


def _routes(application: FastAPI) -> Iterator[APIRoute]:
    from app.main import SUBJECTS

    for subject in SUBJECTS:
        for route in subject.routes:
            if isinstance(route, APIRoute):
                yield route


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def test_nothing_of_a_request_is_sent_to_a_thread_by_the_framework(application: FastAPI) -> None:
    for route in _routes(application):
        for call in _calls(route.dependant):
            function = call if inspect.isroutine(call) else call.__call__
            is_coroutine = inspect.iscoroutinefunction(function)
            assert is_coroutine or inspect.isasyncgenfunction(function), (route.path, call)


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    references = set(_references(document))

    assert "#/components/schemas/Problem" in references
    for reference in references:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]


def test_every_operation_answers_errors_as_problems(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        for family in ("4XX", "5XX"):
            content = operation["responses"][family]["content"]
            schema = content["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}, (method, path)
        assert "422" not in operation["responses"], "the framework's own error is not ours"


def test_every_path_parameter_is_declared(document: dict[str, Any]) -> None:
    for path, method, operation in _operations(document):
        wanted = {part.split("}")[0] for part in path.split("{")[1:]}
        declared = {
            parameter["name"]
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "path"
        }
        assert declared == wanted, (method, path)


def test_bodies_that_make_or_change_things_carry_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    for name in ("NewCustomer", "CustomerBody", "NewRep", "RepBody", "NewLayer"):
        assert schemas[name]["examples"], name


async def test_the_document_is_served(application: FastAPI) -> None:
    from tests.http.conftest import client_of

    async with client_of(application) as client:
        answer = await client.get("/openapi.json")

    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Bailiwick"
