"""Alive, ready, version."""

import httpx
import pytest

from app import __version__
from app.db.cluster import ADMIN_ROLE, Cluster
from app.db.migrate import newest_revision
from app.main import create_app
from app.settings import Settings
from tests.http.conftest import client_of


async def test_a_process_without_its_database_is_alive(cut_off: httpx.AsyncClient) -> None:
    answer = await cut_off.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_a_process_without_its_database_is_not_ready(cut_off: httpx.AsyncClient) -> None:
    assert (await cut_off.get("/readyz")).status_code == 503


async def test_a_process_with_its_database_is_ready_and_says_the_revision(
    plain: httpx.AsyncClient,
) -> None:
    answer = await plain.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "revision": newest_revision()}


async def test_a_database_at_another_revision_is_not_ready(
    plain: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.service.newest_revision", lambda: "9999")

    answer = await plain.get("/readyz")

    assert answer.status_code == 503
    assert "bailiwick db upgrade" in answer.json()["detail"]


async def test_a_database_without_tables_is_not_ready(settings: Settings) -> None:
    url = Cluster(settings.home).url(ADMIN_ROLE).replace("/bailiwick?", "/postgres?")
    bare = Settings(database_url=url, auth="off")

    async with client_of(create_app(bare)) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert "bailiwick db upgrade" in answer.json()["detail"]


async def test_the_version_is_the_package_s(plain: httpx.AsyncClient) -> None:
    answer = await plain.get("/version")

    assert answer.json() == {"name": "bailiwick", "version": __version__}
