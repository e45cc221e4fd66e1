"""Imports, designs and single writes without pause while processes are killed at random moments."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.clients import CHANGING, DESIGNED, Clients, customer_file
from tests.faults.harness import Site, wait_for
from tests.faults.invariants import plan_cells
from tests.faults.ledger import Ledger
from tests.faults.processes import Worker

N_DESIGNED = 300
DESIGN = {"n_territories": 4, "seed": 11, "name": "besieged"}
EVENTS = (
    "SELECT run_id, extract(epoch FROM at)::float8, state, phase FROM run_event ORDER BY 1, seq"
)
IMPORTED = """
    -- One row when every customer of the file has the same value: an import is whole or not at all.
    SELECT potential, min(version), max(version), count(*) FROM customer
    WHERE external_id LIKE 'M%' GROUP BY 1
"""


@dataclass
class Tally:
    """What one siege showed."""

    victim: str
    kills: int = 0
    writes: int = 0
    lost_or_doubled: int = 0
    slowest_ready_s: float = 0.0
    slowest_resume_s: float = 0.0
    states: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return (
            f"{self.victim:<10} {self.kills:>5} {self.writes:>7} {self.lost_or_doubled:>5} "
            f"{self.slowest_ready_s:>8.1f} {self.slowest_resume_s:>8.1f}  {states}"
        )

    @staticmethod
    def heading() -> str:
        return "killed     kills  writes wrong  ready s resume s  runs"


class Siege:
    """A site under load, with a plan made before the first fault to compare with."""

    def __init__(self, site: Site, ledger: Ledger, n_imported: int) -> None:
        self.site = site
        self.ledger = ledger
        self.n_imported = n_imported
        self.clients = Clients(site, ledger)
        self.layer_id = 0
        self.undisturbed: list[Any] = []

    def prepare(self) -> None:
        """Store what is designed from, and design once in peace."""
        client = self.clients.client
        layer = client.expect(
            (201,), "POST", "/v1/layers",
            json={"name": "besieged", "customer_filter": {"segment": ["designed"]}},
        )  # fmt: skip
        self.layer_id = layer["id"]
        for prefix, n_rows, centre, segment in (
            ("D", N_DESIGNED, DESIGNED, "designed"),
            ("M", self.n_imported, CHANGING, "changing"),
        ):
            content = customer_file(prefix, n_rows, centre, segment, potential=0)
            run_id = client.import_file(content, f"first {prefix}")
            assert run_id is not None, self.ledger.surprises
            run = client.end_of(run_id)
            assert run is not None, self.ledger.surprises
            assert run["state"] == "succeeded", run
        run_id = client.design("undisturbed", layer_id=self.layer_id, **DESIGN)
        assert run_id is not None, self.ledger.surprises
        run = client.end_of(run_id)
        assert run is not None, self.ledger.surprises
        assert run["state"] == "succeeded", run
        self.undisturbed = plan_cells(self.site, run["result"]["plan_id"])["cells"]

    def begin(self) -> None:
        self.clients.start(
            self.import_again,
            self.design_again,
            self.clients.overwrite_customers,
            self.clients.make_fences,
        )

    def import_again(self, number: int) -> None:
        """Give every customer of a file a new potential."""
        content = customer_file("M", self.n_imported, CHANGING, "changing", number)
        run_id = self.clients.client.import_file(content, f"import {number}")
        if run_id is not None:
            self.clients.client.end_of(run_id)

    def design_again(self, number: int) -> None:
        """Design a plan and bring it into force in place of the one before."""
        client = self.clients.client
        run_id = client.design(f"design {number}", layer_id=self.layer_id, **DESIGN)
        run = None if run_id is None else client.end_of(run_id)
        if run is not None and run["state"] == "succeeded":
            client.publish(run["result"]["plan_id"], f"publish {number}")

    # What must hold beside the invariants of every site

    def violations(self) -> list[str]:
        return [*self._merges(), *self._designs()]

    def _merges(self) -> list[str]:
        """Check that each merge was committed once and whole, as the run says."""
        merges = self.site.rows(
            "SELECT id, result FROM run WHERE kind = 'import' AND result IS NOT NULL "
            "AND parameters ->> 'filename' = 'file.csv' ORDER BY id"
        )[1:]
        faults = [
            f"import {run_id} merged twice: {result}"
            for run_id, result in merges
            if result["created"] + result["updated"] != self.n_imported
        ]
        found = self.site.rows(IMPORTED)
        if len(found) != 1:
            return [*faults, f"half an import is visible: {found}"]
        _, lowest, highest, count = found[0]
        if (lowest, highest, count) != (len(merges), len(merges), self.n_imported):
            faults.append(f"{len(merges)} merges gave {found}")
        return faults

    def _designs(self) -> list[str]:
        """Check that a run gives the plan it gives in peace, however often it was interrupted."""
        return [
            f"plan {plan_id} differs from the undisturbed one"
            for (plan_id,) in self.site.rows("SELECT id FROM plan")
            if plan_cells(self.site, plan_id)["cells"] != self.undisturbed
        ]

    def count_states(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for state, attempts, count in self.site.rows(
            "SELECT state, attempts > 1, count(*) FROM run GROUP BY 1, 2"
        ):
            name = f"{state} after a resume" if attempts and state == "succeeded" else state
            counts[name] = counts.get(name, 0) + count
        return counts

    def slowest_resume_s(self) -> float:
        """Return the longest time from a run's last sign of life to its next start or its end."""
        slowest = 0.0
        last_sign: dict[int, float] = {}
        for run_id, at, state, phase in self.site.rows(EVENTS):
            is_next_start = state == "running" and phase == "started"
            is_given_up = state in ("failed", "cancelled")
            if run_id in last_sign and (is_next_start or is_given_up):
                slowest = max(slowest, at - last_sign[run_id])
            if state == "running":
                last_sign[run_id] = at
        return slowest


