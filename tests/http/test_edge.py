"""The edge: what is asked of every request before anything else, and put on every answer."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from app.auth import create_key
from app.db.access import Access
from app.db.session import Database
from app.errors import SetupError
from app.http.page import CONTENT_POLICY
from app.main import create_app
from app.settings import Settings, load_settings
from tests.jobs.processes import server

BODY = {"external_id": "C1", "name": "Riverside Clinic", "lon": 121.49, "lat": 31.24}


@asynccontextmanager
async def _client(settings: Settings, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    application = create_app(settings.model_copy(update=changes))
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await application.state.database.close()


# JSON


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"name": NaN}', "json"),
        (b'{"name": Infinity}', "json"),
        (b'{"potential": 1e999}', "json"),
        (b'{"name": "\\ud800"}', "json"),
        (b'{"name": "a", "name": "b"}', "duplicate-member"),
        (b'{"attributes": {"a": 1, "a": 2}}', "duplicate-member"),
        (b'{"attributes": ' + b"[" * 65 + b"]" * 65 + b"}", "depth"),
        (b"[" * 100_000, "depth"),
        (b'{"a":' * 100_000, "depth"),
        (b"[" + b"[1]," * 70_000 + b'{"a": 1, "a": 2}]', "duplicate-member"),
        (b"{", "json"),
    ],
)
async def test_json_that_could_mean_two_things_is_refused(
    client: httpx.AsyncClient, content: bytes, code: str
) -> None:
    headers = {"Content-Type": "application/json"}

    answer = await client.post("/v1/customers", content=content, headers=headers)

    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [fault["code"] for fault in answer.json()["errors"]] == [code]


async def test_brackets_in_text_are_no_depth(client: httpx.AsyncClient) -> None:
    name = "[" * 100 + '\\"' + "{" * 100

    answer = await client.post("/v1/customers", json={**BODY, "name": name})

    assert answer.status_code == 201
    assert answer.json()["name"] == name


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "text/json"]
)
async def test_a_body_of_another_kind_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post(
        "/v1/layers", content=b'{"name": "x"}', headers={"Content-Type": kind}
    )

    assert answer.status_code == 415
    assert answer.json()["errors"][0]["pointer"] == "/header/Content-Type"


# Headers, hosts, origins


@pytest.mark.parametrize("path", ["/v1/layers", "/livez", "/nowhere", "/v1/customers/77"])
async def test_every_answer_has_its_safe_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NO_CONTENT = "default-src 'none'; frame-ancestors 'none'"
ORIGIN = "https://crm.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
# Of the customer in `BODY`.
TILE = "/v1/tiles/customers/14/13721/6694.mvt"
KIND = {"Content-Type": "application/json"}
KINDS_OF_ANSWER: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "data": (200, "GET", "/v1/layers", {}),
    "data without its body": (200, "HEAD", "/v1/layers", {}),
    "a tile": (200, "GET", TILE, {}),
    "an empty tile": (204, "GET", "/v1/tiles/customers/14/0/0.mvt", {}),
    "a tile that is known": (304, "GET", TILE, {"headers": {"If-None-Match": "*"}}),
    "a preflight": (200, "OPTIONS", "/v1/layers", {"headers": PREFLIGHT}),
    "a preflight of another origin": (
        400, "OPTIONS", "/v1/layers", {"headers": {**PREFLIGHT, "Origin": "https://evil.example"}}
    ),
    "a malformed request": (400, "POST", "/v1/layers", {"content": b"{", "headers": KIND}),
    "an unknown host": (400, "GET", "/v1/layers", {"headers": {"Host": "evil.example"}}),
    "a stranger": (401, "GET", "/v1/layers", {"headers": {"Authorization": ""}}),
    "a missing object": (404, "GET", "/v1/customers/77", {}),
    "an unknown address": (404, "GET", "/nowhere", {}),
    "an unknown asset": (404, "GET", "/assets/nothing.js", {}),
    "another method": (405, "DELETE", "/v1/layers", {}),
    "another method on the page": (405, "POST", "/", {}),
    "too large a body": (
        413, "POST", "/v1/customers", {"content": b" " * (2 * 2**20 + 1), "headers": KIND}
    ),
    "too long an address": (414, "GET", "/v1/layers?" + "x" * 9000, {}),
    "another kind of body": (415, "POST", "/v1/layers", {"content": b"{}"}),
    "invalid input": (422, "POST", "/v1/customers", {"json": {}}),
}  # fmt: skip


def _of_safe(headers: httpx.Headers) -> dict[str, str | None]:
    return {name: headers.get(name) for name in SAFE}


@pytest.fixture
def page_folder(tmp_path: Path) -> Path:
    """A folder as `make setup` builds it, with a page and one file that never changes."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "assets" / "index-Bq1.js").write_text("0")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS_OF_ANSWER)
