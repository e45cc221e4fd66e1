"""Rows of fixed width through binary COPY."""

import numpy as np
import pytest
from sqlalchemy import text

from app.db import fixed_rows
from app.db.fixed_rows import FixedRows, copy_in, copy_out
from app.db.session import Database

ROWS = FixedRows(id="i8", amount="f8", is_good="?", mark="S1", n="i4")
SELECT = "SELECT id, amount, is_good, mark, n FROM kept ORDER BY id"


async def test_what_is_copied_in_comes_out_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixed_rows, "ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    n = 7 * 4 + 3
    rows = np.empty(n, ROWS.numbers)
    columns = {
        "id": np.arange(n) - 2**62,
        "amount": np.append(rng.normal(0, 1e300, n - 2), [np.nan, -np.inf]),
        "is_good": rng.random(n) < 0.5,
        "mark": rng.choice([b"S", b"A", b"D"], n),
        "n": rng.integers(-(2**31), 2**31, n),
    }
    for name, values in columns.items():
        rows[name] = values
    async with database.writing() as session:
        await session.execute(
            text(
                'CREATE TEMP TABLE kept (id int8, amount float8, is_good bool, mark "char", n int4)'
            )
        )
        await copy_in(session, "kept", ROWS, [rows[:9], rows[9:]])
        parts = [part async for part in copy_out(session, SELECT, ROWS)]
        nothing = [part async for part in copy_out(session, f"{SELECT} LIMIT 0", ROWS)]

    assert len(parts) > 3
    assert sum(map(len, nothing)) == 0
    for name, values in columns.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1::int8, 1::float8, true, 'A'::\"char\", NULL::int4",
        "SELECT 1::int4, 1::float8, true, 'A'::\"char\", 1::int4",
    ],
)
async def test_rows_of_another_shape_are_refused(database: Database, statement: str) -> None:
    async with database.reading() as session:
        with pytest.raises(ValueError, match="a row has"):
            async for _ in copy_out(session, statement, ROWS):
                pass
