"""More clients than connections, slow clients, and a stop in the middle of all that."""

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.faults.clients import CHANGING, Client, customer_file
from tests.faults.harness import Site, wait_for
from tests.faults.holding import held, wait_until_waiting
from tests.faults.ledger import Ledger
from tests.faults.processes import Api
from tests.faults.remains import open_transactions

N_CLIENTS = 100
NARROW = {
    "BAILIWICK_POOL_SIZE": "2",
    "BAILIWICK_STATEMENT_TIMEOUT_S": "4",
    "BAILIWICK_REQUEST_TIMEOUT_S": "8",
    "BAILIWICK_MAX_REQUESTS_PER_CALLER": "200",
}
# Eight seconds for a request that waits for its turn, and a machine that does other work.
ANSWERED_WITHIN_S = 20.0
HOLD_CUSTOMERS = "LOCK TABLE customer IN ACCESS EXCLUSIVE MODE"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'bailiwick%'"


@pytest.fixture
def api(empty_site: Site) -> Api:
    api = empty_site.add_api(**NARROW)
    api.wait_until_ready()
    return api


@contextmanager
def _asking(
    api: Api, count: int, path: str = "/v1/customers"
) -> Iterator[list[Future[httpx.Response]]]:
    """Let many clients ask at once; give what becomes of them."""
    with ThreadPoolExecutor(count) as pool:
        yield [pool.submit(httpx.get, f"{api.url}{path}", timeout=60) for _ in range(count)]


def test_more_clients_than_connections_wait_a_bounded_time(empty_site: Site, api: Api) -> None:
    liveness = []
    with held(empty_site, HOLD_CUSTOMERS), _asking(api, N_CLIENTS) as asking:
        while not all(future.done() for future in asking):
            liveness.append(httpx.get(f"{api.url}/livez", timeout=5))
            time.sleep(0.05)
        answers = [future.result() for future in asking]

    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert max(answer.elapsed.total_seconds() for answer in answers) <= ANSWERED_WITHIN_S
    assert {answer.status_code for answer in liveness} == {200}
    # At once after the cause is gone, and with every connection of the pool.
    with _asking(api, 2) as asking:
        assert [future.result().status_code for future in asking] == [200, 200]
    assert open_transactions(empty_site) == 0


def test_clients_that_go_away_leave_no_connection_behind(empty_site: Site, api: Api) -> None:
    request = f"GET /v1/customers HTTP/1.1\r\nHost: {api.url.removeprefix('http://')}\r\n\r\n"
    place = ("127.0.0.1", int(api.url.rpartition(":")[2]))
    with held(empty_site, HOLD_CUSTOMERS), ExitStack() as stack:
        for _ in range(N_CLIENTS):
            client = stack.enter_context(socket.create_connection(place, timeout=10))
            client.sendall(request.encode())
        wait_until_waiting(empty_site, at_least=2)
        stack.close()
        wait_for(lambda: open_transactions(empty_site) == 0, ANSWERED_WITHIN_S, "nobody waits")

    for _ in range(3):
        with _asking(api, 2) as asking:
            assert [future.result().status_code for future in asking] == [200, 200]
    assert empty_site.value(SESSIONS) <= 5, "the pool, two to find out who calls, one listens"


def test_clients_that_read_slowly_or_sleep_hold_no_connection(
    empty_site: Site, ledger: Ledger, api: Api
) -> None:
    client = Client(empty_site, ledger)
    worker = empty_site.add_worker()
    run_id = client.import_file(customer_file("M", 3000, CHANGING, "changing"), "rows")
    assert run_id is not None
    assert (client.end_of(run_id) or {})["state"] == "succeeded"
    worker.send(signal.SIGSTOP)
    followed = client.import_file(customer_file("N", 10, CHANGING, "changing"), "followed")
    place = ("127.0.0.1", int(api.url.rpartition(":")[2]))
    slow = ("/v1/customers?limit=1000&format=geojson", f"/v1/runs/{followed}/events")

    with ExitStack() as stack:
        for path in slow * 4:
            sleeper = stack.enter_context(socket.socket())
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sleeper.settimeout(10)
            sleeper.connect(place)
            sleeper.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert sleeper.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 503")
        wait_for(lambda: open_transactions(empty_site) == 0, 60, "no transaction is open")

        answer = httpx.get(f"{api.url}/v1/customers?limit=1", timeout=10)

        assert answer.status_code == 200


def test_requests_accepted_before_a_stop_are_answered(empty_site: Site) -> None:
    api = empty_site.add_api()
    api.wait_until_ready()
    with ThreadPoolExecutor(6) as pool:
        with held(empty_site, HOLD_CUSTOMERS):
            asked = [
                pool.submit(
                    httpx.put,
                    f"{api.url}/v1/customers/by-external-id/S{number}",
                    json={"name": "S", "lon": 1, "lat": 2},
                    timeout=60,
                )
                for number in range(6)
            ]
            wait_until_waiting(empty_site, at_least=6)
            stopping_at = time.monotonic()
            api.send(signal.SIGTERM)
        answers = [future.result() for future in asked]
    code = api.wait(30)

    assert [answer.status_code for answer in answers] == [201] * 6
    assert empty_site.value("SELECT count(*) FROM customer") == 6
    # Uvicorn ends itself with the signal it got once it has finished.
    assert code in (0, -signal.SIGTERM)
    assert time.monotonic() - stopping_at <= 20
