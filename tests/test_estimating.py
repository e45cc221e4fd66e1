"""The estimate of many customers, block by block, against that of all at once."""

from pathlib import Path

import numpy as np
import pytest

from app.settings import WorkSettings
from app.workload import estimating, visits_per_year, work_minutes
from geo import neighbours
from geo.neighbours import mean_neighbour_distance_m


def test_blocks_come_to_what_all_at_once_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(neighbours, "POINTS_AT_ONCE", 5)
    settings = WorkSettings(neighbours=3)
    rng = np.random.default_rng(4)
    n = 100
    rows = np.zeros(n, estimating.CUSTOMER)
    rows["id"] = rng.permutation(n) + 2**40
    rows["version"] = np.where(rng.random(n) < 0.3, estimating.NO_VERSION, rng.integers(0, 9, n))
    # Whole blocks whose work nobody asks for, as those of customers that were there before.
    rows["version"][20:50] = estimating.NO_VERSION
    rows["lon"], rows["lat"] = 121 + rng.normal(0, 0.2, n), 31 + rng.normal(0, 0.2, n)
    rows["class_"] = rng.choice([b"S", b"A", b"B", b"C", b"D"], n)
    rows["is_inactive"] = rng.random(n) < 0.2
    rows["visits"] = np.where(rng.random(n) < 0.3, rng.uniform(0, 20, n), np.nan)
    rows["service"] = np.where(rng.random(n) < 0.3, rng.uniform(0, 90, n), np.nan)
    (tmp_path / "customers.bin").write_bytes(rows.tobytes())
    (tmp_path / "work.json").write_text(settings.model_dump_json())

    estimating.main(tmp_path)

    known = {
        name: rows[name].astype(rows[name].dtype.newbyteorder("=")) for name in rows.dtype.names
    }
    classes = known["class_"].astype("U1")
    visits = visits_per_year(settings, classes, known["visits"], known["is_inactive"])
    served = ~known["is_inactive"]
    distance_m = np.zeros(n)
    distance_m[served] = mean_neighbour_distance_m(
        known["lon"][served], known["lat"][served], 3, visits[served]
    )
    expected = work_minutes(settings, classes, visits, known["service"], distance_m)
    wanted = known["version"] != estimating.NO_VERSION
    found = np.fromfile(tmp_path / "estimates.bin", estimating.ESTIMATE)
    assert estimating.count_customers(tmp_path) == n
    np.testing.assert_array_equal(found["id"], known["id"][wanted])
    np.testing.assert_array_equal(found["version"], known["version"][wanted])
    np.testing.assert_allclose(found["work_minutes"], expected[wanted], atol=0.011)


def test_nobody_and_one_alone_have_no_travel(tmp_path: Path) -> None:
    settings = WorkSettings()
    for n in (0, 1):
        rows = np.zeros(n, estimating.CUSTOMER)
        rows["class_"], rows["visits"], rows["service"] = b"A", 2, 10
        (tmp_path / "customers.bin").write_bytes(rows.tobytes())

        estimating.estimate(tmp_path, settings)

        found = np.fromfile(tmp_path / "estimates.bin", estimating.ESTIMATE)
        per_visit = 10 + settings.admin_minutes + settings.fixed_travel_minutes
        assert found["work_minutes"].tolist() == [2 * per_visit] * n
