"""Files, mappings and cells of strangers: rows, faults of rows, or a refusal of the whole."""

# A law says of each input what holds where it is read, and what where it is refused.
# ruff: noqa: PT017

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.imports import parse
from app.imports.fields import KINDS
from app.imports.schemas import read_request
from app.imports.sniffing import file_format
from app.imports.values import NULL, read_column, read_numbers
from tests.fuzz.laws import anything, json_values, law, numbers

HEADER = ["external_id", "name", "lon", "lat", "class", "tags", "last_visit_at", "note"]
cells = st.one_of(
    anything, numbers.map(str), st.datetimes().map(str),
    st.sampled_from(["", "A", "1.5", "31.2", "121.4", '"', '"a', ";", "=1+1", "\0", "2026-11-01"]),
)  # fmt: skip
rows = st.lists(st.lists(cells, min_size=7, max_size=9), max_size=6)
points = st.fixed_dictionaries(
    {"type": st.just("Point")},
    optional={"coordinates": st.lists(numbers, max_size=4) | json_values()},
)
features = st.fixed_dictionaries(
    {"type": st.just("Feature")},
    optional={
        "id": json_values(),
        "geometry": points | json_values(),
        "properties": st.dictionaries(st.sampled_from(HEADER) | anything, json_values(), max_size=6)
        | json_values(),
    },
)


@pytest.fixture
def folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    return tmp_path


def _read(folder: Path, content: bytes, **request: Any) -> None:
    """Hold a file to the law: it is refused whole, or its rows are counted and can be stored."""
    (folder / "upload").write_bytes(content)
    wanted = {"kind": "customers", "mapping": {}, **request}
    (folder / "request.json").write_bytes(orjson.dumps(wanted))
    try:
        parse.main(folder)
    except InvalidInput as refused:
        assert refused.faults
        refused.detail.encode()
        return
    summary = orjson.loads((folder / "summary.json").read_bytes())
    accepted = (folder / "accepted.copy").read_bytes().decode().split("\n")[:-1]
    faults = (folder / "faults.copy").read_bytes().decode().split("\n")[:-1]
    assert summary["rows"] == len(accepted) + summary["rejected"]
    assert bool(faults) == bool(summary["rejected"])
    assert len({line.count("\t") for line in accepted}) <= 1
    assert all("\0" not in line for line in (*accepted, *faults))


@law
@given(rows, st.sampled_from(",;\t|"))
def test_any_table_is_rows_faults_or_refused(
    folder: Path, table: list[list[str]], delimiter: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([HEADER, *table])

    _read(folder, text.getvalue().encode("utf-8", "surrogatepass"))


@law
@given(st.binary() | anything.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_after_a_header_are_rows_faults_or_refused(folder: Path, content: bytes) -> None:
    _read(folder, ",".join(HEADER).encode() + b"\n" + content)


@law
@given(st.binary() | st.text('{}[]":,\\\n\r\t;|a1é').map(str.encode))
def test_any_bytes_are_a_file_or_refused(folder: Path, content: bytes) -> None:
    try:
        assert file_format(content) in ("csv", "geojson")
    except InvalidInput as refused:
        assert refused.faults[0].pointer == "/file"
    else:
        _read(folder, content)


@law
@given(st.lists(features | json_values(), max_size=4), st.integers(0, 40), st.booleans())
def test_any_collection_is_rows_faults_or_refused(
    folder: Path, items: list[Any], cut: int, is_ascii: bool
) -> None:
    text = json.dumps({"type": "FeatureCollection", "features": items}, ensure_ascii=is_ascii)
    content = text.encode("utf-8", "surrogatepass")

    _read(folder, content[: len(content) - cut])


@law
@given(
    st.dictionaries(
        st.sampled_from(["lon", "external_id", "tags"]),
        st.lists(st.sampled_from(HEADER)),
        max_size=3,
    )
)
def test_any_mapping_is_followed_or_refused(folder: Path, mapping: dict[str, list[str]]) -> None:
    content = f"{','.join(HEADER)}\nG1,a,1,2,A,t,,x\n".encode()

    _read(folder, content, mapping=mapping)


@law
@given(
    st.dictionaries(
        st.sampled_from(["kind", "mapping", "on_error", "dry_run"]) | anything,
        st.sampled_from(["customers", "skip", "true", '{"lon": "x"}']) | anything
        | json_values().map(json.dumps),
        max_size=5,
    )
)  # fmt: skip
def test_any_form_is_a_request_or_refused(members: dict[str, str]) -> None:
    try:
        request = read_request(members)
    except InvalidInput as refused:
        assert all(fault.pointer for fault in refused.faults)
    else:
        assert request.kind in KINDS
        assert set(request.columns) <= {field.name for field in KINDS[request.kind].fields}


FIELDS = [field for kind in KINDS.values() for field in kind.fields if field.type != "coordinate"]


@law
@given(st.sampled_from(FIELDS), st.lists(cells, max_size=6))
def test_any_column_has_a_value_or_a_finding_for_each_cell(field: Any, column: list[str]) -> None:
    values, findings = read_column(field, [cell.strip() for cell in column])

    assert len(values) == len(column)
    assert all(0 <= found.at < len(column) and found.field == field.name for found in findings)
    wrong = {found.at for found in findings}
    for at, value in enumerate(values):
        if field.type == "number" and at not in wrong and value != NULL:
            assert math.isfinite(float(value))
            assert field.at_least <= float(value) <= field.at_most


@law
@given(st.sampled_from([f for f in FIELDS if f.type == "number"]), st.lists(st.floats(0, 300)))
def test_numbers_are_read_as_they_are_written(field: Any, given_: list[float]) -> None:
    values, _ = read_numbers(field, [repr(number) for number in given_])

    np.testing.assert_array_equal(values, given_)
