"""The work of the customers of a file, estimated where the file is read.

Where nobody is stored yet, work depends on nothing but the file: its customers need not be sent to
the database and back for their estimates, nor these be sent and joined.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from app.imports.validation import Checked
from app.imports.values import NULL, Floats
from app.workload import estimating
from app.workload.estimating import CUSTOMER, CUSTOMERS_FILE, ESTIMATE, ESTIMATES_FILE, read_rows

# Of no stored customer: they count from 1.
STAGED_VERSION = 0


class NewCustomers:
    """Collects the good rows of a file for `app.workload.estimating`, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / CUSTOMERS_FILE).open("wb")

    def add(self, checked: Checked) -> None:
        """Take the good rows of a batch."""
        columns = checked.columns
        rows = np.empty(len(columns["row"]), CUSTOMER)
        rows["id"] = np.array(columns["row"], dtype=np.int64)
        rows["version"] = STAGED_VERSION
        rows["class_"] = np.array(columns["class"], dtype="S1")
        rows["is_inactive"] = [status == "inactive" for status in columns["status"]]
        rows["lon"], rows["lat"] = checked.lon, checked.lat
        rows["visits"] = _floats(columns["visits_per_year"])
        rows["service"] = _floats(columns["service_minutes"])
        self._file.write(rows.tobytes())

    def estimate(self) -> Iterator[float]:
        """Return minutes per year of every customer, in the order in which they came."""
        self._file.close()
        estimating.main(self._folder)
        parts = read_rows(self._folder / ESTIMATES_FILE, ESTIMATE)
        return chain.from_iterable(part["work_minutes"].tolist() for part in parts)


def _floats(cells: list[str]) -> Floats:
    """Return numbers as COPY has them; most files have none of these at all."""
    found = np.full(len(cells), np.nan)
    if cells.count(NULL) < len(cells):
        found[:] = [float("nan") if cell == NULL else float(cell) for cell in cells]
    return found
