"""What must hold after every fault. Each check returns what is wrong, in words."""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3
import httpx
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql

from app.activity.work import READ, estimate, in_thread
from app.db.cluster import ADMIN_ROLE, DATABASE
from app.db.due import due_on
from app.db.session import Database
from app.db.tables import Customer
from app.workload.estimating import ESTIMATE, ESTIMATES_FILE, read_rows
from tests.faults.harness import POLL_S, Site, wait_for
from tests.faults.ledger import Ledger
from tests.faults.remains import (
    advisory_locks,
    computing_children,
    open_transactions,
    work_folders,
)
from tests.plans.checks import cells_by_territory, is_contiguous

# Promised for a run whose worker died: taken up again, or failed with its reason.
RESUMED_WITHIN_S = 45.0
IS_FOLDED = """
    SELECT NOT EXISTS (SELECT FROM activity_delta)
        AND NOT EXISTS (SELECT FROM heat_state WHERE is_stale)
"""
ACTIVE = "SELECT count(*) FROM run WHERE state IN ('queued', 'running')"
ROLLUP_DIFFERENCES = """
    -- The rollups as they are against the sums over the customers of now.
    WITH wanted AS (
        SELECT r::smallint AS resolution, cell_parent(cell, r) AS cell, class, segment,
            count(*) AS customers, sum(work_minutes) AS work, sum(potential) AS potential,
            count(*) FILTER (WHERE due_on < (SELECT day FROM heat_state)) AS overdue
        FROM customer CROSS JOIN generate_series(2, 9) AS r
        WHERE status <> 'inactive' GROUP BY 1, 2, 3, 4
    )
    SELECT count(*) FROM wanted
    FULL JOIN activity_cell AS kept USING (resolution, cell, class, segment)
    WHERE wanted.customers IS DISTINCT FROM kept.customers
        OR wanted.overdue IS DISTINCT FROM kept.overdue
        OR abs(wanted.work - kept.work_minutes) > 1e-6 * (1 + abs(wanted.work))
        OR abs(wanted.potential - kept.potential) > 1e-6 * (1 + abs(wanted.potential))
"""
TOTAL_DIFFERENCES = """
    -- The sums over all classes and segments against the rollups.
    WITH wanted AS (
        SELECT resolution, cell, sum(customers) AS customers, sum(work_minutes) AS work,
            sum(overdue) AS overdue
        FROM activity_cell WHERE resolution <= 6 GROUP BY 1, 2
    )
    SELECT count(*) FROM wanted FULL JOIN activity_total AS kept USING (resolution, cell)
    WHERE wanted.customers IS DISTINCT FROM kept.customers
        OR wanted.overdue IS DISTINCT FROM kept.overdue
        OR abs(wanted.work - kept.work_minutes) > 1e-6 * (1 + abs(wanted.work))
"""
MISPLACED = """
    -- Customers that are not in exactly one territory of a plan in force.
    SELECT plan.id, customer.external_id, count(DISTINCT plan_cell.territory_id)
    FROM publication JOIN plan ON plan.id = publication.plan_id
    JOIN layer ON layer.id = plan.layer_id
    JOIN customer ON layer_accepts(layer.customer_filter, class, segment, tags, status)
    LEFT JOIN plan_cell ON plan_cell.plan_id = plan.id AND plan_cell.cell IN (
        SELECT cell_parent(customer.cell, r) FROM unnest(plan.resolutions) AS r)
    WHERE publication.during @> now()
    GROUP BY 1, 2 HAVING count(DISTINCT plan_cell.territory_id) <> 1
"""
MEMBERS = """
    SELECT plan.id, plan.resolutions, external_id, cell
    FROM plan JOIN layer ON layer.id = plan.layer_id
    JOIN customer ON layer_accepts(layer.customer_filter, class, segment, tags, status)
"""
WITHOUT_ORIGIN = """
    -- Customers of which the audit does not tell once who brought them.
    SELECT external_id, count(event.id) FROM customer
    LEFT JOIN audit_event AS event ON event.entity = 'customer'
        AND (event.entity_id = customer.id AND action = 'insert' OR entity_ids @> customer.id)
    GROUP BY customer.id HAVING count(event.id) <> 1
"""
ORPHANED_JOBS = """
    SELECT count(*) FROM procrastinate_jobs AS job
    WHERE status = 'doing' AND NOT EXISTS (
        SELECT FROM procrastinate_workers AS worker
        WHERE worker.id = job.worker_id AND last_heartbeat > now() - interval '45 s')
"""
LIFELESS_RUNS = """
    SELECT count(*) FROM run
    WHERE state = 'running' AND heartbeat_at < now() - interval '45 s'
"""


