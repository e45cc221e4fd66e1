"""The state of the data and of the runs, asked of the database at most every few seconds."""

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import QueuePool, text

from app.db.session import Database

FRESH_S = 5.0

RUNS = text("SELECT kind, state, count(*) FROM run GROUP BY kind, state")
STATE = text("""
    -- Counts that are cheap at any size: the customers are the planner's estimate.
    SELECT
        (SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = 'customer'::regclass)
            AS customers_estimate,
        (SELECT count(*) FROM activity_delta) AS activity_deltas,
        (SELECT count(*) FROM publication WHERE during @> now()) AS publications_in_force,
        (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM run
            WHERE state = 'queued') AS oldest_queued_run_seconds,
        (SELECT coalesce(extract(epoch FROM now() - min(heartbeat_at)), 0) FROM run
            WHERE state = 'running') AS oldest_heartbeat_seconds,
        (SELECT count(*) FROM run WHERE state = 'failed'
            AND error ->> 'type' = '/problems/quarantined') AS quarantined_runs,
        (SELECT count(*) FROM api_key WHERE revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > now())) AS valid_api_keys,
        (SELECT count(*) FROM jobs.procrastinate_workers
            WHERE last_heartbeat > now() - interval '30 seconds') AS workers_alive
""")
MEANINGS = {
    "customers_estimate": "Customers, as the planner estimates them",
    "activity_deltas": "Changes not yet folded into heat and low zooms",
    "publications_in_force": "Plans in force",
    "oldest_queued_run_seconds": "How long the oldest queued run waits",
    "oldest_heartbeat_seconds": "Silence of the running run that is silent longest",
    "quarantined_runs": "Runs given up after their last attempt",
    "valid_api_keys": "API keys valid now",
    "workers_alive": "Workers with a sign of life in the last 30 seconds",
}


class DomainGauges(Collector):
    """Gauges of the database's content and of this process's connections to it."""

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        self._database = database
        self._asked_at = -float("inf")
        self._state: dict[str, float] = {}
        self._runs: list[tuple[str, str, int]] = []
        registry.register(self)

    async def refresh(self) -> None:
        """Ask the database again, unless that was done a moment ago."""
        if time.monotonic() - self._asked_at < FRESH_S:
            return
        async with self._database.reading() as session:
            row = (await session.execute(STATE)).one()
            runs = (await session.execute(RUNS)).all()
        self._state = {name: float(value) for name, value in row._mapping.items()}
        self._runs = [(kind, state, count) for kind, state, count in runs]
        self._asked_at = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Return what was asked last."""
        for name, value in self._state.items():
            yield GaugeMetricFamily(f"bailiwick_{name}", MEANINGS[name], value=value)
        runs = GaugeMetricFamily("bailiwick_runs", "Runs", labels=("kind", "state"))
        for kind, state, count in self._runs:
            runs.add_metric((kind, state), count)
        yield runs
        pool: Any = self._database.engine.pool
        if isinstance(pool, QueuePool):
            yield GaugeMetricFamily(
                "bailiwick_pool_connections", "Connections this process may have", pool.size()
            )
            yield GaugeMetricFamily(
                "bailiwick_pool_connections_in_use", "Connections in use", pool.checkedout()
            )
