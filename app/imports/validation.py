"""A batch checked: its good rows as lines for COPY, and everything wrong with the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from app.imports.batches import Batch, RowFault
from app.imports.fields import Kind
from app.imports.mapping import ColumnMap
from app.imports.values import (
    NULL,
    Finding,
    Floats,
    find_unstorable,
    number_texts,
    read_column,
    read_numbers,
    texts,
)
from geo.cells import CUSTOMER_RESOLUTION, cells_from_points

LONGEST_ATTRIBUTE = 10_000
# What the text form of COPY gives a meaning to.
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a batch: the good rows as lines, by column as in the lines, and their places.

    `extras` are the cells of further columns, of the good rows.
    """

    lines: list[str]
    columns: dict[str, list[str]]
    lon: Floats
    lat: Floats
    extras: dict[str, Sequence[Any]]
    faults: list[RowFault]
    n_rejected: int


def staged_columns(kind: Kind) -> list[str]:
    """Return the columns of a line, in order."""
    place = {kind.lon, kind.lat}
    others = [field.name for field in kind.fields if field.name not in place]
    cell = ["cell"] if kind.is_place_required else []
    return ["row", *others, kind.lon, kind.lat, *cell]


def check_batch(kind: Kind, columns: ColumnMap, batch: Batch) -> Checked:
    """Check every row of a batch and report all faults of each."""
    findings: list[Finding] = []
    cells = {field.name: _cells(batch, columns, field.name, findings) for field in kind.fields}
    extras = _extras(kind, columns, batch, findings)
    ready = _read_columns(kind, columns, cells, findings)
    lon, lat, found = _places(kind, cells)
    findings += found
    ready["row"] = list(map(str, batch.numbers))
    ready[kind.lon] = number_texts(cells[kind.lon], lon, NULL)
    ready[kind.lat] = number_texts(cells[kind.lat], lat, NULL)
    is_good = np.ones(len(batch.numbers), dtype=bool)
    if findings:
        is_good[[finding.at for finding in findings]] = False
        ready = {name: list(compress(column, is_good)) for name, column in ready.items()}
        extras = {name: list(compress(column, is_good)) for name, column in extras.items()}
    lon, lat = lon[is_good], lat[is_good]
    if kind.is_place_required:
        place = cells_from_points(lon, lat, CUSTOMER_RESOLUTION)
        ready["cell"] = list(map(str, place.tolist()))
    in_order = [ready[name] for name in staged_columns(kind)]
    faults = _faults(batch, findings)
    return Checked(
        lines=list(map("\t".join, zip(*in_order, strict=True))),
        columns=ready,
        lon=lon,
        lat=lat,
        extras=extras,
        faults=faults,
        n_rejected=len({fault.row for fault in faults}),
    )


def escaped(cells: list[str]) -> list[str]:
    """Return cells as the text form of COPY wants them."""
    joined = "".join(cells)
    if not any(sign in joined for sign in "\\\t\n\r"):
        return cells
    return [cell.translate(ESCAPES) for cell in cells]


def _read_columns(
    kind: Kind, columns: ColumnMap, cells: dict[str, list[str]], findings: list[Finding]
) -> dict[str, list[str]]:
    """Return the fields other than the place as COPY wants them, the name filled in."""
    ready = {}
    for field in kind.fields:
        if field.type == "coordinate":
            continue
        if field.name not in columns.sources:
            default, _ = read_column(field, [""])
            ready[field.name] = default * len(cells[field.name])
            continue
        ready[field.name], found = read_column(field, cells[field.name])
        findings += found
        if field.type in ("text", "labels"):
            ready[field.name] = escaped(ready[field.name])
    findings += _missing("external_id", cells["external_id"])
    names = zip(ready["name"], ready["external_id"], strict=True)
    ready["name"] = [name or external_id for name, external_id in names]
    return ready


def _cells(batch: Batch, columns: ColumnMap, field: str, findings: list[Finding]) -> list[str]:
    """Return the cells of a field; of joined columns an empty part leaves the whole empty."""
    parts = []
    for name in columns.sources.get(field, ()):
        parts.append(texts(_column(batch, name)))
        if not batch.is_storable:
            findings += find_unstorable(field, parts[-1])
    if not parts:
        return [""] * len(batch.numbers)
    if len(parts) == 1:
        return parts[0]
    return ["-".join(cells) if all(cells) else "" for cells in zip(*parts, strict=True)]


def _column(batch: Batch, name: str) -> Sequence[Any]:
    return batch.columns.get(name, [None] * len(batch.numbers))


def _extras(
    kind: Kind, columns: ColumnMap, batch: Batch, findings: list[Finding]
) -> dict[str, Sequence[Any]]:
    if not kind.keeps_attributes:
        return {}
    extras: dict[str, Sequence[Any]] = {}
    for name in columns.extras:
        raw = _column(batch, name)
        cells = texts(raw)
        if not batch.is_storable:
            findings += find_unstorable(name, cells)
        if max(map(len, cells), default=0) > LONGEST_ATTRIBUTE:
            detail = f"longer than {LONGEST_ATTRIBUTE} characters"
            findings += [
                Finding(index, name, "too-long", detail)
                for index, cell in enumerate(cells) if len(cell) > LONGEST_ATTRIBUTE
            ]  # fmt: skip
        extras[name] = raw if batch.is_typed else cells
    return extras


def _missing(field: str, cells: list[str]) -> list[Finding]:
    if all(cells):
        return []
    return [
        Finding(index, field, "missing", f"{field} is empty")
        for index, cell in enumerate(cells) if not cell
    ]  # fmt: skip


def _places(kind: Kind, cells: dict[str, list[str]]) -> tuple[Floats, Floats, list[Finding]]:
    """Return longitudes and latitudes, NaN where empty, and what is wrong with them."""
    lon, lon_findings = read_numbers(kind.field(kind.lon), cells[kind.lon])
    lat, lat_findings = read_numbers(kind.field(kind.lat), cells[kind.lat])
    # 31.2,121.5 instead of 121.5,31.2: the latitude is impossible, exchanged they would fit.
    is_swapped = (np.abs(lat) > 90) & (np.abs(lat) <= 180) & (np.abs(lon) <= 90)
    findings = lon_findings + [f for f in lat_findings if not is_swapped[f.at]]
    for index in np.flatnonzero(is_swapped).tolist():
        detail = f"lat {lat[index]:g} is out of range; lon and lat look swapped"
        findings.append(Finding(index, kind.lat, "swapped", detail))
    lon_missing, lat_missing = (
        _missing(kind.lon, cells[kind.lon]),
        _missing(kind.lat, cells[kind.lat]),
    )
    if not kind.is_place_required:
        # No home at all is fine, half a home is not.
        neither = {f.at for f in lon_missing} & {f.at for f in lat_missing}
        lon_missing = [f for f in lon_missing if f.at not in neither]
        lat_missing = [f for f in lat_missing if f.at not in neither]
    return lon, lat, findings + lon_missing + lat_missing


def _faults(batch: Batch, findings: list[Finding]) -> list[RowFault]:
    """Return one fault per row and field, in the order of rows."""
    first: dict[tuple[int, str], Finding] = {}
    for finding in findings:
        first.setdefault((finding.at, finding.field), finding)
    faults = [RowFault(batch.numbers[f.at], *f[1:]) for f in first.values()]
    return sorted(batch.refused + faults, key=lambda fault: fault.row)
