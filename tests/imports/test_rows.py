"""Each way in which a row can be bad, and the files that are refused as a whole."""

from collections.abc import Callable

import pytest

from tests.imports.conftest import GOOD, HEADER, Reading


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        (",Nameless,121,31,A,1,", "external_id", "missing"),
        ("  ,Blank,121,31,A,1,", "external_id", "missing"),
        ("1,No lon,,31,A,1,", "lon", "missing"),
        ("1,No lat,121,,A,1,", "lat", "missing"),
        ("1,Far,181,31,A,1,", "lon", "out-of-range"),
        ("1,Far,121,-91,A,1,", "lat", "out-of-range"),
        ("1,Swapped,31.2,121.5,A,1,", "lat", "swapped"),
        ("1,Text,east,31,A,1,", "lon", "number"),
        ('1,Comma,"121,5",31,A,1,', "lon", "number"),
        ("1,NaN,nan,31,A,1,", "lon", "number"),
        ("1,Infinity,121,31,A,Infinity,", "potential", "number"),
        ("1,Overflow,121,31,A,1e999,", "potential", "number"),
        ("1,Underscore,121,31,A,1_000,", "potential", "number"),
        ("1,Wide digits,121,31,A,１２,", "potential", "number"),
        ("1,Negative,121,31,A,-5,", "potential", "out-of-range"),
        ("1,Class,121,31,Z,1,", "class", "unknown-value"),
        ("1,Date,121,31,A,1,30.10.2026", "last_visit_at", "date"),
        ("1,No such day,121,31,A,1,2026-02-30", "last_visit_at", "date"),
        ("1,No such hour,121,31,A,1,2026-02-03T24:00:00Z", "last_visit_at", "date"),
        ("1,No such year,121,31,A,1,0000-02-03T00:00:00Z", "last_visit_at", "date"),
        ("1,NUL\0,121,31,A,1,", "name", "nul"),
        ("1," + "x" * 301 + ",121,31,A,1,", "name", "too-long"),
        ("1,Short,121,31,A", "\\N", "columns"),
        ("1,Long,121,31,A,1,,,", "\\N", "columns"),
        ('1,"Text" after,121,31,A,1,', "\\N", "quote"),
    ],
)
def test_a_bad_row_is_named_with_number_field_and_code(
    reading: Reading, row: str, field: str, code: str
) -> None:
    parsed = reading(HEADER + GOOD + row + "\n" + GOOD.replace("G1", "G2"))

    assert parsed.faults == [(3, field, code)]
    assert [cells[1] for cells in parsed.rows] == ["G1", "G2"]
    assert (parsed.summary["rows"], parsed.summary["rejected"]) == (3, 1)


@pytest.mark.parametrize(
    "row",
    [
        "1,Null island,0,0,,,",
        "1,Pole,180,-90,s,1e3,2026-10-30T08:00:00+08:00",
        "1,Signs,+121.5,.5,d,5.,2026-10-30 08:00",
        "1,Tiny,1e-400,-0.0,D,0.0000000000000000000000000000000000000000000000000001,",
        " 1 , Spaces , 121 , 31 , a , 1 , 2026-10-30 ",
    ],
)
def test_unusual_rows_that_are_right_are_taken(reading: Reading, row: str) -> None:
    parsed = reading(HEADER + row + "\n")

    assert parsed.faults == []
    assert parsed.rows[0][1] == "1"


def test_every_fault_of_a_row_is_reported(reading: Reading) -> None:
    parsed = reading(HEADER + ",,x,95,Z,-1,soon\n")

    assert {(field, code) for _, field, code in parsed.faults} == {
        ("external_id", "missing"),
        ("lon", "number"),
        ("lat", "out-of-range"),
        ("class", "unknown-value"),
        ("potential", "out-of-range"),
        ("last_visit_at", "date"),
    }


def test_swapped_coordinates_are_told_with_a_hint(reading: Reading) -> None:
    parsed = reading(HEADER + GOOD + "1,Swapped,31.2,121.5,A,1,\n")

    assert parsed.details == ["lat 121.5 is out of range; lon and lat look swapped"]


def test_a_row_in_another_encoding_is_reported_alone(reading: Reading) -> None:
    content = (HEADER + GOOD).encode() + "2,Café,1,2,A,1,\n".encode("latin-1")

    parsed = reading(content + b"3,Good,1,2,A,1,\n")

    assert parsed.faults == [(3, "name", "encoding")]
    assert len(parsed.rows) == 2


def test_a_rep_without_home_is_fine_and_with_half_a_home_is_not(reading: Reading) -> None:
    parsed = reading("id,home_lon,home_lat\n1,,\n2,121,\n3,,31\n", "reps")

    assert parsed.faults == [(3, "home_lat", "missing"), (4, "home_lon", "missing")]
    assert parsed.rows[0][-2:] == ["\\N", "\\N"]


@pytest.mark.parametrize(
    ("column", "cell"),
    [("days_per_year", "0"), ("hours_per_day", "25"), ("field_share", "1.1"), ("fte", "0")],
)
def test_capacities_that_cannot_be_are_reported(reading: Reading, column: str, cell: str) -> None:
    parsed = reading(f"id,{column}\n1,{cell}\n", "reps")

    assert parsed.faults == [(2, column, "out-of-range")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \n\n", "empty"),
        (HEADER.encode(), "empty"),
        (b",,\n,,\n", "empty"),
        (b"PK\x03\x04" + b"\0" * 100, "file-type"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", "file-type"),
        (b"\x1f\x8b\x08\0\0\0", "file-type"),
        (b"\x89PNG\r\n\x1a\n", "file-type"),
        (b"%PDF-1.7\n", "file-type"),
        (b"<kml></kml>", "file-type"),
        (bytes(range(32)) * 100, "file-type"),
        ((HEADER + GOOD).encode("utf-16"), "encoding"),
        ((HEADER + GOOD).encode("utf-16-le"), "file-type"),
        ("编号,名称,经度,纬度\n1,一,121,31\n".encode("gbk"), "encoding"),
        ((HEADER + "1,Café,1,2,A,1,\n" * 3).encode("latin-1"), "encoding"),
        (b"name,east,north\nx,1,2\n", "missing-column"),
        (b"id,lon,lon,lat\n1,1,1,1\n", "header"),
        (b'"id,lon,lat\n1,1,1\n', "header"),
        (b"a," * 501 + b"a\n", "too-many-columns"),
        (b"id,lon,lat\n" + b"x" * (2**20 + 1), "too-long"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    refusal: Callable[..., str], content: bytes, code: str
) -> None:
    assert refusal(content) == code
