"""Workers that freeze, fall, are stopped in the middle, or whose children go wrong."""

import asyncio
import signal
import time
from typing import Any

import httpx
import pytest

from app.db.session import Database
from app.jobs.queue import enqueue
from tests.faults.clients import CHANGING, DESIGNED, Client, customer_file
from tests.faults.harness import Site, wait_for
from tests.faults.holding import FOLD, TURN, held, wait_until_waiting
from tests.faults.invariants import RESUMED_WITHIN_S, settle, violations
from tests.faults.ledger import Ledger
from tests.faults.processes import Worker

QUICK = {"BAILIWICK_STALLED_AFTER_S": "6", "BAILIWICK_LOG_FORMAT": "console"}
N_ROWS = 2000
STATE = "SELECT state, attempts, fencing_token, phase FROM run WHERE id = %s"


@pytest.fixture
def client(empty_site: Site, ledger: Ledger) -> Client:
    """A client of a site with one API and no worker yet."""
    empty_site.add_api().wait_until_ready()
    return Client(empty_site, ledger)


def _import(client: Client, prefix: str = "M", potential: int = 1) -> int:
    content = customer_file(prefix, N_ROWS, CHANGING, "changing", potential)
    run_id = client.import_file(content, f"{prefix} {potential}")
    assert run_id is not None, client.ledger.surprises
    return run_id


def _end(client: Client, run_id: int) -> dict[str, Any]:
    run = client.end_of(run_id)
    assert run is not None, client.ledger.surprises
    return run


def _phase(site: Site, run_id: int) -> str:
    return str(site.rows(STATE, run_id)[0][3])


def _wait_until_held_in(site: Site, run_id: int, phase: str) -> None:
    """Wait until a run has come to a phase and somebody to a lock: others may wait before it."""
    wait_for(lambda: _phase(site, run_id) == phase, 60, phase)
    wait_until_waiting(site)


def _attempts(site: Site, run_id: int) -> int:
    return int(site.rows(STATE, run_id)[0][1])


def _is_computing(worker: Worker) -> bool:
    return bool(worker.children())


async def _enqueued(site: Site, kind: str, **parameters: Any) -> int:
    database = Database.of(site.settings)
    try:
        async with database.writing() as session:
            return (await enqueue(session, kind, parameters, "me")).id
    finally:
        await database.close()


def _put(site: Site, kind: str, **parameters: Any) -> int:
    return asyncio.run(_enqueued(site, kind, **parameters))


# Frozen


