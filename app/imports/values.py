"""Cells of one column read in bulk: the values as text for COPY, and what is wrong with which.

Each reader has a fast way for columns without surprises and looks at single cells only when the
whole column did not pass.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from app.imports.fields import LABEL_SEPARATOR, LONGEST_LABEL, MOST_LABELS, Field

Floats = NDArray[np.float64]
NULL = r"\N"
LONGEST_ECHO = 80
DECIMAL_CHARACTERS = re.compile(r"[0-9.eE+-]*")
PLAIN = re.compile(r"[0-9.+-]*")
LONGEST_PLAIN = 40
DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
PLAIN_INSTANTS = re.compile(
    r"(?:(?:(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?\0)*"
)
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].+")


class Finding(NamedTuple):
    """What is wrong with one cell; `at` is its place in the batch."""

    at: int
    field: str
    code: str
    detail: str


Column = tuple[list[str], list[Finding]]


def texts(cells: Sequence[Any]) -> list[str]:
    """Return cells as stripped text; GeoJSON brings numbers, truth values, lists and nothing."""
    try:
        return list(map(str.strip, cells))
    except TypeError:
        return [as_text(cell).strip() for cell in cells]


def find_unstorable(name: str, cells: list[str]) -> list[Finding]:
    """Find cells that no database text can hold: U+0000, or bytes that were not UTF-8."""
    if is_storable("".join(cells)):
        return []
    found = []
    for index, cell in enumerate(cells):
        if not is_encodable(cell):
            detail = f"{echo(cell)} has bytes that are not UTF-8"
            found.append(Finding(index, name, "encoding", detail))
        elif "\0" in cell:
            found.append(Finding(index, name, "nul", "the cell holds the character U+0000"))
    return found


def read_column(field: Field, cells: list[str]) -> Column:
    """Return the cells of a field other than a coordinate."""
    return READERS[field.type](field, cells)


def read_numbers(field: Field, cells: list[str]) -> tuple[Floats, list[Finding]]:
    """Return the numbers, NaN where a cell is empty or wrong."""
    values, findings = _decimals(field, cells)
    is_low = values <= field.at_least if field.is_open else values < field.at_least
    for index in np.flatnonzero(is_low | (values > field.at_most)).tolist():
        detail = f"{echo(cells[index])} is out of range ({field.bounds})"
        findings.append(Finding(index, field.name, "out-of-range", detail))
    return values, findings


def number_texts(cells: list[str], values: Floats, empty: str) -> list[str]:
    """Return numbers that have been read as text for the database."""
    # As written they will do, unless so small or so long that the database refuses them.
    if max(map(len, cells), default=0) <= LONGEST_PLAIN and PLAIN.fullmatch("".join(cells)):
        return [cell or empty for cell in cells]
    return [empty if value != value else repr(value) for value in values.tolist()]


def echo(cell: str) -> str:
    """Return the beginning of a cell in a form that every log and database can hold."""
    short = cell if len(cell) <= LONGEST_ECHO else cell[:LONGEST_ECHO] + "…"
    return repr(short.encode("utf-8", "replace").decode())


def as_text(cell: Any) -> str:
    """Return a JSON value as the text of a cell."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool | int | float):
        return str(cell).lower()
    if isinstance(cell, list) and all(isinstance(item, str) for item in cell):
        return LABEL_SEPARATOR.join(cell)
    try:
        return orjson.dumps(cell).decode()
    except TypeError:  # a number of more than 64 bits, or a lone surrogate
        return repr(cell)


def is_storable(text: str) -> bool:
    """Tell whether the database can hold a text."""
    return "\0" not in text and is_encodable(text)


