"""What `bailiwick doctor` looks at in the rows: runs, keys, and what is derived from other rows."""

import numpy as np
import psycopg

from app.db.checks import Check, Finding, value
from app.db.heat_sums import FINEST_TOTAL
from geo.cells import CUSTOMER_RESOLUTION, cells_from_points

SAMPLE = 5000
WAITING_TOO_LONG_S = 300
SILENT_S = 120
EXPIRING_DAYS = 14

WORKERS = """
    SELECT count(*) FROM jobs.procrastinate_workers
    WHERE last_heartbeat > now() - interval '30 seconds'
"""
QUEUED = """
    SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float
    FROM public.run WHERE state = 'queued'
"""
SILENT = """
    SELECT count(*) FROM public.run
    WHERE state = 'running' AND heartbeat_at < now() - make_interval(secs => %s)
"""
FAILED = """
    SELECT count(*), count(*) FILTER (WHERE error ->> 'type' = '/problems/quarantined'), max(id)
    FROM public.run WHERE state = 'failed' AND finished_at > now() - interval '1 day'
"""
KEYS = """
    SELECT count(*), count(*) FILTER (WHERE expires_at < now() + make_interval(days => %s))
    FROM public.api_key WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
PLACES = """
    SELECT id, ST_X(geom), ST_Y(geom), cell
    FROM public.customer TABLESAMPLE BERNOULLI (least(100, 100.0 * %s / greatest(
        (SELECT reltuples FROM pg_class WHERE oid = 'public.customer'::regclass), 1)))
    LIMIT %s
"""
SUMS = """
    -- Cells whose rollup, together with what is not folded yet, differs from their customers.
    WITH kept AS (
        SELECT cell, class, segment, sum(customers) AS n, sum(work_minutes) AS work,
            sum(potential) AS potential, sum(revenue) AS revenue, sum(overdue) AS overdue
        FROM (
            SELECT cell, class, segment, customers, work_minutes, potential, revenue, overdue
            FROM public.activity_cell WHERE resolution = 9
            UNION ALL
            SELECT cell, class, segment, customers, work_minutes, potential, revenue, overdue
            FROM public.activity_delta
        ) AS both_of_them GROUP BY 1, 2, 3
    ), found AS (
        SELECT public.cell_parent(cell, 9) AS cell, class, segment, count(*) AS n,
            sum(work_minutes) AS work, sum(potential) AS potential, sum(revenue) AS revenue,
            count(*) FILTER (WHERE due_on < (SELECT day FROM public.heat_state)) AS overdue
        FROM public.customer WHERE status <> 'inactive' GROUP BY 1, 2, 3
    )
    SELECT count(*) FROM kept FULL JOIN found USING (cell, class, segment)
    WHERE coalesce(kept.n, 0) <> coalesce(found.n, 0)
        OR coalesce(kept.overdue, 0) <> coalesce(found.overdue, 0)
        OR abs(coalesce(kept.work, 0) - coalesce(found.work, 0))
            > 1e-6 * (1 + abs(coalesce(found.work, 0)))
        OR abs(coalesce(kept.potential, 0) - coalesce(found.potential, 0))
            > 1e-6 * (1 + abs(coalesce(found.potential, 0)))
        OR abs(coalesce(kept.revenue, 0) - coalesce(found.revenue, 0))
            > 1e-6 * (1 + abs(coalesce(found.revenue, 0)))
"""
TOTALS = """
    -- Coarse cells whose sums over all classes and segments differ from those by class and segment.
    WITH found AS (
        SELECT resolution, cell, sum(customers) AS n, sum(work_minutes) AS work,
            sum(potential) AS potential, sum(revenue) AS revenue, sum(overdue) AS overdue
        FROM public.activity_cell WHERE resolution <= %s GROUP BY 1, 2
    )
    SELECT count(*) FROM public.activity_total AS kept FULL JOIN found USING (resolution, cell)
    WHERE kept.customers IS DISTINCT FROM found.n OR kept.overdue IS DISTINCT FROM found.overdue
        OR abs(kept.work_minutes - found.work) > 1e-6 * (1 + abs(found.work))
        OR abs(kept.potential - found.potential) > 1e-6 * (1 + abs(found.potential))
        OR abs(kept.revenue - found.revenue) > 1e-6 * (1 + abs(found.revenue))
"""
STALE = "SELECT is_stale FROM public.heat_state"
IN_FORCE = """
    SELECT plan.id, plan.n_cells,
        (SELECT count(*) FROM public.plan_cell WHERE plan_cell.plan_id = plan.id)
    FROM public.publication JOIN public.plan ON plan.id = plan_id
    WHERE during @> now() ORDER BY plan.id