async def test_an_answer_of_any_kind_has_its_safe_headers(
    settings: Settings, database: Database, page_folder: Path, kind: str
) -> None:
    status, method, path, asked = KINDS_OF_ANSWER[kind]
    async with database.writing() as session:
        key = await create_key(session, "k", "planner")
    headers = {"Authorization": f"Bearer {key}", **asked.get("headers", {})}

    changes = {"auth": "on", "cors_origins": (ORIGIN,), "allowed_hosts": ("localhost",)}
    async with _client(settings, web_folder=page_folder, **changes) as client:
        await client.post("/v1/customers", json=BODY, headers={"Authorization": f"Bearer {key}"})
        answer = await client.request(method, path, **{**asked, "headers": headers})

    assert answer.status_code == status, answer.text
    assert _of_safe(answer.headers) == SAFE
    assert answer.headers["Content-Security-Policy"] == NO_CONTENT
    may_be_kept = "tile" in kind
    assert ("no-store" in answer.headers["Cache-Control"]) != may_be_kept
    assert "public" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/", "/assets/index-Bq1.js"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_page_and_its_files_have_safe_headers_and_the_page_s_policy(
    settings: Settings, page_folder: Path, path: str, method: str
) -> None:
    async with _client(settings, auth="on", web_folder=page_folder) as client:
        answer = await client.request(method, path)
        known = await client.get(path, headers={"If-None-Match": answer.headers["ETag"]})

    assert (answer.status_code, known.status_code) == (200, 304)
    for headers in (answer.headers, known.headers):
        assert _of_safe(headers) == SAFE
        assert headers["Content-Security-Policy"] == CONTENT_POLICY
        assert "no-store" not in headers["Cache-Control"]


def test_the_page_s_policy_allows_scripts_and_styles_from_here_only() -> None:
    rules = {name: sources for name, *sources in map(str.split, CONTENT_POLICY.split(";"))}

    for kind in ("script-src", "script-src-elem", "script-src-attr", "style-src"):
        assert rules.get(kind, rules["default-src"]) == ["'self'"], kind
    for kind in ("object-src", "base-uri", "form-action", "frame-ancestors"):
        assert rules[kind] == ["'none'"], kind
    assert "unsafe" not in CONTENT_POLICY
    assert "http" not in CONTENT_POLICY


async def test_an_error_of_ours_has_the_safe_headers_and_is_read_by_other_origins(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: object, request: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("app.auth.gate.Gate.__call__", fail)
    origin = "https://crm.example"
    async with _client(settings, cors_origins=[origin]) as client:
        answer = await client.get("/v1/customers", headers={"Origin": origin})

    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert answer.headers["X-Request-ID"] == answer.json()["trace_id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize("path", ["/v1/customers/", "/ogc/collections/"])
async def test_an_address_with_a_slash_too_many_is_not_found(settings: Settings, path: str) -> None:
    async with _client(settings, auth="on") as client:
        answer = await client.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "Location" not in answer.headers


async def test_two_names_of_a_host_are_refused(settings: Settings) -> None:
    async with _client(settings, auth="on") as client:
        answer = await client.get("/livez", headers=[("Host", "one"), ("Host", "two")])
    assert answer.status_code == 400


async def test_without_authentication_only_loopback_names_are_answered(settings: Settings) -> None:
    async with _client(settings) as client:
        answers = {
            host: (await client.get("/livez", headers={"Host": host})).status_code
            for host in ("localhost", "localhost:8000", "127.0.0.1", "[::1]:8000", "evil.example",
                         "localhost.evil.example", "127.0.0.1.evil.example", "")
        }  # fmt: skip

    assert [host for host, status in answers.items() if status == 200] == list(answers)[:4]
    assert set(answers.values()) == {200, 400}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "none"}, 404),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_without_authentication_no_page_from_elsewhere_changes_anything(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    # What a page may send without asking before: no body, or a plain one.
    answer = await client.post("/v1/customers/1:erase", headers=headers)

    assert answer.status_code == status
    assert (await client.get("/v1/layers", headers=headers)).status_code == 200


async def test_named_hosts_are_answered_and_others_are_not(settings: Settings) -> None:
    asks = [
        ("/version", "maps.example.com", 200),
        ("/version", "localhost", 400),
        ("/livez", "evil.example.com", 400),
        # The health check of a container asks so.
        ("/livez", "127.0.0.1:8000", 200),
        ("/readyz", "localhost", 200),
    ]
    async with _client(settings, allowed_hosts=("Maps.example.com",)) as client:
        answers = [await client.get(path, headers={"Host": host}) for path, host, _ in asks]

    assert [answer.status_code for answer in answers] == [status for _, _, status in asks]
    assert answers[1].json()["type"] == "/problems/unknown-host"


async def test_absolute_addresses_are_those_of_the_settings(settings: Settings) -> None:
    async with _client(settings, public_url="https://maps.example.com/api") as client:
        document = (await client.get("/v1/tiles/customers.json")).json()

    assert document["tiles"][0].startswith("https://maps.example.com/api/v1/tiles/customers/")


async def test_a_page_of_a_named_origin_may_read_and_no_other(settings: Settings) -> None:
    asks = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "If-Match"}
    async with _client(settings, cors_origins=("https://crm.example.com",)) as client:
        found = {}
        for origin in ("https://crm.example.com", "https://crm.example.com.evil.example", "null"):
            plain = await client.get("/v1/layers", headers={"Origin": origin})
            preflight = await client.options("/v1/layers", headers={"Origin": origin, **asks})
            found[origin] = (
                plain.headers.get("Access-Control-Allow-Origin"), preflight.status_code
            )  # fmt: skip
            assert "Access-Control-Allow-Credentials" not in plain.headers

    assert found.pop("https://crm.example.com") == ("https://crm.example.com", 200)
    assert set(found.values()) == {(None, 400)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BAILIWICK_CORS_ORIGINS", "*"),
        ("BAILIWICK_CORS_ORIGINS", "https://crm.example.com/path"),
        ("BAILIWICK_RATE_READ", "fast"),
        ("BAILIWICK_PUBLIC_URL", "http://maps.example.com"),
    ],
)
def test_a_setting_that_would_open_too_much_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SetupError) as caught:
        load_settings()

    assert [fault.pointer for fault in caught.value.faults if name in (fault.pointer or "")]


