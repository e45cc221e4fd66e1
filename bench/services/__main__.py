"""Measure the services over many customers: `python -m bench.services --customers 1000000`.

Starts the product on a cluster of its own, imports a generated file, designs and publishes a plan
for China, draws fences, and asks every service over HTTP, with authentication, logs and metrics on.
Beside it stand pgbench with the same SQL, the naive statement for the same question, and tipg for
tiles. Statements and connections are those of the service; load generator and database share its
cores, so ratios decide.
With `--home FOLDER` everything is kept there, and a second run measures without loading again.
"""

import argparse
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import shapely
from shapely.geometry import mapping

from app.db.access import Access
from app.settings import Settings
from bench.services import cases, crowd
from bench.services.cases import Case
from bench.services.load import Ask, measure
from bench.services.site import POLL_S, Service, service
from bench.services.statements import OPTIONS, pgbench, statements_of
from geo.tiles import tile_at

N_TERRITORIES = 200
N_FENCES = 2000


TEAM = """
    WITH member AS (
        INSERT INTO rep (external_id, name, manager_id)
        SELECT 'R' || id, 'Rep ' || code, %(manager_id)s FROM territory
        ON CONFLICT (external_id) DO NOTHING RETURNING id, external_id
    )
    INSERT INTO territory_owner (territory_id, rep_id, during)
    SELECT substr(external_id, 2)::bigint, id, tstzrange(now(), NULL) FROM member
"""


def main() -> None:
    """Run the kit."""
    parser = argparse.ArgumentParser(prog="python -m bench.services", description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=8.0, help="per case")
    parser.add_argument("--home", type=Path, help="keep the database here, or use it again")
    parser.add_argument("--only", help="measure only cases with this in their name: 'tiles of'")
    parser.add_argument("--more", type=int, default=0, help="import so many further customers")
    parser.add_argument("--tile-memory-mb", type=int, default=0, help="drawn tiles kept; none")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    home = arguments.home.absolute() if arguments.home else None
    with service(home, tile_memory_mb=arguments.tile_memory_mb) as running:
        settings = Settings(home=running.home)
        report: dict[str, Any] = {"customers": arguments.customers}
        if _is_empty(settings):
            report["load"] = _load(running, arguments.customers)
        if arguments.more:
            report["more"] = _import_more(running, settings, arguments.more)
        report["cases"] = [
            _measured(running, settings, case, arguments.seconds)
            for case in _cases(running)
            if not arguments.only or arguments.only in case.name
        ]
    if arguments.json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _is_empty(settings: Settings) -> bool:
    with psycopg.connect(Access.of(settings).conninfo) as connection:
        return connection.execute("SELECT FROM customer LIMIT 1").fetchone() is None


def _load(running: Service, n_customers: int) -> dict[str, Any]:
    """Import, design, publish and draw fences; return how long each took."""
    (lon, lat), *_ = crowd.dense_centres(1)
    took = _import(running, n_customers, 0, f"/v1/search/nearest?lon={lon}&lat={lat}&k=1")
    took["design_s"] = _timed(lambda: _publish(running))
    took["fences_s"] = _timed(lambda: _draw_fences(running))
    _say(f"load: {took}")
    return took


def _import_more(running: Service, settings: Settings, n_customers: int) -> dict[str, Any]:
    """Import customers beside those that are there; return how long it took."""
    with psycopg.connect(Access.of(settings).conninfo) as connection:
        (n_there,) = connection.execute("SELECT count(*) FROM customer").fetchone() or (0,)
    last = f"/v1/customers?external_id={n_there + n_customers - 1}"
    return {"beside": n_there, **_import(running, n_customers, n_there, last)}


def _import(running: Service, n_customers: int, first: int, address: str) -> dict[str, Any]:
    """Import a file; return how long it took, also until an address finds one of its customers."""
    file = running.home / "customers.csv"
    crowd.write_customers(file, n_customers, first)
    took: dict[str, Any] = {}
    with running.watching_memory():
        began = time.monotonic()
        accepted = _send(running, file)
        _wait_for_customers(running, accepted, address)
        took["searchable_s"] = round(time.monotonic() - began, 1)
        running.finish(accepted)
        took["import_s"] = round(time.monotonic() - began, 1)
    for name in ("searchable", "import"):
        took[f"{name}_rows_per_s"] = round(n_customers / took[f"{name}_s"])
    took["import_peak_mb"] = round(running.peak_mb)
    file.unlink()
    _say(f"import: {took}")
    return took


def _send(running: Service, file: Path) -> httpx.Response:
    """Upload a file of customers; return what the service answers."""
    with file.open("rb") as content:
        return running.ask(
            "POST", "/v1/imports", data={"kind": "customers"}, files={"file": content}
        )


