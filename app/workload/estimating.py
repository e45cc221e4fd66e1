"""The work of millions of customers, from a file to a file, in 50 bytes of memory each.

`python -m app.jobs.child_main app.workload.estimating FOLDER PARENT_PID` does it in a process of
its own, which holds neither the database's driver nor what else a worker has loaded.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import workload
from app.settings import WorkSettings
from geo.neighbours import NeighbourTree
from geo.sphere import unit_vectors

CUSTOMERS_FILE, SETTINGS_FILE, ESTIMATES_FILE = "customers.bin", "work.json", "estimates.bin"
# What work depends on. Customers without a version count as neighbours and are not estimated.
CUSTOMER_TYPES = {
    "id": "i8", "version": "i4", "lon": "f8", "lat": "f8", "class_": "S1", "is_inactive": "?",
    "visits": "f8", "service": "f8",
}  # fmt: skip
NO_VERSION = -1
ESTIMATE_TYPES = {"id": "i8", "version": "i4", "work_minutes": "f8"}
ROWS_AT_ONCE = 20_000


def record(types: dict[str, str]) -> np.dtype[np.void]:
    """Return rows with these columns, big-endian as the database sends numbers."""
    return np.dtype([(name, f">{code}") for name, code in types.items()])


CUSTOMER, ESTIMATE = record(CUSTOMER_TYPES), record(ESTIMATE_TYPES)


def main(folder: Path) -> None:
    """Estimate the customers of a folder, with the settings that lie there."""
    settings = WorkSettings.model_validate_json((folder / SETTINGS_FILE).read_bytes())
    estimate(folder, settings)


def estimate(folder: Path, settings: WorkSettings) -> None:
    """Write minutes per year of each customer; inactive ones have none and are nobody's neighbours.

    Reads `customers.bin`, rows of `CUSTOMER`, and writes `estimates.bin`, rows of `ESTIMATE` in the
    same order without those that have no version.
    """
    served = _Served(folder / CUSTOMERS_FILE, settings)
    served.estimate(settings)
    with (folder / ESTIMATES_FILE).open("wb") as target:
        first = 0
        for rows in read_rows(folder / CUSTOMERS_FILE, CUSTOMER):
            is_served = ~rows["is_inactive"]
            last = first + int(is_served.sum())
            estimates = np.zeros(len(rows), ESTIMATE)
            estimates["id"], estimates["version"] = rows["id"], rows["version"]
            estimates["work_minutes"][is_served] = served.minutes[first:last]
            target.write(estimates[rows["version"] != NO_VERSION].tobytes())
            first = last


def count_customers(folder: Path) -> int:
    """Return how many customers lie in a folder."""
    return (folder / CUSTOMERS_FILE).stat().st_size // CUSTOMER.itemsize


def read_rows(path: Path, row: np.dtype[np.void]) -> Iterator[NDArray[Any]]:
    """Yield the rows of a file, some ten thousand at a time."""
    with path.open("rb") as file:
        while len(rows := np.fromfile(file, row, ROWS_AT_ONCE)):
            yield rows


class _Served:
    """The customers that are visited; arrays are filled as rows come, for all at once is twice."""

    def __init__(self, path: Path, settings: WorkSettings) -> None:
        most = path.stat().st_size // CUSTOMER.itemsize
        self._points = np.empty((most, 3))
        self._visits = np.empty(most)
        self._is_wanted = np.empty(most, np.bool_)
        # Minutes on site at first, and in their place those of a year in the end.
        self.minutes = np.empty(most)
        self._n = 0
        for rows in read_rows(path, CUSTOMER):
            self._take(rows[~rows["is_inactive"]], settings)

    def _take(self, rows: NDArray[Any], settings: WorkSettings) -> None:
        block = slice(self._n, self._n + len(rows))
        native = {
            name: rows[name].astype(rows[name].dtype.newbyteorder("="))
            for name in rows.dtype.names or ()
        }
        classes = native["class_"].astype("U1")
        none = np.zeros(len(rows), np.bool_)
        self._points[block] = unit_vectors(native["lon"], native["lat"])
        self._visits[block] = workload.visits_per_year(settings, classes, native["visits"], none)
        self.minutes[block] = workload.service_minutes(settings, classes, native["service"])
        self._is_wanted[block] = native["version"] != NO_VERSION
        self._n += len(rows)

    def estimate(self, settings: WorkSettings) -> None:
        tree = NeighbourTree(self._points[: self._n], self._visits[: self._n])
        threads = len(os.sched_getaffinity(0))
        for which, distance_m in tree.mean_distances_m(
            self._blocks(), settings.neighbours, threads
        ):
            self.minutes[which] = workload.minutes_per_year(
                settings, self._visits[which], self.minutes[which], distance_m
            )

    def _blocks(self) -> Iterator[NDArray[np.int64]]:
        for first in range(0, self._n, ROWS_AT_ONCE):
            yield first + np.flatnonzero(
                self._is_wanted[first : min(first + ROWS_AT_ONCE, self._n)]
            )
