"""Temporary tables of one merge, filled by COPY."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from app.db.session import WriteSession, driver_connection
from app.imports.fields import KINDS, FieldType, Kind
from app.imports.validation import staged_columns

BLOCK_BYTES = 2**20
TYPES: dict[FieldType, TypeEngine[Any]] = {
    "text": Text(),
    "choice": Text(),
    "labels": Text(),
    "number": Double(),
    "coordinate": Double(),
    "instant": DateTime(timezone=True),
}

COPY_ROWS = "COPY staged_row FROM STDIN"
COPY_FAULTS = "COPY staged_fault FROM STDIN"
ANALYZE_ROWS = text("ANALYZE staged_row")


def _temporary(name: str, *columns: Column[Any]) -> Table:
    return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


def _rows_of(kind: Kind) -> Table:
    types: dict[str, TypeEngine[Any]] = {field.name: TYPES[field.type] for field in kind.fields}
    types |= {"row": BigInteger(), "cell": BigInteger()}
    columns: list[Column[Any]] = [Column(name, types[name]) for name in staged_columns(kind)]
    if kind.keeps_attributes:
        # The work is NULL where the reading could not tell it, as it seldom can.
        columns += [Column("attributes", JSONB()), Column("work_minutes", Double())]
    return _temporary("staged_row", *columns)


STAGED_ROWS = {name: _rows_of(kind) for name, kind in KINDS.items()}
STAGED_FAULTS = _temporary(
    "staged_fault",
    Column("row", BigInteger()),
    Column("field", Text()),
    Column("code", Text()),
    Column("detail", Text()),
)
# The work of customers that are new, where the reading could not tell it.
STAGED_WORK = Table(
    "staged_work",
    MetaData(),
    Column("row", BigInteger(), primary_key=True, autoincrement=False),
    Column("work_minutes", Double()),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


async def stage(
    session: WriteSession, kind: Kind, folder: Path, progress: Callable[[float], None]
) -> Table:
    """Fill the temporary tables from the files of the reading; return the one of the rows."""
    rows = STAGED_ROWS[kind.name]
    await session.execute(CreateTable(rows))
    await session.execute(CreateTable(STAGED_FAULTS))
    await session.execute(CreateTable(STAGED_WORK))
    await _copy(session, COPY_FAULTS, folder / "faults.copy", lambda fraction: None)
    await _copy(session, COPY_ROWS, folder / "accepted.copy", progress)
    # Fresh tables have no statistics, and the merge joins by them.
    await session.execute(ANALYZE_ROWS)
    return rows


async def _copy(
    session: WriteSession, statement: str, path: Path, progress: Callable[[float], None]
) -> None:
    connection = await driver_connection(session)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block, fraction in _blocks(path):
            await copy.write(block)
            progress(fraction)


def _blocks(path: Path) -> Iterator[tuple[bytes, float]]:
    size = max(path.stat().st_size, 1)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block, file.tell() / size
