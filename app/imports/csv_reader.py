"""CSV in batches of columns, in bounded memory whatever the file holds."""

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import IO

from app.imports.batches import (
    LONGEST_HEADER,
    MOST_CHARACTERS,
    MOST_COLUMNS,
    Batch,
    RowFault,
    is_full,
)
from app.imports.sniffing import HEAD_BYTES, not_utf8, refused_file
from app.imports.values import is_storable

DELIMITERS = (",", ";", "\t", "|")
LONGEST_RECORD = 2**20
BLOCK_CHARACTERS = 2**18

Rows = list[list[str] | None]


class RecordTooLong(Exception):
    """A record goes on over lines until it is too long: most likely a quote is never closed."""


class Records:
    """The records of a CSV text with the line that each starts in.

    A record that cannot be read costs its first line only: reading goes on at the next one, so a
    quote that is never closed does not swallow the rows after it.
    """

    def __init__(self, text: IO[str], delimiter: str) -> None:
        self._text = text
        self._delimiter = delimiter
        self._line = 0
        self._begun = ""
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self.characters = 0
        self.is_storable = True
        # The limit of the csv module is its own global; ours is the length of a record.
        csv.field_size_limit(LONGEST_RECORD)

    def __iter__(self) -> Iterator[tuple[Sequence[int], Rows]]:
        """Yield the lines where records start, and their cells; None for what cannot be read."""
        while lines := self._next_lines():
            rows = self._one_per_line(lines)
            if rows is not None:
                numbers = range(self._line + 1, self._line + 1 + len(lines))
                self._line += len(lines)
                yield numbers, rows
            else:
                self._waiting.extend(lines)
                yield self._one_by_one()

    def _one_per_line(self, lines: list[str]) -> Rows | None:
        """Return a record per line, None where a record goes over lines or cannot be read."""
        try:
            rows: Rows = list(self._reader(lines))
        except csv.Error:
            return None
        return rows if len(rows) == len(lines) else None

    def _one_by_one(self) -> tuple[list[int], Rows]:
        """Read the waiting lines, and those after them that the last record goes on in."""
        numbers: list[int] = []
        rows: Rows = []
        reader = self._reader(self._lines())
        while self._waiting:
            numbers.append(self._line + 1)
            self._taken.clear()
            try:
                rows.append(next(reader))
            except (csv.Error, RecordTooLong):
                rows.append(None)
                rest = self._taken[1:]
                self._line -= len(rest)
                self._waiting.extendleft(reversed(rest))
                reader = self._reader(self._lines())
        return numbers, rows

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._delimiter, strict=True, skipinitialspace=True)

    def _lines(self) -> Iterator[str]:
        length = 0
        while True:
            if not self._waiting:
                self._waiting.extend(self._next_lines())
            if not self._waiting:
                return
            line = self._waiting[0]
            length = len(line) if not self._taken else length + len(line)
            if length > LONGEST_RECORD:
                raise RecordTooLong
            self._line += 1
            self._taken.append(self._waiting.popleft())
            yield line

    def _next_lines(self) -> list[str]:
        """Return the next whole lines of the text; none at its end."""
        while block := self._text.read(BLOCK_CHARACTERS):
            self.characters += len(block)
            self.is_storable = self.is_storable and is_storable(block)
            part = self._begun + block
            lines = io.StringIO(part, newline="").readlines()
            # The last line may go on in the next block, and a carriage return before its line feed.
            self._begun = "" if lines[-1].endswith("\n") else lines.pop()
            if len(part) > LONGEST_RECORD < max(map(len, [*lines, self._begun])):
                raise refused_file("too-long", f"A line after line {self._line} is over 1 MB long.")
            if lines:
                return lines
        lines, self._begun = [self._begun] if self._begun else [], ""
        return lines


