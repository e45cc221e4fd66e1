"""Workers killed or frozen in the middle of rebalances: the plan is that of an undisturbed one."""

import hashlib
import random
import signal
import time
from typing import Any

import pytest

from app.db.alignment import unpack
from tests.faults.clients import DESIGNED, Client, customer_file
from tests.faults.harness import Site, wait_for
from tests.faults.invariants import RESUMED_WITHIN_S, settle
from tests.faults.ledger import Ledger
from tests.faults.processes import Worker

QUICK = {"BAILIWICK_STALLED_AFTER_S": "6", "BAILIWICK_LOG_FORMAT": "console"}
LONG = {"BAILIWICK_LOG_FORMAT": "console"}
N_ROWS = 3000
ALIGNMENT = "SELECT alignment FROM plan WHERE id = %s"
MADE = "SELECT id FROM plan WHERE origin = 'rebalance' ORDER BY id"
LOOKS = "SELECT count(*) FROM rebalance"
MOVES = "SELECT plan_id, count(*) FROM plan_move GROUP BY plan_id"
TOKEN = "SELECT fencing_token FROM run WHERE id = %s"
LATER = "SELECT count(*) FROM run_event WHERE run_id = %s AND seq > %s"


class Scene:
    """A plan in force that customers have drifted from, and what an undisturbed rebalance makes."""

    def __init__(self, site: Site, ledger: Ledger, **environment: str) -> None:
        self.site = site
        self.ledger = ledger
        self.environment = environment
        site.add_api(**environment).wait_until_ready()
        self.client = Client(site, ledger)
        site.add_ready_worker(**environment)
        self._end(self.client.import_file(customer_file("D", N_ROWS, DESIGNED, "x"), "base"))
        layer = self.client.expect((201,), "POST", "/v1/layers", json={"name": "all"})
        tolerances = {"work_minutes": 0.03, "customers": None}
        designed = self._end(
            self.client.design("plan", layer_id=layer["id"], n_territories=8, tolerances=tolerances)
        )
        self.plan_id = int(designed["result"]["plan_id"])
        self.client.publish(self.plan_id, "publish")
        east = (DESIGNED[0] + 0.4, DESIGNED[1] + 0.2)
        self._end(self.client.import_file(customer_file("E", N_ROWS // 4, east, "x"), "drift"))
        began = time.monotonic()
        self.undisturbed = self._plan_of(self.end(self.begin()))
        self.seconds = time.monotonic() - began

    def begin(self) -> int:
        """Ask for a rebalance; return its run."""
        path = f"/v1/plans/{self.plan_id}:rebalance"
        run = self.client.expect((202,), "POST", path, json={})
        assert run is not None, self.ledger.surprises
        return int(run["id"])

    def end(self, run_id: int) -> dict[str, Any]:
        """Wait until a run is over."""
        run = self.client.end_of(run_id)
        assert run is not None, self.ledger.surprises
        return run

    def check(self, run: dict[str, Any]) -> None:
        """Hold a run that was disturbed to what an undisturbed one makes."""
        assert run["state"] == "succeeded", run
        assert self._plan_of(run) == self.undisturbed
        plans = [row[0] for row in self.site.rows(MADE)]
        # Every rebalance left one plan, whole, and one look; none that was lost left anything.
        assert len(plans) == self.site.value(LOOKS)
        moves = dict(self.site.rows(MOVES))
        assert set(moves) == set(plans)
        assert len(set(moves.values())) == 1

    def _end(self, run_id: int | None) -> dict[str, Any]:
        assert run_id is not None, self.ledger.surprises
        run = self.end(run_id)
        assert run["state"] == "succeeded", run
        return run

    def _plan_of(self, run: dict[str, Any]) -> str:
        assert run["state"] == "succeeded", run
        cells, ordinals = unpack(bytes(self.site.value(ALIGNMENT, run["result"]["plan_id"])))
        return hashlib.sha256(cells.tobytes() + ordinals.tobytes()).hexdigest()


def _newest(site: Site) -> Worker:
    return site.workers[-1]


def _kill_once(scene: Scene, after_s: float) -> None:
    """Kill the worker a while after a rebalance began; another takes the run up in time."""
    site = scene.site
    run_id = scene.begin()
    time.sleep(after_s)
    _newest(site).kill()
    killed_at = time.monotonic()
    site.add_ready_worker(**scene.environment)
    ready_at = time.monotonic()
    run = scene.end(run_id)
    # To start a worker takes seconds of its own; another one may be running in a real deployment.
    taken_s = time.monotonic() - max(killed_at, ready_at)
    scene.check(run)
    assert taken_s <= RESUMED_WITHIN_S + scene.seconds, run


def _freeze_once(scene: Scene, after_s: float, frozen_s: float) -> None:
    """Freeze the worker in the middle of a rebalance; what it writes when it wakes is refused."""
    site = scene.site
    run_id = scene.begin()
    time.sleep(after_s)
    frozen = _newest(site)
    frozen.send(signal.SIGSTOP)
    stopped_at = time.monotonic()
    token = site.value(TOKEN, run_id)
    site.add_ready_worker(**scene.environment)
    run = scene.end(run_id)
    time.sleep(max(0.0, frozen_s - (time.monotonic() - stopped_at)))
    last = site.value("SELECT max(seq) FROM run_event WHERE run_id = %s", run_id)
    frozen.send(signal.SIGCONT)
    time.sleep(2.0)
    scene.check(run)
    assert site.value(LATER, run_id, last) == 0, "a stale worker wrote"
    assert site.value(TOKEN, run_id) >= token
    frozen.stop()


def _besiege(scene: Scene, n_kills: int, n_freezes: int, frozen_s: float, seed: int) -> None:
    generator = random.Random(seed)
    turns = ["kill"] * n_kills + ["freeze"] * n_freezes
    generator.shuffle(turns)
    for turn in turns:
        after_s = generator.uniform(0.0, scene.seconds)
        if turn == "kill":
            _kill_once(scene, after_s)
        else:
            _freeze_once(scene, after_s, frozen_s)
        # One worker at a time is under fire.
        for worker in scene.site.workers[:-1]:
            if worker.is_alive:
                worker.stop()
    settle(scene.site)
    assert scene.ledger.surprises == []


@pytest.mark.timeout(900)
def test_a_few_kills_and_a_freeze_make_the_same_plan(empty_site: Site, ledger: Ledger) -> None:
    scene = Scene(empty_site, ledger, **QUICK)

    _besiege(scene, n_kills=3, n_freezes=1, frozen_s=10.0, seed=4)


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
def test_thirty_kills_and_freezes_make_the_same_plan(empty_site: Site, ledger: Ledger) -> None:
    scene = Scene(empty_site, ledger, **LONG)

    _besiege(scene, n_kills=24, n_freezes=6, frozen_s=60.0, seed=30)


@pytest.mark.timeout(600)
def test_postgresql_killed_in_the_middle_of_a_rebalance(empty_site: Site, ledger: Ledger) -> None:
    scene = Scene(empty_site, ledger, **QUICK)
    run_id = scene.begin()
    wait_for(lambda: bool(_newest(empty_site).children()), 60, "a child computes")
    empty_site.kill_postgres()
    empty_site.start_postgres()

    run = scene.end(run_id)

    scene.check(run)


@pytest.mark.timeout(600)
def test_two_rebalances_of_a_layer_at_once_are_one(empty_site: Site, ledger: Ledger) -> None:
    scene = Scene(empty_site, ledger, **QUICK)
    run_id = scene.begin()

    second = scene.client.ask("POST", f"/v1/plans/{scene.plan_id}:rebalance", json={})

    assert second is not None
    assert second.status_code == 409
    assert second.json()["errors"][0]["detail"].endswith(f"/v1/runs/{run_id}")
    scene.check(scene.end(run_id))