def _wait_for_customers(running: Service, accepted: httpx.Response, address: str) -> None:
    """Return when somebody is found there: the merge is committed, the sums are not made yet."""
    while running.ask("GET", accepted.headers["Location"]).json()["state"] in ("queued", "running"):
        # Answered by 503 while the import has the table for itself.
        with suppress(RuntimeError):
            found = running.ask("GET", address).json()
            if found.get("features") or found.get("items"):
                return
        time.sleep(POLL_S)


def _publish(running: Service) -> None:
    """Design territories for China and put them in force."""
    layers = running.ask("GET", "/v1/layers").json()["items"]
    layer = layers[0] if layers else running.ask("POST", "/v1/layers", json={"name": "b"}).json()
    wanted = {
        "layer_id": layer["id"],
        "n_territories": N_TERRITORIES,
        "region": mapping(shapely.box(*cases.COUNTRY.as_tuple())),
    }
    run = running.finish(running.ask("POST", "/v1/plans", json=wanted))
    plan_id = run["result"]["plan_id"]
    running.ask("POST", f"/v1/plans/{plan_id}:publish", json={}, headers={"If-Match": "*"})


def _draw_fences(running: Service) -> None:
    """Draw irregular fences of 16 to 1,500 corners around cities of China."""
    rng = np.random.default_rng(1)
    west, south, east, north = cases.COUNTRY.as_tuple()
    for number in range(N_FENCES):
        corners = int(np.exp(rng.uniform(np.log(16), np.log(1500))))
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = rng.uniform(0.05, 0.4) * rng.uniform(0.7, 1.0, corners)
        lon = rng.uniform(west + 1, east - 1) + radius * np.cos(angle)
        lat = rng.uniform(south + 1, north - 1) + radius * np.sin(angle)
        ring = np.round(np.column_stack([lon, lat]), 6).tolist()
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        running.ask("POST", "/v1/geofences", json={"name": f"F{number}", "geometry": geometry})


def _cases(running: Service) -> list[Case]:
    rng = np.random.default_rng(2)
    tilesets = dict.fromkeys(("customers", "heat", "territories", "cells", "geofences"), "")
    return [
        *cases.searches(),
        *cases.lookups(rng),
        *cases.heats(),
        *cases.of_a_manager(_key_of_a_manager(running)),
        *cases.tiles(tilesets),
        _unchanged_tiles(running),
    ]


def _key_of_a_manager(running: Service) -> str:
    """Return a key of somebody with a rep for each territory."""
    wanted: dict[str, Any] = {"name": "Manager"}
    manager = running.ask("PUT", "/v1/reps/by-external-id/M", json=wanted).json()
    with psycopg.connect(Access.of(Settings(home=running.home)).conninfo) as connection:
        connection.execute(TEAM, {"manager_id": manager["id"]})
    wanted = {"name": "manager", "role": "manager", "rep_id": manager["id"]}
    key: str = running.ask("POST", "/v1/api-keys", json=wanted).json()["key"]
    return key


def _unchanged_tiles(running: Service) -> Case:
    """Ask for tiles that the client has already."""
    asks = []
    for lon, lat in crowd.dense_centres(10):
        z, x, y = tile_at(lon, lat, 11)
        path = f"/v1/tiles/territories/{z}/{x}/{y}.mvt"
        answer = running.ask("GET", path)
        if "ETag" in answer.headers:
            asks.append(Ask(path, headers=(("If-None-Match", answer.headers["ETag"]),)))
    return Case("tiles that have not changed (304)", asks)


def _measured(running: Service, settings: Settings, case: Case, seconds: float) -> dict[str, Any]:
    # Once before, so that what is measured is not the first reading from the disk.
    key = case.key or running.key
    measure(running.url, case.asks, min(seconds, 2.0), case.clients, key)
    load = measure(running.url, case.asks, seconds, case.clients, key)
    row: dict[str, Any] = {"name": case.name, **load.figures()}
    if case.readings:
        written = statements_of(settings, list(case.readings))
        row["pgbench_per_s"] = round(pgbench(settings, written, int(seconds), case.clients), 1)
        row["of_pgbench"] = round(row["per_s"] / row["pgbench_per_s"], 3)
    if case.naive:
        row["naive_ms"] = round(_naive_ms(settings, case.naive[:3]), 1)
        row["naive_times_slower"] = round(row["naive_ms"] / row["p50_ms"], 1)
    if case.peers:
        peer = measure(running.url, list(case.peers), seconds, case.clients, running.key)
        row["tipg_per_s"] = peer.figures()["per_s"]
        row["times_tipg"] = round(row["per_s"] / row["tipg_per_s"], 1)
    _say(json.dumps(row))
    return row


def _naive_ms(settings: Settings, statements: tuple[str, ...]) -> float:
    """Return the median of the statements, each run once."""
    times = []
    with psycopg.connect(Access.of(settings).conninfo, options=OPTIONS) as connection:
        for statement in statements:
            times.append(_timed(connection.execute, statement.encode()) * 1000)
    return float(np.median(times))


def _timed(action: Any, *arguments: Any) -> float:
    began = time.perf_counter()
    action(*arguments)
    return round(time.perf_counter() - began, 3)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
