"""Reading of an uploaded file, in a child process: `main(folder)`.

Reads `upload` and `request.json`; leaves `accepted.copy` (good rows in the order of
`staged_columns`), `faults.copy` and `summary.json`. Where the settings of work lie in the folder,
its customers are the only ones: then the rows hold their work.
"""

import gc
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from app.imports.accepted import AcceptedRows
from app.imports.batches import Batch, RowFault
from app.imports.csv_reader import read_csv
from app.imports.fields import KINDS
from app.imports.geojson_reader import read_geojson
from app.imports.mapping import ColumnMap
from app.imports.new_customers import NewCustomers
from app.imports.sniffing import HEAD_BYTES, file_format, not_utf8, refused_file
from app.imports.validation import check_batch, escaped
from app.imports.values import NULL
from app.jobs.child_main import report
from app.workload.estimating import SETTINGS_FILE

# A file of ten million wrong rows is explained by the first hundred thousand.
MOST_FAULTS = 100_000
# Of the time that it takes, where work is estimated too.
READING_SHARE = 0.7


@dataclass(slots=True)
class Summary:
    """What the reading came to.

    `extras` are the columns that become attributes, `has_work` says whether the rows hold their
    work, for which nobody else was looked at.
    """

    rows: int = 0
    rejected: int = 0
    faults: int = 0
    has_work: bool = False
    mapping: dict[str, str | list[str]] = field(default_factory=dict)
    extras: list[str] = field(default_factory=list)


def main(folder: Path) -> None:
    """Read the file in `folder` and leave its rows ready for the database.

    Raises
    ------
    InvalidInput
        When the file as a whole cannot be read.
    """
    request: dict[str, Any] = orjson.loads((folder / "request.json").read_bytes())
    with (folder / "upload").open("rb") as file:
        head = file.read(HEAD_BYTES)
    read = {"csv": read_csv, "geojson": read_geojson}[file_format(head)]
    # Millions of short-lived lists without a cycle among them: looking for some took half the time.
    gc.disable()
    try:
        summary = _read(folder, request, read(folder / "upload"), head)
    finally:
        gc.enable()
    (folder / "summary.json").write_bytes(orjson.dumps(asdict(summary)))


def _read(folder: Path, request: dict[str, Any], batches: Iterable[Batch], head: bytes) -> Summary:
    kind = KINDS[request["kind"]]
    columns = ColumnMap(kind, request["mapping"])
    summary = Summary()
    customers = NewCustomers(folder) if (folder / SETTINGS_FILE).exists() else None
    with (
        AcceptedRows(folder, kind.keeps_attributes) as accepted,
        (folder / "faults.copy").open("w", encoding="utf-8", newline="\n") as faults,
    ):
        for batch in _watched(batches, 1.0 if customers is None else READING_SHARE):
            if batch.numbers or not batch.is_typed:
                columns.learn(batch.columns)
            checked = check_batch(kind, columns, batch)
            if not summary.rows and _is_mostly_unreadable(
                checked.faults, checked.n_rejected, batch
            ):
                raise not_utf8(head)
            accepted.add(checked.lines, checked.extras, batch.is_typed)
            if customers is not None:
                customers.add(checked)
            faults.writelines(_fault_lines(checked.faults[: MOST_FAULTS - summary.faults]))
            summary.faults = min(summary.faults + len(checked.faults), MOST_FAULTS)
            summary.rows += len(checked.lines) + checked.n_rejected
            summary.rejected += checked.n_rejected
        if not summary.rows:
            raise refused_file("empty", "The file holds no rows.")
        summary.has_work = customers is not None and _will_be_stored(summary, request)
        accepted.finish(customers.estimate() if customers and summary.has_work else None)
    summary.mapping, summary.extras = columns.document, columns.extras
    return summary


def _watched(batches: Iterable[Batch], share: float) -> Iterator[Batch]:
    for batch in batches:
        report("reading", batch.fraction * share)
        yield batch


def _will_be_stored(summary: Summary, request: dict[str, Any]) -> bool:
    return not summary.rejected or request["on_error"] == "skip"


def _is_mostly_unreadable(faults: list[RowFault], n_rejected: int, batch: Batch) -> bool:
    """Tell a file in another encoding from one with some damaged rows."""
    if not n_rejected or batch.is_typed:
        return False
    rows = {fault.row for fault in faults if fault.code == "encoding"}
    return 2 * len(rows) > len(batch.numbers) + len(batch.refused)


def _fault_lines(faults: list[RowFault]) -> Iterator[str]:
    for fault in faults:
        cells = escaped([fault.field or "", fault.code, fault.detail])
        cells[0] = cells[0] if fault.field else NULL
        yield "\t".join([str(fault.row), *cells]) + "\n"
