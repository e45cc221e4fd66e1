"""Many writers at once, on two API processes: nothing lost, nothing doubled, no deadlock."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.faults.clients import CHANGING, Client, customer_file
from tests.faults.harness import Site
from tests.faults.invariants import settle, violations
from tests.faults.ledger import Ledger

N_WRITERS = 50
N_ROWS = 1000
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
# Well within the time a test may take: its threads outlive the signal that ends it.
SERVED_WITHIN_S = 200.0


@pytest.fixture
def client(empty_site: Site, ledger: Ledger) -> Iterator[Client]:
    """A client of two APIs and two workers; a test with a deadlock fails."""
    before = empty_site.value(DEADLOCKS)
    for _ in range(2):
        empty_site.add_api()
        empty_site.add_worker()
    for api in empty_site.apis:
        api.wait_until_ready()
    yield Client(empty_site, ledger)
    assert empty_site.value(DEADLOCKS) == before


def _at_once(count: int, action: Callable[[int], Any]) -> list[Any]:
    """Run an action in many threads that all begin at the same moment."""
    start = threading.Barrier(count)

    def begin(number: int) -> Any:
        start.wait(SERVED_WITHIN_S)
        return action(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def _until_served(site: Site, number: int, method: str, path: str, **content: Any) -> Any:
    """Send to one of the APIs, again while it is too busy."""
    url = f"{site.apis[number % len(site.apis)].url}{path}"
    give_up = time.monotonic() + SERVED_WITHIN_S
    while time.monotonic() < give_up:
        answer = httpx.request(method, url, timeout=60, **content)
        if answer.status_code != 503:
            return answer
    raise AssertionError("never served")


def test_fifty_writers_of_one_customer_make_one_customer(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    def put(number: int) -> httpx.Response:
        body = {"name": "one", "lon": 113.0, "lat": 30.0, "potential": number + 1}
        path = "/v1/customers/by-external-id/one"
        answer: httpx.Response = _until_served(empty_site, number, "PUT", path, json=body)
        return answer

    answers = _at_once(N_WRITERS, put)

    assert sorted(answer.status_code for answer in answers) == [200] * (N_WRITERS - 1) + [201]
    # Each write is a version of its own, and the last version is what is stored.
    versions = {answer.json()["version"]: answer.json()["potential"] for answer in answers}
    assert set(versions) == set(range(1, N_WRITERS + 1))
    stored = empty_site.rows("SELECT version, potential FROM customer")
    assert stored == [(N_WRITERS, versions[N_WRITERS])]
    settle(empty_site)
    assert violations(empty_site, ledger) == []


def test_fifty_increments_add_up_to_fifty(empty_site: Site, client: Client, ledger: Ledger) -> None:
    body = {"external_id": "one", "name": "one", "lon": 113.0, "lat": 30.0, "potential": 0}
    href = _until_served(empty_site, 0, "POST", "/v1/customers", json=body).headers["Location"]

    def increment(number: int) -> None:
        give_up = time.monotonic() + SERVED_WITHIN_S
        while time.monotonic() < give_up:
            read = _until_served(empty_site, number, "GET", href)
            patch = {"potential": read.json()["potential"] + 1}
            match = {"If-Match": read.headers["ETag"]}
            answer = _until_served(empty_site, number, "PATCH", href, json=patch, headers=match)
            if answer.status_code == 200:
                return
            assert answer.status_code == 412, answer.text
        raise AssertionError("never the first")

    _at_once(N_WRITERS, increment)

    stored = empty_site.rows("SELECT version, potential FROM customer")
    assert stored == [(N_WRITERS + 1, N_WRITERS)]
    settle(empty_site)
    assert violations(empty_site, ledger) == []


def _import_at_once(site: Site, client: Client, files: list[bytes]) -> list[dict[str, Any]]:
    """Upload files at the same instant over different APIs; return the results of their runs."""

    def upload(number: int) -> int:
        form = {"files": {"file": ("file.csv", files[number])}, "data": {"kind": "customers"}}
        return int(_until_served(site, number, "POST", "/v1/imports", **form).json()["id"])

    runs = [client.end_of(run_id) for run_id in _at_once(len(files), upload)]
    assert [run and run["state"] for run in runs] == ["succeeded"] * len(files), runs
    return [run["result"] for run in runs if run is not None]


def test_the_same_file_twice_at_once_is_imported_once(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    content = customer_file("M", N_ROWS, CHANGING, "changing")

    results = _import_at_once(empty_site, client, [content, content])

    counts = sorted((r["created"], r["updated"], r["unchanged"]) for r in results)
    assert counts == [(0, 0, N_ROWS), (N_ROWS, 0, 0)]
    assert empty_site.rows("SELECT count(*), max(version) FROM customer") == [(N_ROWS, 1)]
    settle(empty_site)
    assert violations(empty_site, ledger) == []


def test_imports_that_overlap_leave_each_customer_as_one_of_them_says(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    first = customer_file("M", N_ROWS, CHANGING, "changing", potential=1)
    second = customer_file("M", N_ROWS, CHANGING, "changing", potential=2)
    # The same rows in the other order, which would lock them in the other order.
    head, *rows = second.splitlines(keepends=True)
    backwards = b"".join([head, *reversed(rows)])

    results = _import_at_once(empty_site, client, [first, backwards])

    assert sorted((r["created"], r["updated"]) for r in results) == [(0, N_ROWS), (N_ROWS, 0)]
    stored = empty_site.rows("SELECT potential, version, count(*) FROM customer GROUP BY 1, 2")
    last = 1 if results[0]["updated"] else 2
    assert stored == [(last, 2, N_ROWS)], "whole files, one after the other"
    settle(empty_site)
    assert violations(empty_site, ledger) == []