def settle(site: Site, timeout_s: float = 240.0) -> None:
    """Wait until every run is over, all changes are folded and everybody rests."""
    wait_for(lambda: site.value(ACTIVE) == 0, timeout_s, "every run is over")
    wait_for(lambda: site.value(IS_FOLDED), 30, "changes are folded")
    wait_for(lambda: not computing_children(site), 10, "no child computes")


def violations(site: Site, ledger: Ledger) -> list[str]:
    """Return everything that is wrong with a site that has settled."""
    checks: tuple[Callable[[Site, Ledger], list[str]], ...] = (
        _surprises, _customers, _fences, _runs, _cells, _origins, _work, _due_dates, _rollups,
        _plans, _jobs, _remains, _pages,
    )  # fmt: skip
    return [fault for check in checks for fault in check(site, ledger)]


def _surprises(site: Site, ledger: Ledger) -> list[str]:
    return list(ledger.surprises)


def _customers(site: Site, ledger: Ledger) -> list[str]:
    """Check that each customer has the value last answered, or one sent after it."""
    statement = "SELECT external_id, potential FROM customer WHERE external_id LIKE 'W%'"
    stored = dict(site.rows(statement))
    faults = []
    for external_id, value in ledger.acknowledged.items():
        allowed = {value, ledger.attempted[external_id]}
        if stored.get(external_id) not in allowed:
            faults.append(f"{external_id} is {stored.get(external_id)}, answered was {value}")
    return faults


def _fences(site: Site, ledger: Ledger) -> list[str]:
    statement = "SELECT name, count(*) FROM geofence WHERE name LIKE 'fence %' GROUP BY name"
    stored = dict(site.rows(statement))
    lost = [f"geofence {name!r} is lost" for name in ledger.fences - stored.keys()]
    return lost + [f"{name!r} is there {n} times" for name, n in stored.items() if n > 1]


def _runs(site: Site, ledger: Ledger) -> list[str]:
    """Check that acknowledged runs are over, and the failed ones say why."""
    known = {row[0]: row[1:] for row in site.rows("SELECT id, state, error, result, kind FROM run")}
    faults = [f"run {run_id} is lost" for run_id in ledger.runs.keys() - known.keys()]
    for run_id, (state, error, result, kind) in known.items():
        if state == "failed" and not (error or {}).get("detail"):
            faults.append(f"run {run_id} failed without a reason")
        if state == "failed" and error["type"] == "/problems/internal":
            faults.append(f"run {run_id} failed by a mistake of ours: {error}")
        if state == "succeeded" and not result:
            faults.append(f"run {run_id} ({kind}) succeeded without a result")
    doubled = "SELECT run_id FROM plan GROUP BY run_id HAVING count(*) > 1"
    return faults + [f"run {row[0]} has stored several plans" for row in site.rows(doubled)]


def _cells(site: Site, ledger: Ledger) -> list[str]:
    statement = "SELECT external_id, cell, ST_X(geom), ST_Y(geom) FROM customer"
    return [
        f"customer {external_id} has a cell that is not the one of its place"
        for external_id, cell, lon, lat in site.rows(statement)
        if h3.int_to_str(cell) != h3.latlng_to_cell(lat, lon, 12)
    ]


def _origins(site: Site, ledger: Ledger) -> list[str]:
    return [
        f"the audit has {count} events of how customer {external_id} came"
        for external_id, count in site.rows(WITHOUT_ORIGIN)
    ]


def _work(site: Site, ledger: Ledger) -> list[str]:
    stored = dict(site.rows("SELECT id, work_minutes FROM customer"))
    wrong = {
        customer_id: (stored[customer_id], wanted)
        for customer_id, wanted in asyncio.run(_estimates(site)).items()
        if abs(stored[customer_id] - wanted) > 1e-9 * (1 + wanted)
    }
    return [f"the work of {len(wrong)} customers is not theirs: {wrong}"[:500]] if wrong else []