class Killer:
    """Kills at random moments; the same seed waits the same times and picks the same victims."""

    def __init__(self, site: Site, seed: int, shortest_s: float = 0.5, longest_s: float = 3.0):
        self.site = site
        self.random = random.Random(seed)
        self.pause_s = (shortest_s, longest_s)

    def strike(self, tally: Tally, victim: Callable[["Killer"], float]) -> None:
        """Wait for a random moment, kill, and note how long the API was not ready after it."""
        time.sleep(self.random.uniform(*self.pause_s))
        tally.slowest_ready_s = max(tally.slowest_ready_s, victim(self))
        tally.kills += 1

    # Victims

    def api(self) -> float:
        api = self.random.choice(self.site.apis)
        api.kill()
        api.start()
        return api.wait_until_ready()

    def worker(self) -> float:
        """Kill a worker that is at work."""
        busy = wait_for(self._busy_workers, 60, "a worker at work")
        worker = self.random.choice(busy)
        worker.kill()
        worker.start()
        return 0.0

    def _busy_workers(self) -> list[Worker]:
        return [worker for worker in self.site.workers if worker.is_busy]

    def child(self) -> float:
        """Kill what computes for a worker, as the kernel does when memory is short."""
        # The workers may have been killed just now: until they are back with what they held.
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            children = [pid for worker in self.site.workers for pid in worker.children()]
            if children:
                time.sleep(self.random.uniform(0, 1))
                try:
                    os.kill(self.random.choice(children), signal.SIGKILL)
                    return 0.0
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
        raise AssertionError("no child computes")

    def postgres(self) -> float:
        self.site.kill_postgres()
        self.site.start_postgres()
        return max(api.wait_until_ready() for api in self.site.apis)

    def backend(self) -> float:
        pids = self.site.rows(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'bailiwick%' ORDER BY pid"
        )
        self.site.kill_backend(self.random.choice(pids)[0])
        self.site.wait_for_postgres()
        return max(api.wait_until_ready() for api in self.site.apis)
