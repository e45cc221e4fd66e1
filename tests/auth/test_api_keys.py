"""Keys over HTTP: made, listed, rotated with an overlap, revoked, and who used them last."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.db.session import Database
from tests.auth.clients import ClientAs


async def _make(admin: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    body = {"name": "CRM map", "role": "viewer", **members}
    answer = await admin.post("/v1/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _status(client: httpx.AsyncClient, key: str, path: str = "/v1/layers") -> int:
    return (await client.get(path, headers={"Authorization": f"Bearer {key}"})).status_code


async def test_a_key_is_shown_once_and_listed_without_its_secret(admin: httpx.AsyncClient) -> None:
    made = await _make(admin)

    listed = (await admin.get("/v1/api-keys")).json()["items"]
    one = (await admin.get(f"/v1/api-keys/{made['api_key']['prefix']}")).json()

    assert one in listed
    assert made["key"].split("_", 2)[2] not in str(listed)
    assert one["role"] == "viewer"


async def test_a_rotated_key_works_on_until_the_overlap_is_over(
    admin: httpx.AsyncClient, database: Database
) -> None:
    old = await _make(admin, days=30)
    prefix = old["api_key"]["prefix"]

    new = (await admin.post(f"/v1/api-keys/{prefix}:rotate", json={"overlap_s": 600})).json()

    assert await _status(admin, old["key"]) == await _status(admin, new["key"]) == 200
    ends = datetime.fromisoformat((await admin.get(f"/v1/api-keys/{prefix}")).json()["expires_at"])
    assert timedelta(0) < ends - datetime.now(UTC) <= timedelta(seconds=600)
    lives = datetime.fromisoformat(new["api_key"]["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < lives <= timedelta(days=30)
    async with database.writing() as session:
        await session.execute(
            text("UPDATE api_key SET expires_at = now() WHERE prefix = :p"), {"p": prefix}
        )
    assert await _status(admin, old["key"]) == 401


async def test_a_rotation_without_overlap_ends_the_old_key_at_once(
    admin: httpx.AsyncClient,
) -> None:
    old = await _make(admin)
    prefix = old["api_key"]["prefix"]

    new = (await admin.post(f"/v1/api-keys/{prefix}:rotate", json={"overlap_s": 0})).json()

    assert await _status(admin, old["key"]) == 401
    assert await _status(admin, new["key"]) == 200
    assert (await admin.post(f"/v1/api-keys/{prefix}:rotate")).status_code == 409


async def test_a_revoked_key_ends_and_stays_listed(admin: httpx.AsyncClient) -> None:
    made = await _make(admin)
    address = f"/v1/api-keys/{made['api_key']['prefix']}"

    assert (await admin.delete(address)).status_code == 204

    assert await _status(admin, made["key"]) == 401
    assert (await admin.get(address)).json()["revoked_at"] is not None


async def test_the_last_use_of_a_key_is_known(admin: httpx.AsyncClient) -> None:
    made = await _make(admin)
    address = f"/v1/api-keys/{made['api_key']['prefix']}"
    assert (await admin.get(address)).json()["last_used_at"] is None

    await _status(admin, made["key"])

    used = datetime.fromisoformat((await admin.get(address)).json()["last_used_at"])
    assert datetime.now(UTC) - used < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("scopes", "reading", "writing"),
    [(["read"], 200, 403), (["write"], 403, 201), (["metrics"], 403, 403)],
)
async def test_a_key_does_only_what_its_scopes_allow(
    admin: httpx.AsyncClient, scopes: list[str], reading: int, writing: int
) -> None:
    made = await _make(admin, role="planner", scopes=scopes)
    headers = {"Authorization": f"Bearer {made['key']}"}

    got = await admin.get("/v1/layers", headers=headers)
    posted = await admin.post("/v1/layers", headers=headers, json={"name": "x"})

    assert (got.status_code, posted.status_code) == (reading, writing)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "k", "role": "king"}, "/role"),
        ({"name": "", "role": "viewer"}, "/name"),
        ({"name": "k", "role": "rep"}, ""),
        ({"name": "k", "role": "viewer", "rep_id": 1}, ""),
        ({"name": "k", "role": "rep", "rep_id": 77}, "/rep_id"),
        ({"name": "k", "role": "viewer", "days": 0}, "/days"),
        ({"name": "k", "role": "viewer", "scopes": []}, "/scopes"),
        ({"name": "k", "role": "viewer", "secret": "mine"}, "/secret"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused_by_its_member(
    admin: httpx.AsyncClient, body: dict[str, Any], place: str
) -> None:
    answer = await admin.post("/v1/api-keys", json=body)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [place or "/"]


async def test_only_admins_see_and_make_keys(client_as: ClientAs) -> None:
    for role in ("planner", "viewer"):
        caller = await client_as(role)
        assert (await caller.get("/v1/api-keys")).status_code == 403
        body = {"name": "k", "role": "admin"}
        assert (await caller.post("/v1/api-keys", json=body)).status_code == 403
