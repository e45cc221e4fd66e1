"""Options of `bailiwick design` that hold more than one value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from app.cli import wishes

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
RIVER = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], str]:
    """Write a value as JSON, or bytes as they are, and return the name of the file."""

    def write(content: Any) -> str:
        path = tmp_path / "wish.json"
        path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("read", "text", "wish"),
    [
        (wishes.by_measure, "0.1", ("work_minutes", 0.1)),
        (wishes.by_measure, "customers=none", ("customers", None)),
        (wishes.limit, "customers=200..", ("customers", {"min": 200.0})),
        (wishes.limit, "customers=..9", ("customers", {"max": 9.0})),
        (wishes.numbers, "1,2.5", [1.0, 2.5]),
        (wishes.words, "a, b,,c", ["a", "b", "c"]),
        (wishes.centre, "T01=1,2", {"territory": "T01", "lon": 1.0, "lat": 2.0}),
        (wishes.centre, "T01=1,2,0.5", {"territory": "T01", "lon": 1.0, "lat": 2.0, "pull": 0.5}),
        (wishes.lock, "T01=a,b", {"territory": "T01", "cells": ["a", "b"]}),
        (wishes.locked_territories, "7:T01,T02", {"plan_id": 7, "codes": ["T01", "T02"]}),
        (wishes.groups, "a,b", [{"cells": ["a", "b"]}]),
        (wishes.bridge, "x=1,2:3,4", {"name": "x", "from": [1.0, 2.0], "to": [3.0, 4.0]}),
    ],
)
def test_an_option_is_read_as_the_member_of_a_request(
    read: Callable[[str], Any], text: str, wish: Any
) -> None:
    assert read(text) == wish


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (wishes.by_measure, "sales=0.1"),
        (wishes.by_measure, "much"),
        (wishes.limit, "customers"),
        (wishes.limit, "customers=.."),
        (wishes.limit, "customers=few.."),
        (wishes.numbers, "1,,2"),
        (wishes.centre, "T01=1"),
        (wishes.centre, "T01=1,2,3,4"),
        (wishes.lock, "T01"),
        (wishes.locked_territories, "T01"),
        (wishes.locked_territories, "first:T01"),
        (wishes.bridge, "1,2:3,4"),
        (wishes.bridge, "x=1,2"),
        (wishes.barriers, "no-such-file"),
        (wishes.geometry, "no-such-file"),
        (wishes.document, "no-such-file"),
    ],
)
def test_an_option_of_another_form_is_refused(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read(text)


@pytest.mark.parametrize("content", [b'["a", "b"]', b"a\nb\n", b"a, b"])
def test_words_come_from_a_file_as_a_list_or_line_by_line(
    file: Callable[[Any], str], content: bytes
) -> None:
    assert wishes.words(file(content)) == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        RIVER,
        {"type": "Feature", "geometry": RIVER, "properties": None},
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "geometry": RIVER, "properties": {}}],
        },
    ],
)
def test_a_barrier_is_a_geometry_a_feature_or_one_of_a_collection(
    file: Callable[[Any], str], content: Any
) -> None:
    assert wishes.barriers(file(content)) == [{"geometry": RIVER, "name": ""}]


def test_a_border_to_avoid_keeps_its_name_and_takes_a_strength(file: Callable[[Any], str]) -> None:
    name = file({"type": "Feature", "geometry": RIVER, "properties": {"name": "Main"}})

    assert wishes.discouraged(name) == [{"geometry": RIVER, "name": "Main"}]
    assert wishes.discouraged(f"{name}:3") == [{"geometry": RIVER, "name": "Main", "strength": 3}]


def test_a_group_may_be_an_area(file: Callable[[Any], str]) -> None:
    assert wishes.flattened(wishes.groups, [file(SQUARE), "a"]) == [
        {"area": SQUARE},
        {"cells": ["a"]},
    ]


@pytest.mark.parametrize(
    "content", [[], {"type": "Feature"}, 3, {"type": "Feature", "geometry": 1}]
)
def test_a_file_that_is_no_geojson_is_refused_by_name(
    file: Callable[[Any], str], content: Any
) -> None:
    with pytest.raises(typer.BadParameter, match=r"wish\.json is no GeoJSON"):
        wishes.barriers(file(content))


def test_a_file_that_is_no_json_is_refused_by_name(file: Callable[[Any], str]) -> None:
    with pytest.raises(typer.BadParameter, match=r"wish\.json is no JSON"):
        wishes.document(file(b"{"))


def test_a_request_is_an_object(file: Callable[[Any], str]) -> None:
    assert wishes.document(file({"n_territories": 3})) == {"n_territories": 3}
    with pytest.raises(typer.BadParameter, match="no JSON object"):
        wishes.document(file([1]))


def test_a_region_is_one_geometry(file: Callable[[Any], str]) -> None:
    assert wishes.geometry(file(SQUARE)) == SQUARE
    two = [{"type": "Feature", "geometry": SQUARE, "properties": {}}] * 2
    with pytest.raises(typer.BadParameter, match="2 geometries"):
        wishes.geometry(file({"type": "FeatureCollection", "features": two}))