async def _estimates(site: Site) -> dict[int, float]:
    """Return the work of every customer, from all that are stored."""
    database = Database.of(site.settings)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with database.reading() as session:
                await estimate(session, READ, site.settings.work, folder, in_thread)
            found: dict[int, float] = {}
            for rows in read_rows(folder / ESTIMATES_FILE, ESTIMATE):
                found |= zip(rows["id"].tolist(), rows["work_minutes"].tolist(), strict=True)
            return found
    finally:
        await database.close()


def _due_dates(site: Site, ledger: Ledger) -> list[str]:
    is_stale = Customer.due_on.is_distinct_from(due_on(site.settings.work))
    stale = site.value(
        str(
            select(func.count())
            .select_from(Customer)
            .where(is_stale)
            .compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        )
    )
    return [f"{stale} customers are due at another date than theirs"] if stale else []


def _rollups(site: Site, ledger: Ledger) -> list[str]:
    different = site.value(ROLLUP_DIFFERENCES) + site.value(TOTAL_DIFFERENCES)
    return [f"{different} rollups differ from their customers"] if different else []


def _plans(site: Site, ledger: Ledger) -> list[str]:
    faults = [
        f"{name} is in {count} territories of plan {plan_id}, which is in force"
        for plan_id, name, count in site.rows(MISPLACED)
    ]
    members: dict[int, list[tuple[str, set[str]]]] = {}
    for plan_id, resolutions, name, cell in site.rows(MEMBERS):
        parents = {h3.cell_to_parent(h3.int_to_str(cell), r) for r in resolutions}
        members.setdefault(plan_id, []).append((name, parents))
    for (plan_id,) in site.rows("SELECT id FROM plan"):
        alignment = plan_cells(site, plan_id)
        cells = [cell for cell, _ in alignment["cells"]]
        if len(cells) != len(set(cells)):
            faults.append(f"plan {plan_id} has a cell twice")
        faults += [
            f"{name} is not in one territory of plan {plan_id}"
            for name, parents in members.get(plan_id, [])
            if len(parents.intersection(cells)) != 1
        ]
        faults += [
            f"territory {code} of plan {plan_id} is torn"
            for code, members in cells_by_territory(alignment).items()
            if not is_contiguous(members)
        ]
    return faults


def plan_cells(site: Site, plan_id: int) -> dict[str, Any]:
    """Return the cells of a plan as the API gives them."""
    answer = httpx.get(f"{site.apis[0].url}/v1/plans/{plan_id}/cells", timeout=60)
    answer.raise_for_status()
    cells: dict[str, Any] = answer.json()
    return cells


def _jobs(site: Site, ledger: Ledger) -> list[str]:
    orphaned, lifeless = site.value(ORPHANED_JOBS), site.value(LIFELESS_RUNS)
    return [f"{orphaned} jobs have no worker"] * bool(orphaned) + [
        f"{lifeless} runs have no heartbeat"
    ] * bool(lifeless)


def _remains(site: Site, ledger: Ledger) -> list[str]:
    """Return what is still there after ten seconds: the worker's folds come and go meanwhile."""
    give_up = time.monotonic() + 10
    while (left := _left(site)) and time.monotonic() < give_up:
        time.sleep(POLL_S)
    return [f"left behind: {what}: {value}" for what, value in left.items()]


def _left(site: Site) -> dict[str, object]:
    found = {
        "transactions": open_transactions(site),
        "advisory locks": advisory_locks(site),
        "children": computing_children(site),
        "folders": [str(folder) for folder in work_folders(site)],
    }
    return {what: value for what, value in found.items() if value}


def _pages(site: Site, ledger: Ledger) -> list[str]:
    """Have PostgreSQL look for damage in every table and index."""
    places = site.cluster.places
    done = subprocess.run(
        places.command(
            places.binaries / "pg_amcheck", "-h", places.socket, "-U", ADMIN_ROLE, "-d", DATABASE,
            "--install-missing", "--heapallindexed",
        ),
        capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    return [] if done.returncode == 0 else [f"pg_amcheck: {done.stdout} {done.stderr}"]
