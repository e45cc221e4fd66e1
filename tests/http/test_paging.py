"""Keyset paging: every row once, whatever the sizes, whoever inserts meanwhile."""

import base64
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.db.session import Database
from app.errors import MalformedRequest
from app.http.paging import decode_cursor, encode_cursor

INSERT = text(
    "INSERT INTO rep (external_id, name) "
    "SELECT gen_random_uuid()::text, 'R' FROM generate_series(1, :n) RETURNING id"
)


async def _insert(database: Database, n: int) -> set[int]:
    async with database.writing() as session:
        return set(await session.scalars(INSERT, {"n": n}))


async def _pages(client: httpx.AsyncClient, address: str) -> list[list[dict[str, Any]]]:
    pages, following = [], address
    while following:
        page = (await client.get(following)).raise_for_status().json()
        pages.append(page["items"])
        links = {link["rel"]: link["href"] for link in page["links"]}
        following = links.get("next", "")
    return pages


@given(n=st.integers(0, 12), limit=st.integers(1, 14), arriving=st.integers(0, 3))
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_next_links_lead_past_every_row_exactly_once_while_others_insert(
    client: httpx.AsyncClient, database: Database, n: int, limit: int, arriving: int
) -> None:
    async with database.writing() as session:
        await session.execute(text("DELETE FROM rep"))
    present = await _insert(database, n)
    seen: list[int] = []
    following, n_pages = f"/v1/reps?limit={limit}", 0

    while following:
        page = (await client.get(following)).raise_for_status().json()
        assert len(page["items"]) <= limit
        seen += [item["id"] for item in page["items"]]
        following = {link["rel"]: link["href"] for link in page["links"]}.get("next", "")
        n_pages += 1
        if n_pages <= 2:
            await _insert(database, arriving)

    assert len(seen) == len(set(seen))
    assert seen == sorted(seen)
    assert present <= set(seen)


async def test_a_page_that_is_just_full_has_no_next_one(
    client: httpx.AsyncClient, database: Database
) -> None:
    await _insert(database, 6)

    pages = await _pages(client, "/v1/reps?limit=3")

    assert [len(page) for page in pages] == [3, 3]


async def test_deleted_rows_leave_no_gap(client: httpx.AsyncClient, database: Database) -> None:
    ids = sorted(await _insert(database, 6))
    first = (await client.get("/v1/reps?limit=2")).json()
    async with database.writing() as session:
        # The row that the cursor names goes as well.
        await session.execute(text("DELETE FROM rep WHERE id = ANY(:ids)"), {"ids": ids[1:4]})

    rest = await _pages(client, first["links"][-1]["href"])

    assert [item["id"] for page in rest for item in page] == ids[4:]


async def test_every_value_of_a_repeated_filter_goes_along_to_the_next_page(
    client: httpx.AsyncClient,
) -> None:
    for number, letter in enumerate("ABCABC"):
        body = {"name": "N", "lon": 121, "lat": 31, "class": letter, "tags": ["t & u"]}
        await client.put(f"/v1/customers/by-external-id/{number}", json=body)

    pages = await _pages(client, "/v1/customers?class=A&class=B&limit=1&tag=t%20%26%20u")

    assert [item["class"] for page in pages for item in page] == ["A", "B", "A", "B"]


async def test_the_self_link_leads_to_the_same_page(
    client: httpx.AsyncClient, database: Database
) -> None:
    await _insert(database, 5)
    page = (await client.get("/v1/reps?limit=2")).json()
    second = (await client.get(page["links"][1]["href"])).json()

    again = (await client.get(second["links"][0]["href"])).json()

    assert again == second


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_reads_back_what_was_written(last_id: int) -> None:
    assert decode_cursor(encode_cursor(last_id)) == last_id


@given(st.text(max_size=100))
def test_any_other_text_is_no_cursor_or_reads_as_an_id(cursor: str) -> None:
    try:
        after = decode_cursor(cursor)
    except MalformedRequest:
        return
    assert 0 <= after < 2**63


def _encoded(document: bytes) -> str:
    return base64.urlsafe_b64encode(document).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "????",
        "é",
        _encoded(b"null"),
        _encoded(b"[]"),
        _encoded(b"{}"),
        _encoded(b'{"after": "7"}'),
        _encoded(b'{"after": -1}'),
        _encoded(b'{"after": 9223372036854775808}'),
        _encoded(b'{"after": 1.5}'),
        _encoded(b'{"after": true}'),
    ],
)
async def test_a_bad_cursor_is_malformed(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get("/v1/reps", params={"cursor": cursor})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/query/cursor"