MIB = 2**20
# What takes a body with geometry, or with thousands of places; all others take less.
TAKES_MORE = (
    "plans", "geofences", "geofences:import", "territories/at:batch", "search/polygon",
    "search/polygon:batch",
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "largest"),
    [
        *((path, 2 * MIB) for path in ("customers", "reps", "layers", "api-keys")),
        *((path, 8 * MIB) for path in TAKES_MORE),
    ],
)
async def test_a_body_may_be_as_large_as_promised_and_no_larger(
    client: httpx.AsyncClient, path: str, largest: int
) -> None:
    statuses = []
    for size in (largest, largest + 1):
        body = b'"' + b" " * (size - 2) + b'"'
        answer = await client.post(f"/v1/{path}", content=body, headers=KIND)
        statuses.append(answer.status_code)

    # The largest is read, and found to be no object.
    assert statuses == [422, 413]


async def test_an_endless_address_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/customers", params={"tag": ["x" * 100] * 100})

    assert answer.status_code == 414


# How much one caller may take


async def test_a_caller_beyond_its_rate_is_told_when_to_come_again(settings: Settings) -> None:
    started = time.time()
    async with _client(settings, rate_read="3/minute", rate_write="2/minute") as client:
        reads = [(await client.get("/v1/layers")).status_code for _ in range(5)]
        refused = await client.get("/v1/layers")
        writes = [(await client.post("/v1/layers", json={})).status_code for _ in range(4)]
        alive = await client.get("/livez")

    assert reads == [200, 200, 200, 429, 429]
    # Of a minute's three requests none is free before the next.
    assert time.time() + int(refused.headers["Retry-After"]) >= 60 * (started // 60 + 1)
    assert refused.json()["type"] == "/problems/too-many-requests"
    assert writes == [422, 422, 429, 429]
    assert alive.status_code == 200


async def test_a_flood_of_one_caller_leaves_room_for_another(
    settings: Settings, database: Database
) -> None:
    async with database.writing() as session:
        keys = [await create_key(session, name, "planner") for name in ("flooding", "other")]
    flooding, other = [{"Authorization": f"Bearer {key}"} for key in keys]
    engine = create_engine(Access.of(settings).owner_url)

    async with _client(settings, auth="on", max_requests_per_caller=4, pool_size=6) as client:
        await client.get("/v1/layers", headers=other)
        # While a table is locked, requests for it pile up.
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE rep IN ACCESS EXCLUSIVE MODE"))
            flood = [
                asyncio.create_task(client.get("/v1/reps", headers=flooding)) for _ in range(40)
            ]
            refused, _ = await asyncio.wait(flood, timeout=1)
            answer = await client.get("/v1/layers", headers=other)
        answered = await asyncio.gather(*flood)

    assert answer.status_code == 200
    assert sorted(item.result().status_code for item in refused) == [429] * 36
    assert sorted(item.status_code for item in answered) == [200] * 4 + [429] * 36
    engine.dispose()


@pytest.mark.parametrize(
    ("path", "table", "status"),
    [("/v1/reps", "rep", 200), ("/v1/geofences/coverage?group=none", "geofence", 404)],
)
async def test_requests_of_one_caller_wait_for_each_other_and_leave_connections_to_others(
    settings: Settings, database: Database, path: str, table: str, status: int
) -> None:
    async with database.writing() as session:
        keys = [await create_key(session, name, "planner") for name in ("flooding", "other")]
    flooding, other = [{"Authorization": f"Bearer {key}"} for key in keys]
    engine = create_engine(Access.of(settings).owner_url)

    async with _client(settings, auth="on", pool_size=4) as client:
        with engine.begin() as connection:
            connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            flood = [asyncio.create_task(client.get(path, headers=flooding)) for _ in range(40)]
            done, _ = await asyncio.wait(flood, timeout=3)
            answer = await client.get("/v1/layers", headers=other)
        answered = await asyncio.gather(*flood)

    assert not done, "nobody waits for a connection in vain"
    assert answer.status_code == 200
    assert {item.status_code for item in answered} == {status}
    engine.dispose()


async def test_guesses_beyond_a_rate_are_refused_and_valid_keys_are_not(
    settings: Settings, database: Database
) -> None:
    async with database.writing() as session:
        key = await create_key(session, "k", "viewer")
    async with _client(settings, auth="on", rate_refused="5/minute") as client:
        guesses = [
            (
                await client.get("/v1/layers", headers={"Authorization": f"Bearer bw_0_{n}"})
            ).status_code
            for n in range(8)
        ]
        valid = await client.get("/v1/layers", headers={"Authorization": f"Bearer {key}"})

    assert guesses == [401] * 5 + [429] * 3
    assert valid.status_code == 200


# Time


@pytest.fixture
def locked_reps(settings: Settings) -> Iterator[None]:
    """Whoever asks for reps waits until the test is over."""
    engine = create_engine(Access.of(settings).owner_url)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE rep IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
    "AND application_name = 'bailiwick' AND query ILIKE '%FROM rep%'"
)


