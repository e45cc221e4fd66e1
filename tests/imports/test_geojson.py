"""GeoJSON: features as rows, and files that try to break the reader."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.imports.geojson_reader import DEEPEST, GuardedFile
from tests.imports.conftest import Reading

OPEN = '{"type":"FeatureCollection","features":['


def feature(place: object, **properties: Any) -> dict[str, Any]:
    geometry = place if isinstance(place, dict | None) else {"type": "Point", "coordinates": place}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_the_place_of_a_feature_in_the_file_is_its_row_number(reading: Reading) -> None:
    parsed = reading(
        collection(
            feature([121, 31], id="a"),
            feature(None, id="b"),
            feature({"type": "Poly\0gon", "coordinates": []}, id="c"),
            feature([31, 121], id="d"),
            "no feature",
            feature(["east", 31], id="e", potential=-1),
            feature([0, 0, 12.5], id="f"),
        )
    )

    assert parsed.faults == [
        (2, "lon", "missing"),
        (2, "lat", "missing"),
        (3, "geometry", "geometry"),
        (4, "lat", "swapped"),
        (5, "\\N", "feature"),
        (6, "potential", "out-of-range"),
        (6, "lon", "number"),
    ]
    assert [(row[0], row[1]) for row in parsed.rows] == [("1", "a"), ("7", "f")]


def test_the_id_of_a_feature_serves_where_no_property_does(reading: Reading) -> None:
    parsed = reading(collection({**feature([1, 2], name="x"), "id": 17}))

    assert parsed.rows[0][1:3] == ["17", "x"]


def test_properties_keep_their_types_as_attributes(reading: Reading) -> None:
    given_ = {"n": 4, "f": 0.5, "t": "007", "b": False, "o": {"a": [1]}, "e": "", "z": None}

    parsed = reading(collection(feature([1, 2], id="a", **given_)))

    assert parsed.attributes(0) == {"n": 4, "f": 0.5, "t": "007", "b": False, "o": '{"a":[1]}'}


def test_properties_that_appear_late_are_taken_too(reading: Reading) -> None:
    parsed = reading(collection(feature([1, 2], id="a"), feature([1, 2], id="b", tags=["x", "y"])))

    assert parsed.summary["mapping"]["tags"] == "tags"
    assert [row[5] for row in parsed.rows] == ["", "x;y"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("[1, 2]", "file-type"),
        ('{"a": 1}', "file-type"),
        (json.dumps(feature([1, 2], id=1)), "file-type"),
        (json.dumps(feature([1, 2], id=1)) + "\n" + json.dumps(feature([1, 2])), "file-type"),
        ('{"type": "Topology", "features": []}', "file-type"),
        (collection(), "empty"),
        (OPEN + json.dumps(feature([1, 2], id=1)), "json"),
        (OPEN + "nonsense]}", "json"),
        (OPEN + "[" * 100_000, "too-deep"),
        (OPEN + '{"properties":{"a":' * 1000, "too-deep"),
        (OPEN + '{"properties":{"a":"' + '\\"x' * 3_000_000 + '"}}]}', "too-long"),
        (collection(feature([1, 2], name="no id")), "missing-column"),
        (
            collection(*(feature([1, 2], **{f"p{i}": 1, "id": i}) for i in range(600))),
            "too-many-columns",
        ),
        ('{"type": "\\u0000\\u202e", "features": []}', "file-type"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    refusal: Callable[..., str], content: str, code: str
) -> None:
    assert refusal(content) == code


def test_brackets_in_strings_are_no_depth(reading: Reading) -> None:
    parsed = reading(collection(feature([1, 2], id="a", note='[{"\\' * 500)))

    assert parsed.faults == []


documents = st.recursive(
    st.text('a"\\[]{}', max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\[', max_size=3), inner),
    max_leaves=20,
)


@given(document=documents, extra=st.integers(DEEPEST - 12, DEEPEST + 2), size=st.integers(1, 30))
def test_the_depth_counted_in_bytes_is_the_depth_of_the_document(
    document: Any, extra: int, size: int
) -> None:
    for _ in range(extra):
        document = [document]
    guard = GuardedFile(io.BytesIO(json.dumps(document).encode()))

    def read_all() -> None:
        while guard.read(size):
            pass

    if _depth(document) > DEEPEST:
        with pytest.raises(InvalidInput):
            read_all()
    else:
        read_all()


@given(
    st.text(st.characters(exclude_categories=[])),
    st.text('\ud83d\ude00\\"\n客a', max_size=12),
    st.integers(1, 40),
)
def test_half_a_surrogate_pair_is_refused_wherever_blocks_end(
    long: str, short: str, size: int
) -> None:
    content = json.dumps([long, short])
    guard = GuardedFile(io.BytesIO(content.encode()))

    def read_all() -> None:
        while guard.read(size):
            pass

    try:
        json.dumps(json.loads(content), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        with pytest.raises(InvalidInput):
            read_all()
    else:
        read_all()


def _depth(document: Any) -> int:
    if isinstance(document, dict):
        document = list(document.values())
    return 1 + max(map(_depth, document), default=0) if isinstance(document, list) else 0
