"""The good rows of a file on their way to COPY.

Whether a further column holds numbers is known only when all of it has been read (a postal code
starts with a zero somewhere), and how much work a customer is when all its neighbours have been, so
rows wait in a spool file, batch by batch, until then.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import orjson

from app.imports.validation import escaped
from app.imports.values import NULL, as_text

# As JSON writes numbers, short enough for a double to hold every digit; "007" and "1E5" are codes.
NUMBER = r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?"
# Stored cells hold no U+0000, so it can stand between them.
NUMBERS = re.compile(rf"(?:(?:{NUMBER})?\0)*")
LARGEST_EXACT = 2**53


class AcceptedRows:
    """Collects lines and further cells, then writes the file for COPY."""

    def __init__(self, folder: Path, has_attributes: bool) -> None:
        self._spool = folder / "spool.jsonl"
        self._target = folder / "accepted.copy"
        self._file = self._spool.open("wb")
        self._has_attributes = has_attributes
        self._texts: set[str] = set()

    def __enter__(self) -> "AcceptedRows":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, lines: list[str], extras: dict[str, Sequence[Any]], is_typed: bool) -> None:
        """Take the good rows of one batch."""
        if is_typed:
            extras = {name: list(map(_json_value, cells)) for name, cells in extras.items()}
        for name, cells in extras.items():
            if (
                not is_typed
                and name not in self._texts
                and not NUMBERS.fullmatch("\0".join(cells) + "\0")
            ):
                self._texts.add(name)
        self._file.write(orjson.dumps({"lines": lines, "extras": extras, "typed": is_typed}))
        self._file.write(b"\n")

    def finish(self, work_minutes: Iterator[float] | None = None) -> None:
        """Write the file for COPY, of customers with their work if it is known yet."""
        self._file.close()
        work = repeat(NULL) if work_minutes is None else map(repr, work_minutes)
        with self._spool.open("rb") as spool, self._target.open("wb") as target:
            for batch in spool:
                lines = self._completed(orjson.loads(batch), work)
                target.write("\n".join([*lines, ""]).encode())
        self._spool.unlink()

    def _completed(self, batch: dict[str, Any], work: Iterator[str]) -> Iterator[str]:
        lines: list[str] = batch["lines"]
        if not self._has_attributes:
            return iter(lines)
        extras: dict[str, list[Any]] = batch["extras"]
        if not batch["typed"]:
            extras = {
                name: cells if name in self._texts else list(map(_number, cells))
                for name, cells in extras.items()
            }
        documents = _documents(extras) if extras else ["{}"] * len(lines)
        return map("\t".join, zip(lines, documents, islice(work, len(lines)), strict=True))


def _documents(extras: dict[str, list[Any]]) -> list[str]:
    names = list(extras)
    return escaped(
        [
            orjson.dumps(
                {
                    name: cell
                    for name, cell in zip(names, cells, strict=True)
                    if cell is not None and cell != ""
                }
            ).decode()
            for cells in zip(*extras.values(), strict=True)
        ]
    )


def _number(cell: str) -> float | None:
    if not cell:
        return None
    return float(cell) if "." in cell else int(cell)


def _json_value(cell: Any) -> Any:
    """Return a GeoJSON property as an attribute: a number, a text, a truth value or nothing."""
    if isinstance(cell, float) or (isinstance(cell, int) and abs(cell) > LARGEST_EXACT):
        return cell if abs(cell) < float("inf") and isinstance(cell, float) else str(cell)
    if isinstance(cell, list | dict):
        return as_text(cell)
    return cell.strip() if isinstance(cell, str) else cell
