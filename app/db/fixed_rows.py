"""Millions of numbers between PostgreSQL and numpy: binary COPY of rows that are all equally long.

A row of the binary format is a count of fields, then for each its size and its bytes, big-endian
(PostgreSQL documentation, COPY, file formats). When no field is NULL and each has a fixed width,
rows are the records of a structured array: nothing is parsed, and no number becomes an object.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.db.session import AnySession, WriteSession, driver_connection

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
ROWS_AT_ONCE = 50_000


class FixedRows:
    """The shape of such rows: names with numpy's codes of their types (`i8`, `f8`, `?`, `S1`)."""

    def __init__(self, **types: str) -> None:
        self.numbers = np.dtype([(name, np.dtype(f">{code}")) for name, code in types.items()])
        self.names = list(types)
        sizes = [(f"size of {name}", ">i4") for name in types]
        values = [(name, self.numbers[name]) for name in types]
        pairs = [part for pair in zip(sizes, values, strict=True) for part in pair]
        self.wire = np.dtype([("n_fields", ">i2"), *pairs])

    def encode(self, columns: NDArray[Any]) -> bytes:
        """Return some rows in the binary format, without its header and trailer."""
        rows = np.empty(len(columns), dtype=self.wire)
        rows["n_fields"] = len(self.names)
        for name in self.names:
            rows[f"size of {name}"] = self.numbers[name].itemsize
            rows[name] = columns[name]
        return rows.tobytes()


async def copy_out(
    session: AnySession, statement: str, rows: FixedRows
) -> AsyncIterator[NDArray[np.void]]:
    """Yield what a statement selects, some ten thousand rows at a time.

    Raises
    ------
    ValueError
        When a row is not of this shape: a field is NULL or of another width.
    """
    connection = await driver_connection(session)
    command = f"COPY ({statement}) TO STDOUT (FORMAT binary)"
    gathered, head = bytearray(), len(SIGNATURE)
    async with connection.cursor() as cursor, cursor.copy(command.encode()) as copy:
        async for part in copy:
            gathered += part
            if len(gathered) >= head + ROWS_AT_ONCE * rows.wire.itemsize:
                yield _decoded(rows, bytes(gathered[head:]))
                gathered, head = bytearray(), 0
    yield _decoded(rows, bytes(gathered[head : -len(TRAILER)]))


async def copy_in(
    session: WriteSession, table: str, rows: FixedRows, parts: Iterable[NDArray[Any]]
) -> None:
    """Append rows to a table whose columns are those of `rows`, in their order.

    Each part is a structured array with at least these columns.
    """
    connection = await driver_connection(session)
    command = f"COPY {table} FROM STDIN (FORMAT binary)"
    async with connection.cursor() as cursor, cursor.copy(command.encode()) as copy:
        await copy.write(SIGNATURE)
        for part in parts:
            await copy.write(rows.encode(part))
        await copy.write(TRAILER)


def _decoded(rows: FixedRows, content: bytes) -> NDArray[np.void]:
    if len(content) % rows.wire.itemsize:
        raise ValueError("a row has a NULL, or a field of another width")
    found = np.frombuffer(content, dtype=rows.wire)
    if len(found) and (found["n_fields"] != len(rows.names)).any():
        raise ValueError("a row has another number of fields")
    return found
