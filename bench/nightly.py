"""The nightly cycle over many customers: `python -m bench.nightly --home F --nights 5 --json`.

`F` is a folder that `python -m bench.services --customers N --home F` has filled and published a
plan in. A schedule is made, and its run begun and waited for, as an operator would over HTTP:
refresh, look, decide, report. A night is timed from the answer to the request until the run is seen
to have succeeded.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from app.db.access import Access
from app.settings import Settings
from bench.services.site import Service, service

# As if a night had passed: there is one run for each local date.
PASSED = "UPDATE schedule_night SET local_date = local_date - 1000"


def main() -> None:
    """Run the nights."""
    parser = argparse.ArgumentParser(prog="python -m bench.nightly", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--nights", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with service(arguments.home.absolute()) as running:
        report = _play(running, arguments.nights)
    sys.stdout.write((json.dumps(report) if arguments.json else str(report)) + "\n")


def _play(running: Service, n_nights: int) -> dict[str, Any]:
    layers = running.ask("GET", "/v1/layers").json()["items"]
    layer = next(layer for layer in layers if layer["plan_in_force"])
    body = {"layer_id": layer["id"], "name": "bench", "timezone": "UTC", "enabled": False}
    schedule = running.ask("POST", "/v1/schedules", json=body).json()
    nights = []
    conninfo = Access.of(Settings(home=running.home)).conninfo
    for _ in range(n_nights):
        began = time.perf_counter()
        accepted = running.ask("POST", f"/v1/schedules/{schedule['id']}:run")
        run = running.finish(accepted)
        seconds = time.perf_counter() - began
        night = running.ask("GET", run["result"]["href"]).json()
        nights.append({"seconds": round(seconds, 2), **_told(night)})
        with psycopg.connect(conninfo) as connection:
            connection.execute(PASSED)
    return {
        "n_territories": nights[0]["n_territories"],
        "median_s": statistics.median(night["seconds"] for night in nights),
        "nights": nights,
    }


def _told(night: dict[str, Any]) -> dict[str, Any]:
    report = night["report"]
    return {
        "decision": night["decision"],
        "reason": report["reason"][:200],
        "steps": report["seconds"],
        "n_territories": len((report["standing"] or {"territories": []})["territories"]),
    }


if __name__ == "__main__":
    main()
