"""Publishing and rolling back while the API is killed: readers see one plan, never a mixture."""

import random
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.faults.clients import DESIGNED, NO_TLS, Client, customer_file
from tests.faults.harness import Site
from tests.faults.ledger import Ledger
from tests.faults.processes import Api

N_ROUNDS = 12
# Until a publication is committed takes some tenths of a second.
LONGEST_DELAY_S = 0.8
POLL_S = 0.01
STRAY = """
    -- What was half done: publications of a layer that overlap, plans in force without all their
    -- cells, publications without the event that goes with each.
    SELECT (SELECT count(*) FROM publication AS a JOIN publication AS b
            ON a.layer_id = b.layer_id AND a.id < b.id AND a.during && b.during),
        (SELECT count(*) FROM publication JOIN plan ON plan.id = plan_id
            WHERE n_cells <> (SELECT count(*) FROM plan_cell WHERE plan_cell.plan_id = plan.id)),
        (SELECT count(*) FROM publication)
            - (SELECT count(*) FROM plan_event WHERE action IN ('published', 'rolled_back'))
"""


@dataclass
class Reader:
    """Asks again and again for the territories of the same points, at an API that lives."""

    api: Api
    points: list[dict[str, float]]
    known: dict[int, list[str | None]] = field(default_factory=dict)
    """The codes of the points in each plan that may come into force."""
    answers: list[tuple[int, list[str | None]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, client: httpx.Client) -> tuple[set[int], list[str | None]]:
        answer = client.post("/v1/territories/at:batch", json={"points": self.points})
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        plans = {found["plan_id"] for placed in items for found in placed}
        return plans, [placed[0]["territory"]["code"] if placed else None for placed in items]

    def read(self) -> None:
        with httpx.Client(base_url=self.api.url, timeout=30, verify=NO_TLS) as client:
            while not self.is_over.is_set():
                try:
                    plans, codes = self.ask(client)
                except (AssertionError, httpx.TransportError) as error:
                    self.faults.append(repr(error))
                    return
                if len(plans) != 1 or self.known.get(min(plans)) != codes:
                    self.faults.append(f"a mixture of {sorted(plans)}: {codes}")
                else:
                    self.answers.append((min(plans), codes))
                time.sleep(POLL_S)


def _points(client: Client, plan_id: int) -> list[dict[str, float]]:
    """Where the territories of a plan have their labels, and places between."""
    view = client.expect((200,), "GET", f"/v1/plans/{plan_id}")
    labels = [row["label_point"] for row in view["balance"]]
    chance = random.Random(1)
    between = [[chance.uniform(*pair) for pair in zip(a, b, strict=True)]
               for a in labels for b in labels if a < b]  # fmt: skip
    return [{"lon": lon, "lat": lat} for lon, lat in [*labels, *between]]


def _codes(client: Client, points: list[dict[str, float]]) -> list[str | None]:
    answer = client.expect((200,), "POST", "/v1/territories/at:batch", json={"points": points})
    return [placed[0]["territory"]["code"] if placed else None for placed in answer["items"]]


def _bring(client: Client, plan_id: int, step: str) -> Any:
    return client.expect((201,), "POST", f"/v1/plans/{plan_id}:{step}", headers={"If-Match": "*"})


def _strike(victim: Api, plan_id: int, step: str, delay_s: float, answers: list[str]) -> None:
    """Ask an API to bring a plan into force, and kill it meanwhile; note what it answered."""
    href = f"{victim.url}/v1/plans/{plan_id}"
    # The first request of a process takes longer than all that follow.
    httpx.get(href, timeout=30, verify=NO_TLS)

    def ask() -> None:
        try:
            answer = httpx.post(
                f"{href}:{step}", headers={"If-Match": "*"}, timeout=30, verify=NO_TLS
            )
            answers.append("made" if answer.status_code == 201 else answer.text)
        except httpx.TransportError:
            answers.append("killed")

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(delay_s)
    victim.kill()
    asking.join(40)
    victim.start()
    victim.wait_until_ready()


@pytest.mark.timeout(900)
def test_readers_see_one_plan_whole_while_the_api_is_killed_as_it_publishes(
    empty_site: Site, ledger: Ledger
) -> None:
    victim, living = empty_site.add_api(), empty_site.add_api()
    empty_site.add_worker()
    for api in (victim, living):
        api.wait_until_ready()
    client = Client(empty_site, ledger)
    client.site = Site(empty_site.folder, empty_site.cluster, empty_site.settings, apis=[living])
    layer = client.expect((201,), "POST", "/v1/layers", json={"name": "all"})
    run_id = client.import_file(customer_file("D", 300, DESIGNED, "designed"), "customers")
    assert run_id is not None
    assert (client.end_of(run_id) or {})["state"] == "succeeded"
    plans = []
    for n in (4, 5):
        run_id = client.design(f"design {n}", layer_id=layer["id"], n_territories=n, seed=1)
        assert run_id is not None
        plans.append((client.end_of(run_id) or {})["result"]["plan_id"])
    points = _points(client, plans[0])
    reader = Reader(living, points)
    for plan_id in plans:
        _bring(client, plan_id, "publish")
        reader.known[plan_id] = _codes(client, points)
    assert reader.known[plans[0]] != reader.known[plans[1]]

    chance = random.Random(4)
    reading = threading.Thread(target=reader.read)
    reading.start()
    started = time.monotonic()
    answers: list[str] = []
    try:
        in_force = plans[1]
        for number in range(N_ROUNDS):
            step = "rollback"
            target = plans[0] if reader.known[in_force] == reader.known[plans[1]] else plans[1]
            if number % 2:
                # A plan that was never in force: its cells are stored on the way.
                copied = client.expect((201,), "POST", f"/v1/plans/{target}:copy")
                reader.known[copied["id"]] = reader.known[target]
                target, step = copied["id"], "publish"
            _strike(victim, target, step, chance.uniform(0, LONGEST_DELAY_S), answers)
            shown = client.expect((200,), "GET", f"/v1/layers/{layer['id']}")["plan_in_force"]
            assert shown is not None, "no plan is in force"
            assert shown["plan_id"] in (in_force, target), "what was there, or what was asked for"
            in_force = shown["plan_id"]
            assert empty_site.rows(STRAY) == [(0, 0, 0)]
            assert _codes(client, points) == reader.known[in_force]
    finally:
        reader.is_over.set()
        reading.join(40)
    assert reader.faults == []
    assert ledger.surprises == []
    seen = [plan_id for plan_id, _ in reader.answers]
    assert set(answers) == {"made", "killed"}, answers
    assert sum(a != b for a, b in pairwise(seen)) >= answers.count("made")
    assert len(seen) / (time.monotonic() - started) > 10, "too few answers to see a mixture"
