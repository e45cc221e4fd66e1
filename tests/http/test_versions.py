"""ETags: unchanged answers cost nothing, and no change overwrites one that its author never saw."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.db.session import Database
from app.http.merge_patch import merge
from tests.auth.world import make_world

BODY = {"name": "Riverside Clinic", "lon": 121.49, "lat": 31.24, "attributes": {"a": 1, "b": 2}}
AREA = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}

# What makes a resource, and what changes it.
RESOURCES = [
    ("/v1/customers", {**BODY, "external_id": "C"}, ("PATCH", {"class": "A"})),
    ("/v1/customers", {**BODY, "external_id": "C"}, ("DELETE", None)),
    ("/v1/reps", {"external_id": "R", "name": "Lin Mei"}, ("PATCH", {"fte": 0.5})),
    ("/v1/reps", {"external_id": "R", "name": "Lin Mei"}, ("DELETE", None)),
    ("/v1/geofences", {"name": "yard", "geometry": AREA}, ("PATCH", {"name": "Yard"})),
    ("/v1/geofences", {"name": "yard", "geometry": AREA}, ("DELETE", None)),
]


async def _made(client: httpx.AsyncClient, address: str, body: Any) -> tuple[str, str]:
    answer = await client.post(address, json=body)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"], answer.headers["ETag"]


@pytest.mark.parametrize(("address", "body", "change"), RESOURCES)
async def test_a_change_names_the_version_it_is_a_change_of(
    client: httpx.AsyncClient, address: str, body: Any, change: tuple[str, Any]
) -> None:
    href, etag = await _made(client, address, body)
    method, patch = change

    async def send(**headers: str) -> httpx.Response:
        content = {} if patch is None else {"json": patch}
        return await client.request(method, href, headers=headers, **content)  # type: ignore[arg-type]

    without = await send()
    stale = await send(**{"If-Match": '"x"'})
    weak = await send(**{"If-Match": f"W/{etag}"})
    assert (without.status_code, stale.status_code, weak.status_code) == (428, 412, 412)
    assert without.json()["errors"][0]["pointer"] == "/header/If-Match"
    assert etag in stale.json()["errors"][0]["detail"]
    assert (await client.get(href)).headers["ETag"] == etag, "nothing has changed"

    done = await send(**{"If-Match": f'"x", {etag}'})

    assert done.is_success
    if method == "PATCH":
        assert done.headers["ETag"] == (await client.get(href)).headers["ETag"] != etag
        assert (await send(**{"If-Match": etag})).status_code == 412
    else:
        assert (await client.get(href)).status_code == 404
        assert (await send(**{"If-Match": "*"})).status_code == 404


@pytest.mark.parametrize(("verb", "state"), [("publish", "published"), ("withdraw", "draft")])
async def test_a_plan_comes_and_goes_by_the_version_that_was_seen(
    client: httpx.AsyncClient, database: Database, verb: str, state: str
) -> None:
    href = f"/v1/plans/{(await make_world(database)).foreign['plan_id']}"
    tomorrow = {"effective_from": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    if verb == "withdraw":
        done = await client.post(f"{href}:publish", json=tomorrow, headers={"If-Match": "*"})
        assert done.is_success, done.text
    before = await client.get(href)
    etag = before.headers["ETag"]

    async def send(**headers: str) -> httpx.Response:
        content = {"json": tomorrow} if verb == "publish" else {}
        return await client.post(f"{href}:{verb}", headers=headers, **content)  # type: ignore[arg-type]

    without, stale = await send(), await send(**{"If-Match": '"x"'})
    assert (without.status_code, stale.status_code) == (428, 412)
    assert without.json()["errors"][0]["pointer"] == "/header/If-Match"
    assert etag in stale.json()["errors"][0]["detail"]
    assert (await client.get(href)).content == before.content, "nothing has changed"

    done = await send(**{"If-Match": etag})

    assert done.is_success, done.text
    after = await client.get(href)
    assert after.json()["state"] == state != before.json()["state"]
    assert after.headers["ETag"] != etag
    assert (await send(**{"If-Match": etag})).status_code == 412


@pytest.mark.parametrize(("address", "body"), {r[0]: r[:2] for r in RESOURCES}.values())
async def test_an_answer_that_is_known_is_not_sent_again(
    client: httpx.AsyncClient, address: str, body: Any
) -> None:
    href, etag = await _made(client, address, body)

    known = await client.get(href, headers={"If-None-Match": f'"x", {etag}'})
    other = await client.get(href, headers={"If-None-Match": '"x"'})

    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", etag)
    assert (other.status_code, other.headers["ETag"]) == (200, etag)


async def test_a_patch_changes_what_it_names_and_null_brings_the_default_back(
    client: httpx.AsyncClient,
) -> None:
    href, etag = await _made(client, "/v1/customers", {**BODY, "external_id": "C", "class": "A"})

    patch = {"class": None, "segment": "hospital", "attributes": {"a": None, "c": 3}}
    answer = await client.patch(
        href, json=patch,
        headers={"If-Match": etag, "Content-Type": "application/merge-patch+json"},
    )  # fmt: skip

    assert answer.status_code == 200, answer.text
    customer = answer.json()
    assert (customer["class"], customer["segment"], customer["name"]) == (
        "C",
        "hospital",
        BODY["name"],
    )
    assert customer["attributes"] == {"b": 2, "c": 3}
    assert customer["version"] == 2


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        ({"name": None}, "/name"),
        ({"lat": 95}, "/lat"),
        ({"class": "Z"}, "/class"),
        ({"external_id": "other"}, "/external_id"),
        ({"id": 7}, "/id"),
        ({"version": 9}, "/version"),
        ({"territory_id": 9}, "/territory_id"),
        ({"work_minutes": 9}, "/work_minutes"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "/created_at"),
    ],
)
async def test_a_patch_of_what_cannot_be_changed_is_refused_by_its_member(
    client: httpx.AsyncClient, patch: dict[str, Any], place: str
) -> None:
    href, etag = await _made(client, "/v1/customers", {**BODY, "external_id": "C"})

    answer = await client.patch(href, json=patch, headers={"If-Match": etag})

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [place]
    assert (await client.get(href)).headers["ETag"] == etag


async def test_fifty_writers_of_one_customer_lose_no_update(client: httpx.AsyncClient) -> None:
    href, _ = await _made(client, "/v1/customers", {**BODY, "external_id": "C", "potential": 0})

    async def increment() -> None:
        while True:
            seen = await client.get(href)
            if seen.status_code == 503:
                continue
            patch = {"potential": seen.json()["potential"] + 1}
            done = await client.patch(href, json=patch, headers={"If-Match": seen.headers["ETag"]})
            if done.status_code == 200:
                return
            assert done.status_code in (412, 503), done.text

    await asyncio.gather(*(increment() for _ in range(50)))

    assert (await client.get(href)).json()["potential"] == 50


async def test_an_upsert_wins_unless_it_names_a_version(client: httpx.AsyncClient) -> None:
    address = "/v1/customers/by-external-id/C"
    first = await client.put(address, json=BODY)

    last = await client.put(address, json={**BODY, "name": "Last"})
    stale = await client.put(
        address, json={**BODY, "name": "Stale"}, headers={"If-Match": first.headers["ETag"]}
    )
    fresh = await client.put(
        address, json={**BODY, "name": "Fresh"}, headers={"If-Match": last.headers["ETag"]}
    )
    missing = await client.put(
        "/v1/customers/by-external-id/D", json=BODY, headers={"If-Match": "*"}
    )

    statuses = [answer.status_code for answer in (first, last, stale, fresh, missing)]
    assert statuses == [201, 200, 412, 200, 412]


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        # The table of RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_is_that_of_the_standard(target: Any, patch: Any, merged: Any) -> None:
    assert merge(target, patch) == merged
