"""CSV in every shape: delimiters, quotes, line ends, and row numbers that stay right."""

import csv
import io
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.imports import csv_reader
from app.imports.csv_reader import read_csv
from tests.imports.conftest import GOOD, HEADER, Reading

cells = st.text(st.sampled_from(list('a ,;\t"\n\r|é名\u2028\x0b')), max_size=6)
tables = st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=12)


@given(
    table=tables,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(1, 40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_rows_come_back_with_the_line_they_start_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: list[list[str]],
    delimiter: str,
    line_end: str,
    block: int,
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_CHARACTERS", block)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerow(["one", "two", "three"])
    starts = []
    for row in table:
        starts.append(1 + len(io.StringIO(out.getvalue(), newline="").readlines()))
        writer.writerow(row)
    path = tmp_path / "file.csv"
    path.write_bytes(out.getvalue().encode("utf-8-sig"))

    read: list[tuple[int, list[str]]] = []
    for batch in read_csv(path):
        assert batch.refused == []
        rows = zip(*batch.columns.values(), strict=True)
        read += zip(batch.numbers, map(list, rows), strict=True)

    full = [(start, row) for start, row in zip(starts, table, strict=True) if any(row)]
    assert read == full


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(reading: Reading, delimiter: str) -> None:
    content = '"name, or; what|else"\tid\tlon\tlat\nx\t1\t2\t3\n'.replace("\t", delimiter)

    parsed = reading(content, name=["name, or; what|else"])

    assert parsed.rows[0][1:3] == ["1", "x"]


def test_a_quote_that_is_never_closed_costs_its_own_row_only(reading: Reading) -> None:
    rows = [f'{i},"open,1,2,A,1,' if i in (5, 40) else f"{i},x,1,2,A,1," for i in range(60)]

    parsed = reading(HEADER + "\n".join(rows))

    assert parsed.faults == [(7, "\\N", "quote"), (42, "\\N", "quote")]
    assert len(parsed.rows) == 58


def test_an_open_quote_before_megabytes_of_text_ends_in_reasonable_time(
    reading: Reading,
) -> None:
    started = time.process_time()

    parsed = reading(HEADER + '0,"open,1,2,A,1,\n' + GOOD * 30_000)

    assert parsed.faults[0] == (2, "\\N", "quote")
    assert len(parsed.rows) == 30_000
    assert time.process_time() - started < 10


def test_blank_lines_are_no_rows_but_count_as_lines(reading: Reading) -> None:
    parsed = reading("\n" + HEADER + "\n,,,,,,\n" + GOOD + "\n1,x,1,2,Z,1,\n\n")

    assert parsed.summary["rows"] == 2
    assert parsed.rows[0][0] == "5"
    assert parsed.faults == [(7, "class", "unknown-value")]


def test_numbers_of_a_column_are_numbers_unless_one_of_them_is_a_code(reading: Reading) -> None:
    parsed = reading(
        "id,lon,lat,price,zip,phone,mixed\n"
        "1,1,1,12.50,90210,13912345678,1\n"
        "2,1,1,-3,02134,13912345679,n/a\n"
        '3,1,1,,,,"2\n3"\n'
    )

    assert parsed.attributes(0) == {
        "price": 12.5, "zip": "90210", "phone": 13912345678, "mixed": "1",
    }  # fmt: skip
    assert parsed.attributes(1)["zip"] == "02134"
    assert parsed.attributes(2) == {"mixed": "2\n3"}


def test_chinese_headers_are_understood(reading: Reading) -> None:
    parsed = reading(
        "客户编号,客户名称,经度,纬度,客户等级,行业,标签,潜力\nC1,金海,121.5,31.2,a,零售,新;大,5\n"
    )

    assert set(parsed.summary["mapping"]) == {
        "external_id", "name", "lon", "lat", "class", "segment", "tags", "potential",
    }  # fmt: skip
    assert parsed.rows[0][1:6] == ["C1", "金海", "A", "零售", "新;大"]


def test_the_better_of_two_headers_is_taken(reading: Reading) -> None:
    parsed = reading("id,customer_id,x,y,LONGITUDE,lat\nno,yes,0,0,121,31\n")

    mapping = parsed.summary["mapping"]
    assert (mapping["external_id"], mapping["lon"]) == ("customer_id", "LONGITUDE")
    assert parsed.attributes(0) == {"id": "no", "x": 0, "y": 0}