def is_encodable(text: str) -> bool:
    """Tell text from what holds lone surrogates: bytes that were not UTF-8, or broken JSON."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_text(field: Field, cells: list[str]) -> Column:
    findings = []
    if max(map(len, cells), default=0) > field.longest:
        findings = [
            Finding(index, field.name, "too-long",
                    f"{len(cell)} characters; up to {field.longest} are stored")
            for index, cell in enumerate(cells) if len(cell) > field.longest
        ]  # fmt: skip
    return cells, findings


def _read_number(field: Field, cells: list[str]) -> Column:
    values, findings = read_numbers(field, cells)
    return number_texts(cells, values, _default(field)), findings


def _read_choice(field: Field, cells: list[str]) -> Column:
    choices = {choice.casefold(): choice for choice in field.choices}
    known = {cell: choices.get(cell.casefold()) for cell in set(cells)} | {"": _default(field)}
    read = [known[cell] for cell in cells]
    findings = [
        Finding(index, field.name, "unknown-value",
                f"{echo(cells[index])} is none of {', '.join(field.choices)}")
        for index, value in enumerate(read) if value is None
    ]  # fmt: skip
    return [value or "" for value in read], findings


def _read_labels(field: Field, cells: list[str]) -> Column:
    known = {cell: _labels(cell) for cell in set(cells)}
    read = [known[cell] for cell in cells]
    findings = []
    if any(len(labels) > MOST_LABELS for labels in known.values()) or any(
        len(label) > LONGEST_LABEL for labels in known.values() for label in labels
    ):
        detail = f"more than {MOST_LABELS} labels, or one over {LONGEST_LABEL} characters"
        findings = [
            Finding(index, field.name, "too-long", detail)
            for index, labels in enumerate(read)
            if len(labels) > MOST_LABELS or any(len(label) > LONGEST_LABEL for label in labels)
        ]
    joined = {cell: LABEL_SEPARATOR.join(labels) for cell, labels in known.items()}
    return [joined[cell] for cell in cells], findings


def _read_instant(field: Field, cells: list[str]) -> Column:
    if _are_plain_instants(cells):
        return [cell or _default(field) for cell in cells], []
    known = {cell: _instant(cell) for cell in set(cells)} | {"": _default(field)}
    read = [known[cell] for cell in cells]
    findings = [
        Finding(index, field.name, "date",
                f"{echo(cells[index])} is not a date such as 2026-11-01 or 2026-11-01T08:30:00Z")
        for index, value in enumerate(read) if value is None
    ]  # fmt: skip
    return [value or "" for value in read], findings


READERS: dict[str, Callable[[Field, list[str]], Column]] = {
    "text": _read_text,
    "number": _read_number,
    "choice": _read_choice,
    "labels": _read_labels,
    "instant": _read_instant,
}


def _default(field: Field) -> str:
    return NULL if field.default is None else field.default


def _decimals(field: Field, cells: list[str]) -> tuple[Floats, list[Finding]]:
    nan = float("nan")
    # Of these characters are decimal numbers only: no "nan", "inf" or "1_000".
    if DECIMAL_CHARACTERS.fullmatch("".join(cells)):
        # In a fifth of the time of float(); what it cannot read is looked at below.
        read = pl.Series(cells, dtype=pl.String).cast(pl.Float64, strict=False)
        values = read.fill_null(nan).to_numpy()
        if read.null_count() == cells.count("") and not np.isinf(values).any():
            return values, []
    values = np.full(len(cells), nan)
    findings = []
    for index, cell in enumerate(cells):
        number = float(cell) if DECIMAL.fullmatch(cell) else nan
        if cell and not np.isfinite(number):
            detail = f"{echo(cell)} is not a number such as 1234.5"
            findings.append(Finding(index, field.name, "number", detail))
        else:
            values[index] = number
    return values, findings


def _labels(cell: str) -> list[str]:
    labels = (label.strip() for label in cell.split(LABEL_SEPARATOR))
    return list(dict.fromkeys(label for label in labels if label))


def _are_plain_instants(cells: list[str]) -> bool:
    """Tell whether each cell is empty or an instant to the second in UTC, such as most are."""
    if not PLAIN_INSTANTS.fullmatch("\0".join([*cells, ""])):
        return False
    try:
        # Fails for what no calendar or clock has.
        np.array([cell[:-1] for cell in cells if cell], dtype="datetime64[s]")
    except ValueError:
        return False
    return True


def _instant(cell: str) -> str | None:
    """Return an ISO date or date-time in UTC (also meant without an offset), else None."""
    if not (DATE.fullmatch(cell) or INSTANT.fullmatch(cell)):
        return None
    try:
        instant = datetime.fromisoformat(cell.upper())
        utc = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return utc.isoformat()
