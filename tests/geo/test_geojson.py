import json
import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.errors import GeometryError
from geo.geojson import barrier_from_geojson, polygon_from_geojson
from tests.geo.instances import law

SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def refusal(obj, **limits):
    with pytest.raises(GeometryError) as caught:
        polygon_from_geojson(obj, **limits)
    return caught.value


def test_polygons_are_read_from_geometries_features_and_collections_of_one():
    feature = {"type": "Feature", "properties": None, "geometry": polygon(SQUARE)}
    collection = {"type": "FeatureCollection", "features": [feature]}
    for obj in (polygon(SQUARE), feature, collection):
        assert polygon_from_geojson(obj).equals(shapely.box(0, 0, 2, 2))
    multi = {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[x + 5, y] for x, y in SQUARE]]]}
    assert polygon_from_geojson(multi).area == 8


def test_rings_are_turned_the_right_way_whatever_came_in():
    hole = [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 0.5]]
    for outer in (SQUARE, SQUARE[::-1]):
        for inner in (hole, hole[::-1]):
            found = polygon_from_geojson(polygon(outer, inner))
            assert found.exterior.is_ccw
            assert not found.interiors[0].is_ccw


def test_heights_and_repeated_vertices_are_dropped():
    ring = [[*SQUARE[0], 7], SQUARE[1], SQUARE[1], *SQUARE[2:4], [*SQUARE[4], 7]]
    found = polygon_from_geojson(polygon(ring))
    assert not found.has_z
    assert shapely.get_num_coordinates(found) == 5


@pytest.mark.parametrize(
    ("position", "code", "would_swap"),
    [
        ([math.nan, 0], "not_finite", None),
        ([0, -math.inf], "not_finite", None),
        ([10**400, 0], "not_finite", None),
        ([0, 95], "out_of_range", True),
        ([181, 0], "out_of_range", False),
        ([39.9, 116.4], "out_of_range", True),
        ([True, 0], "bad_coordinates", None),
        (["0", 0], "bad_coordinates", None),
        ([0], "bad_coordinates", None),
        (None, "bad_coordinates", None),
        ([[0, 0]], "bad_coordinates", None),
    ],
)
def test_bad_positions_are_refused_at_their_place(position, code, would_swap):
    error = refusal(polygon(SQUARE, [[1, 1], [1.5, 1], position, [1, 1]]))
    assert error.code == code
    assert error.pointer == "/coordinates/1/2"
    assert error.facts.get("would_swap") is would_swap
    assert ("swapping" in error.message) is bool(would_swap)


@pytest.mark.parametrize(
    ("rings", "code", "pointer"),
    [
        ([SQUARE[:4]], "ring_not_closed", "/coordinates/0/3"),
        ([[[0, 0], [1, 1], [0, 0]]], "ring_too_short", "/coordinates/0"),
        ([[[0, 0], [1, 1], [0, 0], [0, 0]]], "ring_too_short", "/coordinates/0"),
        ([[]], "ring_too_short", "/coordinates/0"),
        ([], "bad_coordinates", "/coordinates"),
        ([[[0, 0], [1, 1], [2, 2], [0, 0]]], "self_intersection", "/coordinates"),
        ([[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]], "self_intersection", "/coordinates"),
        (
            [SQUARE, [[5, 5], [6, 5], [6, 6], [5, 5]]],
            "hole_outside_shell",
            "/coordinates",
        ),
    ],
)
def test_bad_rings_are_refused_with_the_reason(rings, code, pointer):
    error = refusal(polygon(*rings))
    assert (error.code, error.pointer) == (code, pointer)


def test_a_self_intersection_says_where():
    error = refusal(polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]))
    assert (error.facts["lon"], error.facts["lat"]) == (1.0, 1.0)


def test_overlapping_parts_and_a_shell_in_a_shell_are_refused():
    shifted = [[x + 1, y + 1] for x, y in SQUARE]
    inner = [[x / 4 + 0.5, y / 4 + 0.5] for x, y in SQUARE]
    for other, code in ((shifted, "self_intersection"), (inner, "nested_shells")):
        error = refusal({"type": "MultiPolygon", "coordinates": [[SQUARE], [other]]})
        assert error.code == code


