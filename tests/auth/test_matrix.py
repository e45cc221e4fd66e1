"""Every operation × every role × own, foreign and missing object; generated from the API itself."""

import json
import re
import struct
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.activity import fold
from app.cli.processes import openapi_text
from app.db.session import Database
from app.settings import Settings
from tests.auth.clients import ClientAs, clients_of
from tests.auth.rows import ALL, LIMITED, MATRIX, OPEN, TILE, Row
from tests.auth.world import MISSING, TELLING, make_world
from tests.conftest import ANY_VERSION, remove_all_rows

ROLES = (None, *sorted(ALL))
# Ids of no object, under whatever name.
NOWHERE: defaultdict[str, int] = defaultdict(lambda: MISSING)
OBJECTS = ("missing", "foreign", "own")
METHODS = ("get", "post", "put", "patch", "delete")


def _operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    paths = json.loads(openapi_text())["paths"]
    return {
        operation["operationId"]: (method, path, operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method in METHODS
    }


OPERATIONS = _operations()


def test_every_operation_has_a_row_in_the_matrix() -> None:
    assert set(MATRIX) | OPEN == set(OPERATIONS)


@pytest.mark.parametrize("operation", MATRIX)
def test_the_row_is_about_its_operation(operation: str) -> None:
    method, path, document = OPERATIONS[operation]
    row = MATRIX[operation]

    address = row.address.partition("?")[0]
    if operation in ("get_tile", "get_tileset"):
        assert address.startswith("/v1/tiles/territories")
    else:
        assert address == path
    assert row.method.lower() == method
    assert document["security"], "the document says that a credential is needed"


@pytest.fixture
async def client_as(settings: Settings, database: Database) -> AsyncIterator[ClientAs]:
    async with clients_of(settings, database) as make:
        yield make


async def _call(client: httpx.AsyncClient, row: Row, ids: dict[str, Any]) -> httpx.Response:
    content: dict[str, Any] = row.form or ({} if row.body is None else {"json": row.body})
    headers = ANY_VERSION if row.changes else {}
    address = row.address.format(**ids)
    return await client.request(row.method, address, headers=headers, **content)


def _expected(row: Row, role: str | None, whose: str) -> frozenset[int]:
    if role is None:
        return frozenset({401})
    if role not in row.roles:
        return frozenset({403})
    if row.has_object and whose == "missing":
        return frozenset({row.missing})
    if role in LIMITED and (row.unseen or (row.hides and whose == "foreign")):
        return frozenset({404})
    return row.statuses


@pytest.mark.parametrize("operation", MATRIX)
async def test_each_role_may_do_what_its_row_says_and_nothing_else(
    settings: Settings, database: Database, client_as: ClientAs, operation: str
) -> None:
    row = MATRIX[operation]
    objects = OBJECTS if row.has_object else ("own",)
    world = await make_world(database)
    is_used = False

    for role in ROLES:
        if row.changes and role in row.roles and is_used:
            remove_all_rows(settings)
            world = await make_world(database)
        is_used = is_used or role in row.roles
        client = await client_as(role, world.reps.get(role or ""))
        for whose in objects:
            answer = await _call(client, row, world.ids(whose))
            assert answer.status_code in _expected(row, role, whose), (role, whose, answer.text)
            if answer.status_code in (401, 403, 404):
                assert b"FOREIGN" not in answer.content
            _check_words(row, role, answer)


async def test_of_a_stranger_s_request_nothing_else_is_looked_at(client_as: ClientAs) -> None:
    stranger = await client_as(None)
    kind = {"Content-Type": "application/json"}

    for operation, row in MATRIX.items():
        address = row.address.format_map(NOWHERE)
        strange = f"{address}{'&' if '?' in address else '?'}no_such=1"
        for answer in (
            await stranger.request(row.method, address, content=b'{"a": NaN', headers=kind),
            await stranger.request(row.method, address, content=b"text"),
            await stranger.request(row.method, strange),
        ):
            assert answer.status_code == 401, (operation, answer.text)
            assert answer.headers["WWW-Authenticate"] == "Bearer", operation
            assert answer.json()["errors"] == [], "nothing is told of what else is wrong"


def _check_words(row: Row, role: str | None, answer: httpx.Response) -> None:
    if not row.shows or role is None or not answer.is_success:
        return
    # Between one and three at night the hours of instants look like codes.
    text = re.sub(rb"T\d\d:", b"", answer.content)
    # A tile writes names as they are; answers of look-ups name territories by their codes.
    own, foreign = (b"T01", b"T02") if b"T01" in text else (b"OWN", b"FOREIGN")
    assert own in text, (role, text)
    assert (foreign in text) == (role not in LIMITED), (role, text)


@pytest.mark.parametrize("role", sorted(LIMITED))
@pytest.mark.parametrize(
    "operation", [name for name, row in MATRIX.items() if row.hides or row.unseen]
)
async def test_the_tag_of_another_s_object_opens_nothing(
    database: Database, client_as: ClientAs, operation: str, role: str
) -> None:
    row = MATRIX[operation]
    world = await make_world(database)
    planner, limited = await client_as("planner"), await client_as(role, world.reps[role])
    address = row.address.format(**world.foreign)

    seen = await planner.get(address)
    tag = seen.headers.get("ETag", "*")
    probes = [await limited.get(address, headers={"If-None-Match": value}) for value in (tag, "*")]
    missing = await limited.get(row.address.format(**world.ids("missing")))

    assert seen.status_code == 200
    for probe in probes:
        assert probe.status_code == 404
        assert set(probe.headers) == set(missing.headers)
        assert probe.json().keys() == missing.json().keys()


@pytest.mark.parametrize("role", sorted(LIMITED))
async def test_no_filter_tells_of_what_is_another_s(
    database: Database, client_as: ClientAs, role: str
) -> None:
    world = await make_world(database)
    limited = await client_as(role, world.reps[role])
    beijing = "lon=116.4&lat=39.9"
    foreign = world.foreign["territory_id"]

    answers = [
        await limited.get(address)
        for address in (
            "/v1/customers?external_id=FOREIGN",
            f"/v1/customers?territory_id={foreign}",
            "/v1/customers?bbox=116,39,117,40",
            f"/v1/search/radius?{beijing}&radius_m=1000",
            f"/v1/search/nearest?{beijing}&k=5&territory_id={foreign}",
            f"/v1/search/nearest?{beijing}&k=5&rep_id={world.foreign['rep_id']}",
            f"/v1/territories/at?{beijing}",
            f"/v1/heatmap?resolution=3&territory_id={foreign}",
            f"/v1/heatmap?resolution=3&rep_id={world.foreign['rep_id']}",
        )
    ]

    for answer in answers:
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert document.get("items", document.get("features")) == []
    draft = world.foreign["plan_id"]
    for address in (f"/v1/tiles/territories/0/0/0.mvt?plan_id={draft}",
                    f"/v1/tiles/customers.json?plan_id={draft}"):  # fmt: skip
        assert (await limited.get(address)).status_code == 404


@pytest.mark.parametrize("role", sorted(LIMITED))
async def test_heat_counts_only_what_is_one_s_own(
    database: Database, client_as: ClientAs, role: str
) -> None:
    world = await make_world(database)
    await fold(database)
    address = "/v1/heatmap?resolution=3&format=cells"

    counts = {}
    for name in (role, "planner", "viewer"):
        client = await client_as(name, world.reps.get(name))
        document = (await client.get(address)).json()
        counts[name] = document

    assert _total(counts[role]) == 1
    assert _total(counts["planner"]) == 2
    # Sums over fewer than five customers tell of single ones.
    assert counts["viewer"]["cells"] == []


def _total(document: dict[str, Any]) -> float:
    return sum(float(cell[1]) for cell in document["cells"])


# Whoever sees single customers reads the numbers of the world here.
TELLS_DETAIL = {
    "list_customers", "get_customer", "get_plan", "list_plans", "get_plan_territories",
    "get_plan_manifest", "get_plan_certificate", "get_plan_front", "get_geofence", "get_tile",
    "list_alerts", "get_alert",
}  # fmt: skip


@pytest.mark.parametrize("operation", [name for name, row in MATRIX.items() if not row.changes])
async def test_no_answer_to_a_viewer_is_a_sum_over_a_few_customers(
    database: Database, client_as: ClientAs, operation: str
) -> None:
    row = MATRIX[operation]
    world = await make_world(database)
    await fold(database)
    viewer, planner = await client_as("viewer"), await client_as("planner")

    for whose in ("own", "foreign"):
        told = await _call(viewer, row, world.ids(whose))
        assert _tells_of_a_few(told.content) == [], told.content
        if operation in TELLS_DETAIL:
            seen = await _call(planner, row, world.ids(whose))
            assert _tells_of_a_few(seen.content), "what is looked for is there to be found"


def _tells_of_a_few(content: bytes) -> list[float]:
    """Return which telling numbers stand in an answer, as text or as a tile writes them."""
    return [
        number
        for number in TELLING
        if any(
            form in content
            for form in (repr(number).encode(), *(struct.pack(size, number) for size in "df"))
        )
    ]


@pytest.mark.parametrize("is_lasting", [False, True])
async def test_a_viewer_s_tile_is_another_than_a_planner_s(
    database: Database, client_as: ClientAs, is_lasting: bool
) -> None:
    world = await make_world(database)
    viewer, planner = await client_as("viewer"), await client_as("planner")
    plan = f"plan_id={world.own['plan_id']}"

    async def address_for(client: httpx.AsyncClient) -> str:
        described = (await client.get(f"/v1/tiles/territories.json?{plan}")).json()
        query = described["tiles"][0].partition("?")[2]
        assert "v=" in query
        return f"/v1/tiles/territories/{TILE}.mvt?{query if is_lasting else plan}"

    of_viewer, of_planner = await address_for(viewer), await address_for(planner)
    seen = await planner.get(of_planner)
    probe = await viewer.get(of_viewer, headers={"If-None-Match": seen.headers["ETag"]})
    at_the_planner_s = await viewer.get(of_planner)

    assert _tells_of_a_few(seen.content)
    assert probe.status_code == 200
    assert probe.headers["ETag"] != seen.headers["ETag"]
    assert (of_viewer != of_planner) == is_lasting, "nor do they share a lasting address"
    assert at_the_planner_s.status_code == (307 if is_lasting else 200)
    for answer in (probe, at_the_planner_s):
        assert _tells_of_a_few(answer.content) == []
