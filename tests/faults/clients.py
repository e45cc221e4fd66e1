"""Clients that write without pause, repeat what was not answered, and note what was."""

import itertools
import random
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.faults.harness import Site
from tests.faults.ledger import Ledger

PAUSE_S = 0.05
# Else every request would read the certificates of the machine first.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# The ground that the designs are made of, and ground that imports change: too far for the one to
# be a neighbour of the other, so that a design has the same input whatever is imported.
DESIGNED = (113.0, 30.5)
CHANGING = (2.3, 48.8)
COLUMNS = "external_id,name,lon,lat,class,segment,potential\n"
AREA = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
# Three attempts, each of them missed for 45 s, and a wait for others.
MOST_SECONDS_TO_END = 240.0
MOST_SECONDS_TO_ANSWER = 200.0


def customer_file(
    prefix: str, n_rows: int, centre: tuple[float, float], segment: str, potential: int = 1
) -> bytes:
    """Return a CSV of customers around a place; the same arguments give the same file."""
    generator = random.Random(f"{prefix}{n_rows}")
    rows = [COLUMNS]
    for number in range(n_rows):
        lon, lat = (generator.gauss(middle, 0.5) for middle in centre)
        service_class = "ABCD"[number % 4]
        rows.append(
            f"{prefix}{number},{prefix} {number},{lon:.6f},{lat:.6f},{service_class},"
            f"{segment},{potential}\n"
        )
    return "".join(rows).encode()


def _key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name.replace(" ", "-")}


class Client:
    """Sends each request until it is answered, to one API after the other."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        self.site = site
        self.ledger = ledger
        self.is_over = threading.Event()
        self._turn = itertools.count()

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response | None:
        """Return the answer, or None when there was none in time or the client was stopped.

        A client in a thread would otherwise ask for ever, and its test wait for it for ever.
        """
        give_up = time.monotonic() + MOST_SECONDS_TO_ANSWER
        while not self.is_over.is_set():
            answer = self.ask_once(method, path, **content)
            if answer is not None:
                return answer
            if time.monotonic() > give_up:
                self.ledger.surprise(f"{method} {path} is not answered")
                return None
            time.sleep(PAUSE_S)
        return None

    def ask_once(self, method: str, path: str, **content: Any) -> httpx.Response | None:
        api = self.site.apis[next(self._turn) % len(self.site.apis)]
        try:
            answer = httpx.request(method, f"{api.url}{path}", timeout=30, verify=NO_TLS, **content)
        except httpx.TransportError:
            self.ledger.refuse()
            return None
        if answer.status_code == 503:
            self.ledger.refuse()
            if "Retry-After" not in answer.headers:
                self.ledger.surprise(f"{path}: 503 without Retry-After")
            return None
        if answer.status_code >= 500:
            self.ledger.surprise(f"{method} {path}: {answer.status_code} {answer.text}")
            return None
        return answer

    def expect(self, status: tuple[int, ...], method: str, path: str, **content: Any) -> Any:
        answer = self.ask(method, path, **content)
        if answer is None:
            return None
        if answer.status_code not in status:
            self.ledger.surprise(f"{method} {path}: {answer.status_code} {answer.text}")
            return None
        return answer.json()

    def import_file(self, content: bytes, key: str, **form: str) -> int | None:
        """Upload a file once, however often that takes; return its run."""
        run = self.expect(
            (202,), "POST", "/v1/imports",
            files={"file": ("file.csv", content)},
            data={"kind": "customers", **form},
            headers=_key(key),
        )  # fmt: skip
        return self._noted(run)

    def design(self, key: str, **request: Any) -> int | None:
        run = self.expect((202,), "POST", "/v1/plans", json=request, headers=_key(key))
        return self._noted(run)

    def publish(self, plan_id: int, key: str) -> None:
        """Bring a plan into force once, however often that has to be asked for."""
        path, headers = f"/v1/plans/{plan_id}:publish", {**_key(key), "If-Match": "*"}
        self.expect((201,), "POST", path, headers=headers)

    def end_of(self, run_id: int) -> dict[str, Any] | None:
        """Wait until a run is over and return it."""
        give_up = time.monotonic() + MOST_SECONDS_TO_END
        while not self.is_over.is_set():
            run: dict[str, Any] | None = self.expect((200,), "GET", f"/v1/runs/{run_id}")
            if run is not None and run["state"] in ("succeeded", "failed", "cancelled"):
                return run
            if time.monotonic() > give_up:
                self.ledger.surprise(f"run {run_id} does not end: {run}")
                return None
            time.sleep(4 * PAUSE_S)
        return None

    def _noted(self, run: Any) -> int | None:
        if run is None:
            return None
        run_id = int(run["id"])
        self.ledger.acknowledge_run(run_id, run["kind"])
        return run_id


class Clients:
    """Threads of clients, all working until told to stop."""

    def __init__(self, site: Site, ledger: Ledger) -> None:
        self.client = Client(site, ledger)
        self.ledger = ledger
        self._threads: list[threading.Thread] = []
        self._is_enough = threading.Event()

    def start(self, *actions: Callable[[int], None]) -> None:
        """Let a thread do each action again and again, with a number that grows."""
        for action in actions:
            thread = threading.Thread(target=self._repeat, args=(action,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def finish(self, timeout_s: float = 250.0) -> None:
        """Let every client end what it has begun."""
        self._is_enough.set()
        give_up = time.monotonic() + timeout_s
        try:
            for thread in self._threads:
                thread.join(max(0.0, give_up - time.monotonic()))
        finally:
            # Also when the test is cut off here: else they would ask on into the next.
            self.client.is_over.set()
        for thread in self._threads:
            thread.join(40)
            assert not thread.is_alive(), "a client hangs"

    def _repeat(self, action: Callable[[int], None]) -> None:
        for number in itertools.count(1):
            if self._is_enough.is_set():
                return
            try:
                action(number)
            except Exception as error:
                self.ledger.surprise(f"{action.__name__}: {error!r}")
                raise

    # What they do

    def overwrite_customers(self, number: int) -> None:
        """Give one of five customers a new potential."""
        external_id = f"W{number % 5}"
        body = {
            "name": external_id, "lon": CHANGING[0], "lat": CHANGING[1] + 0.01 * (number % 5),
            "segment": "written", "potential": number,
        }  # fmt: skip
        self.ledger.attempt(external_id, number)
        path = f"/v1/customers/by-external-id/{external_id}"
        if self.client.expect((200, 201), "PUT", path, json=body) is not None:
            self.ledger.acknowledge(external_id, number)

    def make_fences(self, number: int) -> None:
        """Make a geofence, which would be there twice if a repetition were not known as one."""
        name = f"fence {number}"
        made = self.client.expect(
            (201,), "POST", "/v1/geofences",
            json={"name": name, "geometry": AREA}, headers=_key(name),
        )  # fmt: skip
        if made is not None:
            self.ledger.acknowledge_fence(name)
