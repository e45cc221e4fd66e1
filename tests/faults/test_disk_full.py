"""A full disk is said in so many words, loses nothing, and is over when there is room again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.conftest import remove_all_rows
from tests.faults.harness import Site, site, wait_for
from tests.faults.small_disk import needs_root, on_small_disk, small_disk

pytestmark = needs_root

ANSWERED_WITHIN_S = 12.0
KEY_ON = {"BAILIWICK_AUTH": "on"}
ROW = "external_id,name,lon,lat\n"


@pytest.fixture(scope="module")
def cluster_site() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture
def own_site(cluster_site: Site) -> Iterator[Site]:
    """A cluster without rows whose disk may be taken away."""
    remove_all_rows(cluster_site.settings)
    yield cluster_site
    cluster_site.remove_processes()
    cluster_site.start_postgres()


def key_of_admin(own_site: Site) -> dict[str, str]:
    """Make a key by the command, as an operator does."""
    environment = os.environ | {
        "BAILIWICK_DATABASE_URL": own_site.cluster.url(),
        "BAILIWICK_HOME": str(own_site.folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "app", "keys", "create", "me", "--role", "admin"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {"Authorization": f"Bearer {done.stdout.strip()}"}


def add_customer(client: httpx.Client, name: str) -> httpx.Response:
    """Store a customer that takes some room: bytes that do not become smaller."""
    started = time.monotonic()
    answer = client.post(
        "/v1/customers",
        json={
            "external_id": name, "name": name, "lon": 113.0, "lat": 30.0,
            "attributes": {"note": os.urandom(12_000).hex()},
        },
    )  # fmt: skip
    assert time.monotonic() - started < ANSWERED_WITHIN_S
    return answer


def upload(client: httpx.Client, n_bytes: int) -> httpx.Response:
    content = ROW + "".join(
        f"{number},{os.urandom(40).hex()},113,30\n" for number in range(n_bytes // 90)
    )
    return client.post(
        "/v1/imports", data={"kind": "customers"}, files={"file": ("new.csv", content.encode())}
    )


def stored(own_site: Site) -> set[str]:
    return {name for (name,) in own_site.rows("SELECT external_id FROM customer")}


def _is_problem(answer: httpx.Response, code: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == f"/problems/{code}"
    assert int(answer.headers["Retry-After"]) > 0


def write_until_full(client: httpx.Client, prefix: str) -> list[str]:
    """Write until that is refused; return what was acknowledged."""
    acknowledged = []
    for number in range(400):
        answer = add_customer(client, f"{prefix}{number}")
        if answer.status_code != 201:
            _is_problem(answer, "disk-full")
            return acknowledged
        acknowledged.append(f"{prefix}{number}")
    raise AssertionError("the disk did not fill up")


def test_with_a_full_disk_writes_are_refused_and_reads_go_on(own_site: Site) -> None:
    headers = key_of_admin(own_site)
    with on_small_disk(own_site, "base", 24) as disk:
        api = own_site.add_api(**KEY_ON)
        api.wait_until_ready()
        with httpx.Client(base_url=api.url, headers=headers, timeout=30) as client:
            acknowledged = ["first"]
            assert add_customer(client, "first").status_code == 201

            disk.fill()
            acknowledged += write_until_full(client, "full")
            _is_problem(upload(client, 1_500_000), "disk-full")
            for path in ("/v1/customers", "/v1/runs", "/v1/api-keys", "/readyz"):
                assert client.get(path).status_code == 200, path
            assert stored(own_site) == set(acknowledged)

            disk.make_room()
            assert add_customer(client, "afterwards").status_code == 201
            assert upload(client, 1_500_000).status_code == 202
            assert stored(own_site) == {*acknowledged, "afterwards"}
        assert api.is_alive
        own_site.remove_processes()


QUEUE = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bailiwick-queue'"


def _sessions_of_queue(site: Site) -> int:
    try:
        return int(site.value(QUEUE))
    except psycopg.OperationalError:
        # A disk that is full to the last page lets no new session look, ours as little as others.
        return 0


def test_a_queued_run_waits_for_room_and_is_done_then(own_site: Site) -> None:
    with on_small_disk(own_site, "base", 24) as disk:
        quick = {"BAILIWICK_STALLED_AFTER_S": "3"}
        api = own_site.add_api()
        api.wait_until_ready()
        with httpx.Client(base_url=api.url, timeout=30) as client:
            run = upload(client, 300_000).headers["Location"]
            disk.fill()
            worker = own_site.add_worker(**quick)
            # One that cannot even write that it is there ends before it is seen.
            wait_for(
                lambda: not worker.is_alive or _sessions_of_queue(own_site) > 0,
                60,
                "a worker that finds the disk full",
            )
            assert client.get(run).json()["state"] in ("queued", "running")

            disk.make_room()

            def is_done() -> bool:
                # Its operator's supervisor starts it again.
                if not worker.is_alive:
                    worker.start()
                return bool(client.get(run).json()["state"] == "succeeded")

            wait_for(is_done, 60, "end of the run")
            assert len(stored(own_site)) == 300_000 // 90
        own_site.remove_processes()


def test_without_room_for_its_log_postgres_falls_and_comes_back_with_everything(
    own_site: Site,
) -> None:
    with on_small_disk(own_site, "pg_wal", 60) as disk:
        api = own_site.add_api()
        api.wait_until_ready()
        with httpx.Client(base_url=api.url, timeout=30) as client:
            disk.fill()
            acknowledged = _write_until_it_falls(client)
            wait_for(lambda: not _answers(own_site), 20, "end of PostgreSQL")

            started = time.monotonic()
            answer = client.get("/readyz")
            assert time.monotonic() - started < ANSWERED_WITHIN_S
            assert answer.status_code == 503
            assert api.is_alive

            disk.make_room()
            own_site.start_postgres()
            wait_for(lambda: client.get("/readyz").is_success, 30, "ready")
            assert set(acknowledged) <= stored(own_site)
            assert add_customer(client, "afterwards").status_code == 201
        own_site.remove_processes()


def _write_until_it_falls(client: httpx.Client) -> list[str]:
    acknowledged = []
    for number in range(3000):
        answer = add_customer(client, f"wal{number}")
        if answer.status_code != 201:
            assert answer.status_code == 503, answer.text
            return acknowledged
        acknowledged.append(f"wal{number}")
    raise AssertionError("the log did not fill up")


def _answers(own_site: Site) -> bool:
    try:
        return bool(own_site.value("SELECT 1"))
    except psycopg.OperationalError:
        return False


def test_an_upload_without_room_to_wait_is_refused_and_leaves_nothing(own_site: Site) -> None:
    folder = own_site.folder / "spool"
    folder.mkdir()
    with small_disk(folder, 2) as disk:
        api = own_site.add_api(TMPDIR=str(folder))
        api.wait_until_ready()
        free = disk.free_bytes
        with httpx.Client(base_url=api.url, timeout=30) as client:
            # The first megabyte waits in memory.
            _is_problem(upload(client, 5_000_000), "disk-full")
            wait_for(lambda: disk.free_bytes == free, 10, "the room is given back")
            assert upload(client, 1_500_000).status_code == 202
        assert own_site.value("SELECT count(*) FROM upload") == 1


def test_a_computation_without_room_fails_and_says_why(own_site: Site) -> None:
    folder = own_site.folder / "work"
    folder.mkdir()
    with small_disk(folder, 1) as disk:
        api = own_site.add_api()
        own_site.add_worker(TMPDIR=str(folder))
        api.wait_until_ready()
        with httpx.Client(base_url=api.url, timeout=30) as client:
            for n_bytes in (3_000_000, 700_000):
                run = upload(client, n_bytes).headers["Location"]
                wait_for(lambda: client.get(run).json()["state"] == "failed", 60, "its end")  # noqa: B023
                assert client.get(run).json()["error"]["type"] == "/problems/disk-full"
            wait_for(lambda: not list(folder.iterdir()), 10, "the work folder is removed")
            assert disk.free_bytes > 900_000
        own_site.remove_processes()
