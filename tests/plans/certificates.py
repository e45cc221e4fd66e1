"""Certificates of small plans, made as a worker's child makes them, without a database."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from app.plans import solve
from app.plans.digest import CERTIFICATE_FILE
from app.plans.request import PlanRequest
from geo.cells import cells_from_points

REGION = {
    "type": "Polygon",
    "coordinates": [[[112, 30], [114, 30], [114, 31.4], [112, 31.4], [112, 30]]],
}
RIVER = {"type": "LineString", "coordinates": [[113, 29], [113, 32]]}
FERRY = {"name": "Ferry", "from": [112.95, 30.6], "to": [113.05, 30.6]}


def ground() -> tuple[Any, Any]:
    """Cells with customers and what they carry: even country and two heavy towns."""
    random = np.random.default_rng(3)
    lon = np.concatenate([random.uniform(112, 114, 500), random.normal(112.5, 0.02, 120)])
    lat = np.concatenate([random.uniform(30, 31.4, 500), random.normal(30.7, 0.02, 120)])
    cells, counts = np.unique(cells_from_points(lon, lat, 12), return_counts=True)
    work = counts * random.lognormal(4, 0.5, len(cells))
    return cells, np.stack([work, counts, 10.0 * counts, 7.0 * counts], axis=1).astype(np.float64)


def make_certificate(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **wishes: Any
) -> dict[str, Any]:
    """Design a plan on the ground; return its certificate."""
    plain = {"layer_id": 1, "n_territories": 4, "region": REGION, "resolution": 5}
    request = PlanRequest.model_validate({**plain, **wishes})
    document = {
        **request.model_dump(mode="json", by_alias=True),
        "resolved": {"reps": [], "locked": {"cells": [], "territories": []}},
    }
    monkeypatch.setattr(solve, "report", lambda *_: None)
    (folder / "request.json").write_bytes(orjson.dumps(document))
    cells, activity = ground()
    np.save(folder / "cells12.npy", cells)
    np.save(folder / "activity.npy", activity)
    solve.main(folder)
    certificate: dict[str, Any] = json.loads(
        gzip.decompress((folder / CERTIFICATE_FILE).read_bytes())
    )
    return certificate