@pytest.mark.parametrize(
    "obj",
    [
        None,
        [],
        "Polygon",
        {},
        {"type": 3},
        {"type": ["Polygon"]},
        {"type": "polygon", "coordinates": [SQUARE]},
        {"type": "Polygon"},
        {"type": "Polygon", "coordinates": {}},
        {"type": "MultiPolygon", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": [SQUARE]},
        {"type": "Point", "coordinates": [1, 2]},
        {"type": "Feature", "properties": {}},
        {"type": "Feature", "properties": {}, "geometry": None},
        {"type": "Feature", "properties": {}, "geometry": {"type": "Feature"}},
        {"type": "FeatureCollection", "features": []},
        {"type": "FeatureCollection", "features": [polygon(SQUARE)]},
        {"type": "GeometryCollection", "geometries": [polygon(SQUARE)]},
        {**polygon(SQUARE), "crs": {"type": "name", "properties": {"name": "EPSG:3857"}}},
        {**polygon(SQUARE), "crs": "somewhere"},
        {**polygon(SQUARE), "bbox": [1, 2, 3]},
    ],
)
def test_what_is_no_polygon_is_refused_with_a_code(obj):
    error = refusal(obj)
    assert error.code
    assert error.message


def test_old_names_of_wgs_84_are_accepted():
    for name in ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"):
        crs = {"type": "name", "properties": {"name": name}}
        assert polygon_from_geojson({**polygon(SQUARE), "crs": crs}).area == 4


def test_nesting_is_refused_before_anything_native_sees_it():
    deep = []
    for _ in range(40_000):
        deep = [deep]
    collection = {"type": "GeometryCollection", "geometries": []}
    for _ in range(40_000):
        collection = {"type": "GeometryCollection", "geometries": [collection]}
    assert refusal({"type": "Polygon", "coordinates": deep}).code in (
        "bad_coordinates",
        "ring_too_short",
    )
    assert refusal({"type": "MultiPolygon", "coordinates": deep}).code == "bad_coordinates"
    assert refusal(collection).code == "not_a_polygon"


def test_too_many_vertices_are_refused_before_they_are_looked_at():
    error = refusal(polygon([None] * 11), max_vertices=10)
    assert error.code == "too_many_vertices"
    assert error.facts == {"n_vertices": 11, "max_vertices": 10}


def test_a_polygon_across_the_antimeridian_is_read_the_shorter_way_and_cut():
    fiji = [[177.9, -18], [-179.8, -18], [-179.8, -16], [177.9, -16], [177.9, -18]]
    island = [[179.5, -17.5], [-179.9, -17.5], [-179.9, -17], [179.5, -17], [179.5, -17.5]]
    expected = shapely.MultiPolygon(
        [shapely.box(177.9, -18, 180, -16), shapely.box(-180, -18, -179.8, -16)]
    )
    assert polygon_from_geojson(polygon(fiji)).equals_exact(
        expected, tolerance=1e-9, normalize=True
    )
    assert polygon_from_geojson(polygon(fiji, island)).area == pytest.approx(4.6 - 0.3)


def test_a_hole_written_from_the_other_side_is_still_in_its_shell():
    shell = [[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]]
    hole = [[-175, 2], [-172, 2], [-172, 4], [-175, 4], [-175, 2]]
    assert polygon_from_geojson(polygon(shell, hole)).area == pytest.approx(200 - 6)


def test_the_whole_world_is_a_polygon_and_a_ring_round_a_pole_is_not():
    world = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]
    assert polygon_from_geojson(polygon(world)).area == 360 * 180
    ring = [[lon, 80] for lon in (-150, -50, 50, 150)]
    assert refusal(polygon([*ring, ring[0]])).code == "encloses_pole"


@law
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(
                st.sampled_from(["type", "coordinates", "geometry", "features", "bbox", "crs"]),
                inner,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["Polygon", "MultiPolygon", "Feature", "FeatureCollection"]),
)
def test_no_document_gets_past_the_reader_but_as_a_valid_polygon(inner, kind):
    for obj in (inner, {"type": kind, "coordinates": inner, "geometry": inner, "features": inner}):
        try:
            found = polygon_from_geojson(obj)
        except GeometryError:
            continue
        assert found.is_valid


@law
@given(
    st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=3, max_size=7),
)
def test_any_ring_is_refused_or_read_as_a_valid_polygon_on_the_map(points):
    ring = [list(point) for point in [*points, points[0]]]
    try:
        found = polygon_from_geojson(polygon(ring))
    except GeometryError:
        return
    assert found.is_valid
    assert found.area > 0
    assert np.all(np.abs(found.bounds) <= [180, 90, 180, 90])