async def _count_waiting(database: Database) -> int:
    async with database.reading() as session:
        return int(await session.scalar(WAITING) or 0)


async def test_a_request_that_takes_too_long_is_given_up(
    settings: Settings, database: Database, locked_reps: None
) -> None:
    async with _client(settings, request_timeout_s=0.5) as client:
        started = time.monotonic()
        answer = await client.get("/v1/reps")
        took_s = time.monotonic() - started
        others = await client.get("/v1/layers")

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/took-too-long"
    assert answer.headers["Retry-After"]
    assert took_s < 3
    assert others.status_code == 200
    assert await _count_waiting(database) == 0, "its statement was cancelled, too"


async def test_a_client_that_goes_away_ends_its_query(
    settings: Settings, database: Database, locked_reps: None
) -> None:
    with server(settings) as (_, address):
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{address}/v1/reps", timeout=httpx.Timeout(5, read=0.7))

        give_up = time.monotonic() + 2
        while await _count_waiting(database):
            assert time.monotonic() < give_up, "the query goes on for nobody"
            await asyncio.sleep(0.05)


def test_a_body_that_trickles_in_is_cut_off(settings: Settings, empty_database: None) -> None:
    with server(settings, BAILIWICK_BODY_TIMEOUT_S="1") as (_, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/layers HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            started = time.monotonic()
            answer = b""
            while piece := connection.recv(65536):
                answer += piece

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"/problems/request-timeout" in answer
    assert time.monotonic() - started < 5


def test_an_upload_may_last_while_it_flows(
    settings: Settings, empty_database: None, tmp_path: Path
) -> None:
    rows = b"".join(b"C%d,N,121.5,31.2\n" % n for n in range(2000))

    def slowly() -> Iterator[bytes]:
        head = (
            b'--b\r\nContent-Disposition: form-data; name="kind"\r\n\r\ncustomers\r\n'
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="c.csv"\r\n\r\n'
        )
        yield head + b"external_id,name,lon,lat\n"
        for start in range(0, len(rows), len(rows) // 8):
            time.sleep(0.2)
            yield rows[start : start + len(rows) // 8]
        yield b"\r\n--b--\r\n"

    limits = {"BAILIWICK_BODY_TIMEOUT_S": "1", "BAILIWICK_MIN_UPLOAD_BYTES_PER_S": "1000"}
    with server(settings, **limits) as (_, address):
        answer = httpx.post(
            f"{address}/v1/imports", content=slowly(), timeout=20,
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )  # fmt: skip

    assert answer.status_code == 202, answer.text


# Strangers and proxies


@pytest.fixture(scope="module")
def closed_door(settings: Settings) -> Iterator[int]:
    """The port of a server that asks everybody for a credential."""
    with server(settings, BAILIWICK_AUTH="on") as (_, address):
        yield int(address.rpartition(":")[2])


@pytest.mark.parametrize(
    ("length", "statuses"),
    [
        (f"Content-Length: {3 * MIB}", (b"401", b"413")),
        ("Content-Length: 100", (b"401",)),
        ("Transfer-Encoding: chunked", (b"401",)),
    ],
)
def test_the_body_of_a_stranger_is_not_even_waited_for(
    closed_door: int, length: str, statuses: tuple[bytes, ...]
) -> None:
    head = f"POST /v1/customers HTTP/1.1\r\nHost: localhost\r\n{length}\r\n"
    kind = "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"

    with socket.create_connection(("127.0.0.1", closed_door), timeout=5) as connection:
        connection.sendall((head + kind).encode())
        answer = connection.recv(65536)

    # Who reads a body says "100 Continue" before.
    version, status, *_ = answer.split()
    assert version == b"HTTP/1.1"
    assert status in statuses, answer


@pytest.mark.parametrize(
    ("trusted", "is_believed"), [(None, False), ("10.9.8.7", False), ("127.0.0.1", True)]
)
async def test_what_is_forwarded_is_believed_of_named_proxies_only(
    settings: Settings, database: Database, trusted: str | None, is_believed: bool
) -> None:
    async with database.writing() as session:
        key = await create_key(session, "k", "planner")
    # What the server would read by itself must not count.
    named = {"FORWARDED_ALLOW_IPS": "*", "BAILIWICK_RATE_REFUSED": "2/minute"}
    if trusted is not None:
        named["BAILIWICK_TRUSTED_PROXIES"] = trusted

    with server(settings, BAILIWICK_AUTH="on", **named) as (_, address):
        forwarded = {"Authorization": f"Bearer {key}", "X-Forwarded-Proto": "https"}
        described = httpx.get(f"{address}/v1/tiles/customers.json", headers=forwarded).json()
        # Strangers are counted by their address.
        strangers = [
            httpx.get(f"{address}/v1/layers", headers={"X-Forwarded-For": f"192.0.2.{n}"})
            for n in range(6)
        ]

    scheme = "https" if is_believed else "http"
    assert described["tiles"][0].startswith(f"{scheme}://127.0.0.1")
    refused = {answer.status_code for answer in strangers}
    assert refused == ({401} if is_believed else {401, 429})


# Metrics


async def test_metrics_count_by_template_and_tell_the_state_of_the_data(
    settings: Settings, database: Database
) -> None:
    async with _client(settings) as client:
        await client.post("/v1/customers", json={**BODY, "name": "Zyxwvu"})
        await client.get("/v1/customers/1", params={"external_id": "Zyxwvu"})
        await client.get("/v1/customers/1")
        await client.get("/nowhere/Zyxwvu")
        await client.request("ZYXWVU", "/v1/customers")
        text = (await client.get("/metrics")).text

    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    route = 'route="/v1/customers/{customer_id}"'
    assert lines[f'bailiwick_http_requests_total{{method="GET",{route},status="200"}}'] == "1.0"
    assert lines[f'bailiwick_http_requests_total{{method="GET",{route},status="400"}}'] == "1.0"
    assert lines['bailiwick_http_requests_total{method="GET",route="none",status="404"}'] == "1.0"
    assert lines["bailiwick_activity_deltas"] == "1.0"
    assert lines["bailiwick_pool_connections"] == str(float(settings.pool_size))
    assert "zyxwvu" not in text.lower()


@pytest.mark.parametrize(
    ("role", "scopes", "status"),
    [
        ("viewer", ["metrics"], 200),
        ("planner", ["metrics"], 200),
        ("viewer", ["read"], 403),
        (None, [], 401),
    ],
)
async def test_metrics_are_for_keys_with_their_scope(
    settings: Settings, database: Database, role: str | None, scopes: list[str], status: int
) -> None:
    headers = {}
    if role is not None:
        async with database.writing() as session:
            key = await create_key(session, "k", role, scopes=scopes)
        headers = {"Authorization": f"Bearer {key}"}
    async with _client(settings, auth="on") as client:
        assert (await client.get("/metrics", headers=headers)).status_code == status