def read_csv(path: Path) -> Iterator[Batch]:
    """Yield the rows of a CSV file; the delimiter is found from the header.

    Raises
    ------
    InvalidInput
        When the file as a whole cannot be read: no header, another encoding, a line over 1 MB.
    """
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw:
        head = raw.read(HEAD_BYTES)
        raw.seek(0)
        text = io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")
        records = Records(text, _delimiter(head))
        header: list[str] = []
        waiting = _Waiting()
        for numbers, rows in records:
            if not header:
                place = next((at for at, row in enumerate(rows) if row is None or any(row)), -1)
                if place < 0:
                    continue
                header = _header(rows[place], head)
                numbers, rows = numbers[place + 1 :], rows[place + 1 :]
            waiting.take(numbers, rows, len(header))
            if waiting.is_full(len(header), records.characters):
                yield waiting.batch(header, records.is_storable, raw.tell() / size)
                waiting = _Waiting(records.characters)
        if not header:
            raise refused_file("empty", "The file is empty.")
        yield waiting.batch(header, records.is_storable, 1.0)


class _Waiting:
    """Rows that do not make a batch yet."""

    def __init__(self, start: int = 0) -> None:
        self._end = start + MOST_CHARACTERS
        self._numbers: list[int] = []
        self._cells: list[list[str]] = []
        self._refused: list[RowFault] = []

    def take(self, numbers: Sequence[int], rows: Rows, n_columns: int) -> None:
        if (whole := _without_surprises(rows, n_columns)) is not None:
            self._numbers += numbers
            self._cells += whole
            return
        for number, row in zip(numbers, rows, strict=True):
            if row is None:
                detail = "a quote is not closed, or text follows a closing quote"
                self._refused.append(RowFault(number, None, "quote", detail))
            elif not any(row):
                continue  # a blank line, or one of delimiters only as spreadsheets leave them
            elif len(row) == n_columns:
                self._numbers.append(number)
                self._cells.append(row)
            else:
                detail = f"the row has {len(row)} cells, the header has {n_columns}"
                self._refused.append(RowFault(number, None, "columns", detail))

    def is_full(self, n_columns: int, characters: int) -> bool:
        n_rows = len(self._numbers) + len(self._refused)
        return is_full(n_rows, n_columns) or characters >= self._end

    def batch(self, header: list[str], is_storable: bool, fraction: float) -> Batch:
        by_column = list(zip(*self._cells, strict=True)) or [()] * len(header)
        columns: dict[str, Sequence[str]] = dict(zip(header, by_column, strict=True))
        return Batch(self._numbers, columns, self._refused, False, is_storable, fraction)


def _without_surprises(rows: Rows, n_columns: int) -> list[list[str]] | None:
    """Return the rows if all can be read, are as long as the header and no blank lines."""
    whole = [row for row in rows if row]
    if len(whole) < len(rows) or not all(map(itemgetter(0), whole)):
        return None
    return whole if set(map(len, whole)) <= {n_columns} else None


def _delimiter(head: bytes) -> str:
    """Return the delimiter that divides the first record into the most cells."""
    # The last line of a cut head may be half a record.
    text = head.decode("utf-8-sig", errors="replace").lstrip("\r\n")

    def n_cells(delimiter: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)))
        except (csv.Error, StopIteration):
            return 0

    return max(DELIMITERS, key=n_cells)


def _header(row: list[str] | None, head: bytes) -> list[str]:
    if row is None:
        raise refused_file("header", "The first line cannot be read: a quote is not closed.")
    names = [name.strip() or f"column_{place}" for place, name in enumerate(row, start=1)]
    if any("\udc80" <= sign <= "\udcff" for name in names for sign in name):
        raise not_utf8(head)
    if len(names) > MOST_COLUMNS:
        detail = f"The file has {len(names)} columns; up to {MOST_COLUMNS} are read."
        raise refused_file("too-many-columns", detail)
    for place, name in enumerate(names, start=1):
        if len(name) > LONGEST_HEADER or "\0" in name:
            detail = f"The name of column {place} is longer than {LONGEST_HEADER} characters "
            raise refused_file("header", detail + "or holds U+0000; is the first line a header?")
        if name in names[: place - 1]:
            raise refused_file("header", f"The file has two columns named {name!r}.")
    return names
