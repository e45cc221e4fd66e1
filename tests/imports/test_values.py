"""Numbers of a column are read in bulk as they are one by one."""

import math
import re

from hypothesis import example, given
from hypothesis import strategies as st

from app.imports.fields import Field
from app.imports.values import read_numbers

DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
FIELD = Field("potential", "number", ("potential",), at_least=-math.inf, at_most=math.inf)
written = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-(10**9), 10**9, places=6).map(str),
    st.from_regex(DECIMAL, fullmatch=True),
    st.text("0123456789.eE+-", max_size=6),
    st.sampled_from(["", "nan", "inf", "1_000", "1e400", "0x10", "٣", "1 000", "1,5"]),
)


@given(st.lists(written, max_size=8))
@example(["9007199254740993", "0.1", "2.2250738585072014e-308", "4.9e-324", "-0"])
def test_a_column_of_numbers_is_read_as_its_cells_are(cells: list[str]) -> None:
    values, findings = read_numbers(FIELD, cells)

    wrong = {finding.at for finding in findings}
    for at, (cell, value) in enumerate(zip(cells, values.tolist(), strict=True)):
        is_number = DECIMAL.fullmatch(cell) is not None and math.isfinite(float(cell))
        assert (at in wrong) == (cell != "" and not is_number)
        assert value == float(cell) if is_number else math.isnan(value)
