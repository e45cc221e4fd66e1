"""Every error is a problem document, and an unexpected one says nothing it should not."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.db.session import Database
from app.http.problems import unexpected_problem
from app.main import create_app
from app.settings import Settings
from tests.http.conftest import LogLines, client_of

JSON = {"Content-Type": "application/json"}


def _problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem in the form of RFC 9457; return its document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"/problems/{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["trace_id"] == answer.headers["X-Request-ID"]
    return document


async def test_an_unknown_address_is_a_problem(plain: httpx.AsyncClient) -> None:
    _problem(await plain.get("/v1/nothing"), 404, "not-found")


async def test_a_missing_row_is_a_problem(client: httpx.AsyncClient) -> None:
    problem = _problem(await client.get("/v1/customers/7"), 404, "not-found")

    assert "7" in problem["detail"]


async def test_a_wrong_method_says_which_are_allowed(plain: httpx.AsyncClient) -> None:
    answer = await plain.put("/v1/customers/7")

    _problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) & {"GET", "DELETE"}


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/customers/7", 405),
        ("DELETE", "/v1/layers", 405),
        ("POST", "/", 405),
    ],
)
async def test_the_map_page_does_not_answer_for_the_service(
    settings: Settings, tmp_path: Path, method: str, address: str, status: int
) -> None:
    (tmp_path / "index.html").write_text("<p>map</p>")
    (tmp_path / "assets").mkdir()
    application = create_app(settings.model_copy(update={"web_folder": tmp_path}))

    async with client_of(application) as client:
        assert (await client.get("/")).text == "<p>map</p>"
        answer = await client.request(method, address)

    _problem(answer, status, {404: "not-found", 405: "method-not-allowed"}[status])


async def test_wrong_members_of_a_body_are_listed_with_their_places(
    plain: httpx.AsyncClient,
) -> None:
    body = {"name": "", "lon": 200, "lat": "north", "potential": -1, "colour": "red", "tags": [1]}

    problem = _problem(await plain.post("/v1/customers", json=body), 422, "invalid-input")

    pointers = {fault["pointer"] for fault in problem["errors"]}
    assert pointers == {
        "/external_id", "/name", "/lon", "/lat", "/potential", "/colour", "/tags/0",
    }  # fmt: skip
    assert all(fault["code"] and fault["detail"] for fault in problem["errors"])


async def test_a_pointer_escapes_what_json_pointers_must_escape(plain: httpx.AsyncClient) -> None:
    body = {"external_id": "a", "name": "n", "lon": 0, "lat": 0, "a/b~c": 1}

    problem = _problem(await plain.post("/v1/customers", json=body), 422, "invalid-input")

    assert [fault["pointer"] for fault in problem["errors"]] == ["/a~1b~0c"]


async def test_a_long_value_is_not_sent_back_whole(plain: httpx.AsyncClient) -> None:
    answer = await plain.post("/v1/customers", json={"lon": "x" * 100_000})

    _problem(answer, 422, "invalid-input")
    assert len(answer.content) < 2000


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=many", "class=X", "bbox=1,2,3"])
async def test_a_wrong_query_value_is_a_problem_that_names_it(
    plain: httpx.AsyncClient, query: str
) -> None:
    problem = _problem(await plain.get(f"/v1/customers?{query}"), 422, "invalid-input")

    name = query.partition("=")[0]
    assert [fault["pointer"].split("/")[1:3] for fault in problem["errors"]] == [["query", name]]


@pytest.mark.parametrize("parameter", ["segment", "tag", "external_id"])
async def test_a_query_text_that_postgresql_cannot_hold_is_refused(
    plain: httpx.AsyncClient, parameter: str
) -> None:
    answer = await plain.get("/v1/customers", params={parameter: "a\x00b"})

    _problem(answer, 422, "invalid-input")


async def test_an_unknown_query_parameter_is_refused_by_name(plain: httpx.AsyncClient) -> None:
    answer = await plain.get("/v1/customers?limit=5&colour=red&shape=round")

    problem = _problem(answer, 400, "unknown-parameter")
    pointers = [fault["pointer"] for fault in problem["errors"]]
    assert pointers == ["/query/colour", "/query/shape"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"potential": 1e999}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"[" * 5000 + b"]" * 5000,
        b'{"name": "a"} {}',
    ],
)
async def test_what_is_no_json_is_malformed(plain: httpx.AsyncClient, body: bytes) -> None:
    answer = await plain.post("/v1/customers", content=body, headers=JSON)

    _problem(answer, 400, "malformed-request")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7"])
async def test_a_body_that_is_no_object_is_refused(plain: httpx.AsyncClient, body: bytes) -> None:
    _problem(await plain.post("/v1/customers", content=body, headers=JSON), 422, "invalid-input")


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_above_the_limit_is_a_problem(settings: Settings, is_announced: bool) -> None:
    small = settings.model_copy(update={"max_body_bytes": 1000})

    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(30):
            yield b" " * 100

    async with client_of(create_app(small)) as client:
        content = b" " * 3000 if is_announced else chunks()
        answer = await client.post("/v1/customers", content=content, headers=JSON)

    _problem(answer, 413, "too-large")


def test_bodies_are_limited_to_eight_megabytes() -> None:
    assert Settings(home=Path("x")).max_body_bytes == 8 * 2**20


async def test_an_unexpected_error_is_opaque_outside_and_whole_in_the_log(
    plain: httpx.AsyncClient, log_lines: LogLines
) -> None:
    answer = await plain.get("/test/failing/Ms%20Lin?secret=abc")

    problem = _problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    lines = [line for line in log_lines() if line["event"] == "unexpected_error"]
    assert len(lines) == 1
    assert "RuntimeError: the password is hunter2" in lines[0]["exception"]
    assert lines[0]["request_id"] == problem["trace_id"]


async def test_a_database_that_is_away_is_a_problem_to_try_again(
    cut_off: httpx.AsyncClient,
) -> None:
    answer = await cut_off.get("/v1/customers")

    _problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "2"


async def test_a_database_that_is_away_is_no_reason_to_doubt_a_key(settings: Settings) -> None:
    away = Settings(database_url="postgresql://bailiwick@/none?host=/nonexistent", auth="on")

    async with client_of(create_app(away)) as client:
        answer = await client.get(
            "/v1/customers", headers={"Authorization": "Bearer bw_0123456789ab_secret"}
        )

    _problem(answer, 503, "unavailable")


async def test_a_pool_without_a_free_connection_is_a_problem_to_try_again(
    settings: Settings,
) -> None:
    application = create_app(settings.model_copy(update={"pool_size": 1}))
    database: Database = application.state.database

    async with client_of(application) as client:
        async with database.reading():
            answer = await client.get("/v1/customers")

    _problem(answer, 503, "unavailable")


async def test_a_request_without_an_id_gets_one(plain: httpx.AsyncClient) -> None:
    first, second = await plain.get("/livez"), await plain.get("/livez")

    assert re.fullmatch("[0-9a-f]{16}", first.headers["X-Request-ID"])
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


async def test_a_plain_request_id_is_kept(plain: httpx.AsyncClient) -> None:
    answer = await plain.get("/livez", headers={"X-Request-ID": "crm-2026.07_A"})

    assert answer.headers["X-Request-ID"] == "crm-2026.07_A"


@pytest.mark.parametrize("forged", ['x" level="error', "a b", "a\tb", "x" * 65, "<b>", ""])
async def test_a_request_id_that_could_forge_a_log_line_is_replaced(
    plain: httpx.AsyncClient, forged: str
) -> None:
    answer = await plain.get("/livez", headers={"X-Request-ID": forged})

    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-ID"])


async def test_a_log_line_names_the_route_and_no_value_of_the_request(
    plain: httpx.AsyncClient, log_lines: LogLines
) -> None:
    await plain.put(
        "/v1/customers/by-external-id/Ms-Lin?phone=555",
        json={"name": "Ms Lin"},
        headers={"X-Request-ID": "id-1", "Authorization": "Bearer bw_secret"},
    )

    lines = [line for line in log_lines() if line["event"] == "request"]
    assert len(lines) == 1
    line = lines[0]
    assert line["route"] == "/v1/customers/by-external-id/{external_id}"
    assert (line["method"], line["status"], line["request_id"]) == ("PUT", 400, "id-1")
    assert line["duration_ms"] >= 0
    for private in ("Lin", "555", "secret"):
        assert private not in str(lines)


async def test_an_unknown_address_is_logged_without_its_path(
    plain: httpx.AsyncClient, log_lines: LogLines
) -> None:
    await plain.get("/v1/customers/Ms-Lin/secret")

    lines = [line for line in log_lines() if line["event"] == "request"]
    assert [line["status"] for line in lines] == [404]
    assert "Ms-Lin" not in str(lines)


async def test_a_stack_in_the_log_does_not_hold_the_values_that_the_database_refused(
    database: Database, log_lines: LogLines
) -> None:
    twice = text("INSERT INTO layer (name, title) VALUES ('Zyxwvu', 'x'), ('Zyxwvu', 'x')")
    with pytest.raises(IntegrityError, match="Zyxwvu") as caught:
        async with database.writing() as session:
            await session.execute(twice)

    unexpected_problem(caught.value)

    (line,) = log_lines()
    assert "DETAIL: left out" in line["exception"]
    assert "(Zyxwvu)" not in line["exception"]