def test_a_frozen_worker_that_wakes_up_writes_nothing(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    frozen = empty_site.add_ready_worker(**QUICK)
    with held(empty_site, "LOCK TABLE customer IN SHARE MODE"):
        run_id = _import(client)
        _wait_until_held_in(empty_site, run_id, "merging")
        frozen.send(signal.SIGSTOP)
    stopped_at = time.monotonic()
    # Its transaction is open and has the turn of imports and the rows of the merge.
    other = empty_site.add_worker(**QUICK)

    run = _end(client, run_id)
    taken_over_s = time.monotonic() - stopped_at
    frozen.send(signal.SIGCONT)
    wait_for(lambda: "run_lost" in frozen.log or "run_interrupted" in frozen.log, 30, "a loss")

    assert (run["state"], run["attempts"]) == ("succeeded", 2), run
    assert run["result"]["created"] == N_ROWS
    assert taken_over_s <= RESUMED_WITHIN_S
    other.stop()
    assert _end(client, _import(client, potential=2))["state"] == "succeeded", "it works on"
    settle(empty_site)
    assert violations(empty_site, ledger) == []
    versions = "SELECT min(version), max(version), count(*) FROM customer"
    assert empty_site.rows(versions) == [(2, 2, N_ROWS)]
    stale = "SELECT count(*) FROM run_event WHERE run_id = %s AND state = 'running' AND seq > %s"
    end = empty_site.value("SELECT max(seq) FROM run_event WHERE state = 'succeeded'")
    assert empty_site.value(stale, run_id, end) == 0


# Without a database


def test_a_worker_outlives_its_database(empty_site: Site, client: Client, ledger: Ledger) -> None:
    worker = empty_site.add_worker("tests.faults.odd_worker", **QUICK)
    run_id = _put(empty_site, "in_child", what="sleep")
    wait_for(lambda: _is_computing(worker), 60, "the child computes")
    empty_site.kill_postgres()
    # Long enough for everything that connects again to be refused.
    wait_for(lambda: "queue_away" in worker.log, 40, "the queue is missed")
    empty_site.start_postgres()
    back_at = time.monotonic()

    wait_for(lambda: empty_site.rows(STATE, run_id)[0][:2] == ("running", 2), 60, "a resume")

    assert time.monotonic() - back_at <= RESUMED_WITHIN_S
    client.expect((202,), "POST", f"/v1/runs/{run_id}:cancel")
    assert _end(client, run_id)["state"] == "cancelled"
    assert _end(client, _import(client))["state"] == "succeeded"
    settle(empty_site)
    assert violations(empty_site, ledger) == []
    assert worker.stop() <= 10


# Poison


def test_a_run_that_fells_its_workers_is_given_up_and_others_go_on(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    workers = [empty_site.add_worker("tests.faults.odd_worker", **QUICK) for _ in range(2)]
    poison = _put(empty_site, "fall")
    healthy = [_import(client, prefix) for prefix in ("P", "Q")]
    falls = 0

    def is_over() -> bool:
        nonlocal falls
        for worker in workers:
            if not worker.is_alive:
                falls += 1
                worker.start()
        return bool(empty_site.rows(STATE, poison)[0][0] == "failed")

    wait_for(is_over, 120, "the poison is given up")

    run = _end(client, poison)
    assert (run["attempts"], falls) == (3, 3)
    assert run["error"]["type"] == "/problems/quarantined"
    assert "3 attempts" in run["error"]["detail"]
    assert [_end(client, run_id)["state"] for run_id in healthy] == ["succeeded"] * 2
    settle(empty_site)
    assert violations(empty_site, ledger) == []


def test_a_child_that_crashes_or_swells_dies_alone(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    limit = {"BAILIWICK_CHILD_MEMORY_BYTES": str(2**28)}
    worker = empty_site.add_worker("tests.faults.odd_worker", **QUICK, **limit)
    pid = worker.pid

    runs = [_put(empty_site, "in_child", what=what) for what in ("die", "swell", "compute")]
    died, swelled, computed = (_end(client, run_id) for run_id in runs)

    assert died["state"] == swelled["state"] == "failed"
    assert "signal 11" in died["error"]["detail"]
    assert "more than the 256 MB it may" in swelled["error"]["detail"]
    assert computed["state"] == "succeeded"
    assert (worker.is_alive, worker.pid) == (True, pid)
    settle(empty_site)
    assert violations(empty_site, ledger) == []


# Asked to stop


def test_a_worker_that_is_asked_to_stop_hands_its_run_on(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    first = empty_site.add_worker("tests.faults.odd_worker", **QUICK)
    run_id = _put(empty_site, "in_child", what="sleep")
    wait_for(lambda: _is_computing(first), 60, "the child computes")
    second = empty_site.add_worker("tests.faults.odd_worker", **QUICK)
    wait_for(lambda: "worker_started" in second.log, 60, "a second worker")

    stopped_s = first.stop()

    wait_for(lambda: _is_computing(second), RESUMED_WITHIN_S, "the run goes on elsewhere")
    assert first.wait(0) == 0
    assert stopped_s <= 30, "20 s for the run to end by itself, then it is handed on"
    assert empty_site.rows(STATE, run_id)[0][:2] == ("running", 1)
    client.expect((202,), "POST", f"/v1/runs/{run_id}:cancel")
    assert _end(client, run_id)["state"] == "cancelled"
    settle(empty_site)
    assert violations(empty_site, ledger) == []


# An import killed at each of its phases

HOLDS = {
    "fetching": "LOCK TABLE upload_chunk IN ACCESS EXCLUSIVE MODE",
    "waiting": f"SELECT pg_advisory_xact_lock({TURN})",
    "merging": "LOCK TABLE customer IN SHARE MODE",
    # A neighbour that the file does not hold: its work changes with the import.
    "estimating work": "SELECT FROM customer WHERE external_id = 'N0' FOR UPDATE",
    "summing up": f"SELECT pg_advisory_xact_lock({FOLD})",
}


@pytest.mark.faults_long
@pytest.mark.timeout(600)
def test_an_import_killed_at_any_of_its_phases_is_done_whole_and_once(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    worker = empty_site.add_worker(**QUICK)
    neighbours = client.import_file(customer_file("N", 50, CHANGING, "changing"), "neighbours")
    assert neighbours is not None
    assert _end(client, neighbours)["state"] == "succeeded"

    # New customers each time, so that the work of their neighbours changes.
    for prefix, (phase, hold) in zip("PQRST", HOLDS.items(), strict=True):
        # Its upload must be in before what is to stop the worker stops that.
        worker.send(signal.SIGSTOP)
        run_id = _import(client, prefix)
        with held(empty_site, hold):
            worker.send(signal.SIGCONT)
            if phase == "waiting":
                wait_for(lambda: "waiting" in _phase(empty_site, run_id), 60, phase)  # noqa: B023
            else:
                _wait_until_held_in(empty_site, run_id, phase)
            worker.kill()
        worker.start()
        wait_for(lambda: _attempts(empty_site, run_id) == 2, RESUMED_WITHIN_S, phase)  # noqa: B023
        run = _end(client, run_id)
        assert (run["state"], run["attempts"]) == ("succeeded", 2), (phase, run)
        assert run["result"]["created"] == N_ROWS, phase
        stored = f"SELECT count(*), max(version) FROM customer WHERE name LIKE '{prefix} %'"
        assert empty_site.rows(stored) == [(N_ROWS, 1)], phase

    settle(empty_site)
    assert violations(empty_site, ledger) == []


# Beside each other


def test_any_worker_takes_any_run_and_any_api_follows_and_cancels_it(
    empty_site: Site, client: Client, ledger: Ledger
) -> None:
    one, other = empty_site.apis[0], empty_site.add_api()
    other.wait_until_ready()
    content = customer_file("D", 300, DESIGNED, "designed")
    uploaded = httpx.post(
        f"{one.url}/v1/imports", files={"file": ("f.csv", content)}, data={"kind": "customers"}
    ).json()
    empty_site.add_worker(**QUICK)

    with httpx.stream("GET", f"{other.url}/v1/runs/{uploaded['id']}/events", timeout=60) as events:
        told = events.read().decode()

    assert "event: end" in told
    assert '"state":"succeeded"' in told
    layer = httpx.post(f"{one.url}/v1/layers", json={"name": "all"}).json()
    wanted = {"layer_id": layer["id"], "n_territories": 4}
    with held(empty_site, "LOCK TABLE plan IN ACCESS EXCLUSIVE MODE"):
        run = httpx.post(f"{one.url}/v1/plans", json=wanted, timeout=60)
        again = httpx.post(f"{other.url}/v1/plans", json=wanted, timeout=60)
        assert (run.status_code, again.status_code) == (202, 409)
        run_id = int(run.json()["id"])
        assert again.json()["errors"][0]["detail"] == f"/v1/runs/{run_id}"
        wait_for(lambda: empty_site.rows(STATE, run_id)[0][0] == "running", 60, "it runs")
        cancelled = httpx.post(f"{other.url}/v1/runs/{run_id}:cancel", timeout=60)
        assert cancelled.status_code == 202
        assert _end(client, run_id)["state"] == "cancelled"
    settle(empty_site)
    assert violations(empty_site, ledger) == []
