"""A piece of a file in columns, as both readers yield it and the checks take it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# A batch ends at whichever comes first; together they bound the memory of the reading process.
MOST_ROWS = 20_000
MOST_CELLS = 500_000
MOST_CHARACTERS = 8 * 2**20
MOST_COLUMNS = 500
LONGEST_HEADER = 100


class RowFault(NamedTuple):
    """Why a row is refused; `field` is one of ours, or a column of the file that stays as it is."""

    row: int
    field: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a file by column.

    `numbers` are what users call the rows: the line where a CSV record starts (the header is line
    1), or the feature's place in a GeoJSON file, from 1. `refused` are rows that could not be
    divided into cells. Cells of a typed batch are JSON values, else text. `is_storable` says that
    no cell holds U+0000 or bytes that were not UTF-8. `fraction` is how much of the file has been
    read.
    """

    numbers: list[int]
    columns: dict[str, Sequence[Any]]
    refused: list[RowFault]
    is_typed: bool
    is_storable: bool
    fraction: float


def is_full(n_rows: int, n_columns: int) -> bool:
    """Tell whether a batch has as many rows, or cells, as it may."""
    return n_rows >= MOST_ROWS or n_rows * n_columns >= MOST_CELLS