def test_every_invalid_file_of_the_collection_is_refused(shared_data):
    folder = shared_data / "geojson_validity"
    files = sorted(folder.glob("invalid_*/*.geojson"))
    if not files:
        pytest.skip(f"needs {folder}")
    # Winding is put right, not refused (RFC 7946 §3.1.6).
    winding = {"invalid_exterior_not_ccw.geojson", "invalid_interior_not_cw.geojson"}
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"))
        if file.name in winding:
            assert polygon_from_geojson(document).exterior.is_ccw
        else:
            assert refusal(document).message


def test_every_valid_polygon_of_the_collection_is_accepted(shared_data):
    folder = shared_data / "geojson_validity"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    polygons = {
        "valid_feature_null_properties.geojson",
        "valid_featurecollection.geojson",
        "valid_geometry_bbox.geojson",
        "valid_geometry_multipolygon.geojson",
        "valid_geometry_polygon.geojson",
    }
    for file in sorted(folder.glob("valid/*.geojson")):
        document = json.loads(file.read_text(encoding="utf-8"))
        if file.name in polygons:
            assert polygon_from_geojson(document).is_valid
        else:
            expected = ("not_a_polygon", "no_geometry", "not_one_feature")
            assert refusal(document).code in expected


def line(*positions):
    return {"type": "LineString", "coordinates": list(positions)}


def barrier_refusal(obj, **limits):
    with pytest.raises(GeometryError) as caught:
        barrier_from_geojson(obj, **limits)
    return caught.value


def test_barriers_are_lines_or_polygons_in_the_same_wrappings():
    feature = {"type": "Feature", "properties": None, "geometry": line([0, 0], [1, 2, 7])}
    for obj in (line([0, 0], [0, 0], [1, 2]), feature):
        assert barrier_from_geojson(obj).equals_exact(shapely.LineString([(0, 0), (1, 2)]))
    several = {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[2, 2], [3, 3]]]}
    assert len(barrier_from_geojson(several).geoms) == 2
    assert barrier_from_geojson(polygon(SQUARE)).equals(polygon_from_geojson(polygon(SQUARE)))


def test_lines_run_on_across_the_antimeridian_in_both_directions():
    east = barrier_from_geojson(line([179, 0], [-179, 1], [-178, 2], [179, 3]))
    assert shapely.get_coordinates(east)[:, 0].tolist() == [179, 181, 182, 179]
    west = barrier_from_geojson(line([-179, 0], [179, 1]))
    assert shapely.get_coordinates(west)[:, 0].tolist() == [-179, -181]


@pytest.mark.parametrize(
    ("obj", "code", "pointer"),
    [
        ({"type": "Point", "coordinates": [0, 0]}, "not_a_barrier", "/type"),
        (line([0, 0]), "line_too_short", "/coordinates"),
        (line(), "line_too_short", "/coordinates"),
        (line([0, 0], [0, 0]), "line_too_short", "/coordinates"),
        (line([0, 0], [0, 95]), "out_of_range", "/coordinates/1"),
        (line([0, 0], [[0, 0]]), "bad_coordinates", "/coordinates/1"),
        ({"type": "LineString", "coordinates": 3}, "bad_coordinates", "/coordinates"),
        ({"type": "LineString"}, "bad_coordinates", "/coordinates"),
        ({"type": "MultiLineString"}, "bad_coordinates", "/coordinates"),
        ({"type": "MultiLineString", "coordinates": []}, "bad_coordinates", "/coordinates"),
        ({"type": "MultiLineString", "coordinates": [3]}, "bad_coordinates", "/coordinates/0"),
        (
            {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[0, math.nan]]]},
            "not_finite",
            "/coordinates/1/0",
        ),
        (polygon(SQUARE[:4]), "ring_not_closed", "/coordinates/0/3"),
        (None, "not_an_object", ""),
    ],
)
def test_bad_barriers_are_refused_at_their_place(obj, code, pointer):
    error = barrier_refusal(obj)
    assert (error.code, error.pointer) == (code, pointer)


def test_barriers_of_too_many_vertices_are_refused():
    assert barrier_refusal(line(*[[0, 0]] * 11), max_vertices=10).code == "too_many_vertices"
    several = {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]]] * 6}
    assert barrier_refusal(several, max_vertices=10).facts["n_vertices"] == 12