"""


def worker(connection: psycopg.Connection) -> Finding:
    """Somebody does what is queued."""
    n_workers = value(connection, WORKERS)
    n_queued, oldest_s = connection.execute(QUEUED).fetchone() or (0, 0.0)
    seen = f"{n_workers} alive, {n_queued} runs queued"
    if n_queued:
        seen += f", the oldest for {oldest_s:.0f} s"
    if not n_workers:
        return Finding(
            "worker", "failed" if n_queued else "warning", seen, "start one: bailiwick worker"
        )
    if oldest_s > WAITING_TOO_LONG_S:
        return Finding("worker", "warning", seen, "start more workers")
    return Finding("worker", "ok", seen)


def heartbeats(connection: psycopg.Connection) -> Finding:
    """Each run that goes on has a worker that says so."""
    n_silent = value(connection, SILENT, SILENT_S)
    if n_silent:
        return Finding(
            "heartbeats", "failed", f"{n_silent} runs without a sign of life for {SILENT_S} s",
            "start a worker: it sweeps them up",
        )  # fmt: skip
    return Finding("heartbeats", "ok", "every running run has given a sign of life")


def runs(connection: psycopg.Connection) -> Finding:
    """No run has failed lately."""
    n_failed, n_given_up, newest = connection.execute(FAILED).fetchone() or (0, 0, None)
    if n_failed:
        return Finding(
            "runs", "warning", f"{n_failed} failed in a day, {n_given_up} of them given up",
            f"read why: GET /v1/runs/{newest}",
        )  # fmt: skip
    return Finding("runs", "ok", "none has failed in a day")


def keys(connection: psycopg.Connection) -> Finding:
    """Somebody may call, next week as well."""
    n_valid, n_expiring = connection.execute(KEYS, (EXPIRING_DAYS,)).fetchone() or (0, 0)
    if not n_valid:
        return Finding(
            "keys", "warning", "no valid key", "make one: bailiwick keys create NAME --role admin"
        )
    seen = f"{n_valid} valid, {n_expiring} of them expire within {EXPIRING_DAYS} days"
    if n_expiring:
        return Finding("keys", "warning", seen, "renew: bailiwick keys rotate PREFIX")
    return Finding("keys", "ok", seen)


def cells(connection: psycopg.Connection) -> Finding:
    """Customers are in the cells that their places say, on a sample."""
    rows = connection.execute(PLACES, (SAMPLE, SAMPLE)).fetchall()
    ids, lon, lat, kept = np.array(rows, dtype=object).reshape(-1, 4).T
    lon, lat = lon.astype(np.float64), lat.astype(np.float64)
    wrong = ids[cells_from_points(lon, lat, CUSTOMER_RESOLUTION) != kept.astype(np.uint64)]
    if len(wrong):
        return Finding(
            "cells", "failed", f"{len(wrong)} of {len(ids)} customers are in a wrong cell, as "
            f"customer {wrong[0]}", "import these customers again, or move them by the API",
        )  # fmt: skip
    return Finding("cells", "ok", f"{len(ids)} customers looked at")


def sums(connection: psycopg.Connection) -> Finding:
    """The rollups are the sums of their customers."""
    if value(connection, STALE):
        return Finding(
            "sums", "warning", "they are to be made anew", "a worker does it with its next fold"
        )
    n_wrong = value(connection, SUMS) + value(connection, TOTALS, FINEST_TOTAL)
    if n_wrong:
        return Finding(
            "sums", "failed", f"{n_wrong} cells differ from their customers",
            "let the next fold make them anew: UPDATE heat_state SET is_stale = true",
        )  # fmt: skip
    return Finding("sums", "ok", "rollups equal their customers")


def plans(connection: psycopg.Connection) -> Finding:
    """Plans in force have all their cells."""
    rows = connection.execute(IN_FORCE).fetchall()
    wrong = [row for row in rows if row[1] != row[2]]
    if wrong:
        plan, wanted, found = wrong[0]
        return Finding(
            "plans", "failed", f"plan {plan} has {found} of its {wanted} cells",
            "publish it again, or restore a backup",
        )  # fmt: skip
    return Finding("plans", "ok", f"{len(rows)} in force, with all their cells")


DATA_CHECKS: dict[str, Check] = {
    "worker": worker,
    "heartbeats": heartbeats,
    "runs": runs,
    "keys": keys,
    "cells": cells,
    "sums": sums,
    "plans": plans,
}
