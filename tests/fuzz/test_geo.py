"""Boxes, tiles, polygons and certificates of strangers: read, or refused with a reason."""

# A law says of each input what holds where it is read, and what where it is refused.
# ruff: noqa: PT017

import json
import math
from typing import Any

import pytest
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st

from geo.bbox import BoundingBox
from geo.certificate_checker import UnreadableError, check, read
from geo.errors import CoordinateError, GeometryError, TileError
from geo.geojson import barrier_from_geojson, polygon_from_geojson
from geo.tiles import MAX_LATITUDE, MAX_ZOOM, tile_at, tile_bounds
from tests.fuzz.laws import anything, json_values, law, numbers

lons, lats = st.floats(-180, 180), st.floats(-90, 90)
SHAPES = ("Polygon", "MultiPolygon", "LineString", "MultiLineString", "Point")
positions = st.lists(numbers | st.floats(-200, 200), min_size=0, max_size=4)
on_earth = st.tuples(lons, lats).map(list)
rings = st.lists(on_earth | positions, max_size=8).map(lambda ring: ring + ring[:1])
geometries = st.fixed_dictionaries(
    {"type": st.sampled_from(SHAPES)},
    optional={
        "coordinates": st.one_of(
            rings, st.lists(rings, max_size=3), st.lists(st.lists(rings, max_size=3), max_size=3),
            json_values(),
        ),
        "bbox": json_values(numbers),
        "crs": json_values(),
    },
)  # fmt: skip
features = st.fixed_dictionaries(
    {"type": st.just("Feature")},
    optional={
        "geometry": geometries | json_values(),
        "properties": json_values(),
        "id": json_values(),
    },
)
documents = st.one_of(
    geometries,
    features,
    st.builds(
        lambda items: {"type": "FeatureCollection", "features": items},
        st.lists(features | json_values(), max_size=2) | json_values(),
    ),
    json_values(),
)


@law
@given(lons, lats, lons, lats)
def test_a_box_is_read_as_it_is_written(west: float, a: float, east: float, b: float) -> None:
    box = BoundingBox(west, min(a, b), east, max(a, b))

    assert BoundingBox.parse(",".join(map(repr, box.as_tuple()))) == box


@law
@given(anything | st.lists(numbers.map(str) | anything, max_size=6).map(",".join))
def test_any_text_is_a_box_or_refused(text: str) -> None:
    try:
        box = BoundingBox.parse(text)
    except CoordinateError as refused:
        assert refused.code.startswith("bbox_")
    else:
        assert all(map(math.isfinite, box.as_tuple()))
        assert -90 <= box.south <= box.north <= 90
        assert box.polygon().is_valid or box.west == box.east or box.south == box.north


@law
@given(st.integers(), st.integers(), st.integers())
def test_any_address_is_a_tile_or_refused(z: int, x: int, y: int) -> None:
    try:
        box = tile_bounds(z, x, y)
    except TileError as refused:
        assert refused.code == "no_such_tile"
        assert not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z)
    else:
        assert box.west < box.east


@law
@given(st.integers(0, MAX_ZOOM), lons, lats)
def test_a_point_lies_in_its_tile(z: int, lon: float, lat: float) -> None:
    assume(abs(lat) < MAX_LATITUDE)

    box = tile_bounds(*tile_at(lon, lat, z))

    assert box.west - 1e-9 <= lon <= box.east + 1e-9
    assert box.south - 1e-9 <= lat <= box.north + 1e-9


@law
@given(documents)
def test_any_document_is_a_polygon_or_refused_with_its_place(document: Any) -> None:
    try:
        area = polygon_from_geojson(document)
    except GeometryError as refused:
        assert refused.code
        assert _resolves(document, refused.pointer), refused.pointer
    else:
        assert area.is_valid
        assert area.area > 0
        west, south, east, north = area.bounds
        assert west >= -180
        assert east <= 180
        assert south >= -90
        assert north <= 90
        again = polygon_from_geojson(json.loads(shapely.to_geojson(area)))
        assert again.normalize().equals_exact(area.normalize(), 1e-9)


@law
@given(documents)
def test_any_document_is_a_barrier_or_refused_with_its_place(document: Any) -> None:
    try:
        barrier = barrier_from_geojson(document)
    except GeometryError as refused:
        assert refused.code
        assert _resolves(document, refused.pointer), refused.pointer
    else:
        assert not barrier.is_empty
        assert all(map(math.isfinite, barrier.bounds))


def _resolves(document: Any, pointer: str) -> bool:
    """Tell whether a pointer leads into the document, or to a member that is missing."""
    *path, last = pointer.split("/") if pointer else [""]
    for part in path[1:]:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return not path or isinstance(document, dict) or int(last) < max(len(document), 1)


CERTIFICATE: dict[str, Any] = {
    "format": "bailiwick-certificate", "version": 1, "measures": ["customers"],
    "cells": ["862830807ffffff", "862830827ffffff"], "territory": [0, 0], "parent": [-1, 0],
    "territories": [
        {"code": "T01", "n_cells": 2, "sums": [2.0], "targets": [2.0], "imbalance": [0.0],
         "centre": [0.0, 0.0], "centre_cell": None, "given": None, "price": 0.0},
    ],
    "objective": {"name": "moment_of_inertia", "weight": "customers", "value": 1.0, "bound": None,
                  "gap": None},
    "projection": {"name": "lambert_azimuthal_equal_area", "lon": 0.0, "lat": 0.0,
                   "radius_m": 6371007.0},
    "tolerances": [0.05], "limits": [{"min": None, "max": None}], "totals": [2.0], "cut_edges": 0,
    "activity": {"customers": [1.0, 1.0]}, "bridges": [], "forbidden": [], "violations": [],
    "not_proven": [],
}  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path]
    for name, item in inner if isinstance(value, dict | list) else ():
        found += _places(item, (*path, name)) if isinstance(item, dict | list) else [(*path, name)]
    return found


@st.composite
def damaged_certificates(draw: st.DrawFn) -> dict[str, Any]:
    """A certificate with some members replaced by anything."""
    document = json.loads(json.dumps(CERTIFICATE))
    for path in draw(st.lists(st.sampled_from(_places(CERTIFICATE)[1:]), min_size=1, max_size=3)):
        owner = document
        try:
            for name in path[:-1]:
                owner = owner[name]
            owner[path[-1]] = draw(numbers | json_values())
        except (TypeError, KeyError, IndexError):
            continue  # replaced by an earlier damage
    return document


def test_the_certificate_that_is_damaged_here_can_be_read() -> None:
    assert check(read(json.dumps(CERTIFICATE).encode()))["n_cells"] == 2


@law
@given(damaged_certificates())
@example({**CERTIFICATE, "totals": [10**400]})
def test_any_damaged_certificate_is_judged_or_unreadable(document: dict[str, Any]) -> None:
    try:
        certificate = read(json.dumps(document).encode())
    except UnreadableError as refused:
        assert str(refused)
        return
    assert check(certificate)["verdict"] in ("holds", "does not hold")


@law
@given(st.binary() | json_values().map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_no_certificate(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(data)
