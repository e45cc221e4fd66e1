"""Polygons and barriers out of GeoJSON that strangers sent.

The document comes parsed; it is walked here by hand to a fixed depth, and only plain lists of
checked numbers reach GEOS, which crashes on deep nesting. Faults name their place as a JSON
pointer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import shapely
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Polygon

from geo.antimeridian import Polygonal, onto_one_map
from geo.errors import GeometryError
from geo.sphere import FloatArray
from geo.validity import made_valid, refuse_invalid

DEFAULT_MAX_VERTICES = 50_000

_Mend = Callable[[Polygonal, str], Polygonal]

Barrier = LineString | MultiLineString | Polygonal

_TYPES = frozenset(
    {
        "Feature",
        "FeatureCollection",
        "GeometryCollection",
        "LineString",
        "MultiLineString",
        "MultiPoint",
        "MultiPolygon",
        "Point",
        "Polygon",
    }
)
_CRS84 = frozenset({"OGC:CRS84", "CRS84", "EPSG:4326", "WGS84", "URN:OGC:DEF:CRS:OGC:1.3:CRS84"})
_MIN_RING_POSITIONS = 4
_POLYGONS = ("Polygon", "MultiPolygon")
_LINES = ("LineString", "MultiLineString")


@dataclass(frozen=True, slots=True)
class Repair:
    """What was wrong with a shape before it was made valid, as its refusal would have said it."""

    code: str
    message: str
    pointer: str


def polygon_from_geojson(obj: Any, max_vertices: int = DEFAULT_MAX_VERTICES) -> Polygonal:
    """The polygon of a GeoJSON Polygon, MultiPolygon, Feature, or collection of one Feature.

    The answer is valid, has shells counter-clockwise and holes clockwise whatever came in
    (RFC 7946 §3.1.6 tells readers not to reject either), lies within ±180 degrees, and has no
    heights. An edge longer than 180 degrees of longitude is read the shorter way round, across
    the antimeridian, as PostGIS geography and Elasticsearch do; one of exactly 360 is the edge
    of the whole world. What crosses is cut.

    Parameters
    ----------
    obj
        A document as ``json.loads`` gives it.
    max_vertices
        The most positions all rings may have together; counted before any is looked at.

    Raises
    ------
    GeometryError
        With a JSON pointer to the fault. Structure: ``not_an_object``, ``unknown_type``,
        ``not_a_polygon``, ``no_geometry``, ``not_one_feature``, ``bad_feature``, ``bad_bbox``,
        ``foreign_crs``, ``bad_coordinates``, ``too_many_vertices``. Positions:
        ``not_finite``, ``out_of_range`` (with ``would_swap``). Rings: ``ring_too_short``,
        ``ring_not_closed``, ``encloses_pole``. Shape: ``self_intersection`` and the other
        reasons of `geo.validity`, with ``lon`` and ``lat`` of the place.
    """
    return _polygon_from_geojson(obj, max_vertices, _refused)


def polygons_from_geojson(
    objs: Sequence[Any], max_vertices: int = DEFAULT_MAX_VERTICES
) -> list[Polygonal]:
    """The polygon of each of several objects, as `polygon_from_geojson` reads it.

    ``max_vertices`` is for all of them together; pointers begin with the index of the object.

    Raises
    ------
    GeometryError
        As `polygon_from_geojson`, at the first object that cannot be used.
    """
    polygons: list[Polygonal] = []
    n_before = 0
    for index, obj in enumerate(objs):
        try:
            polygons.append(polygon_from_geojson(obj, max_vertices - n_before))
        except GeometryError as error:
            message = error.message
            if error.code == "too_many_vertices" and n_before > 0:
                message += f" after the {n_before:,} of those before"
            pointer = f"/{index}{error.pointer}"
            raise GeometryError(error.code, message, pointer, **error.facts) from None
        n_before += _n_positions(obj)
    return polygons


def _n_positions(obj: Any) -> int:
    """How many positions a polygon was given with, repeated ones too."""
    geometry, _ = _find_geometry(obj, _POLYGONS, "not_a_polygon")
    coordinates = geometry["coordinates"]
    parts = [coordinates] if geometry["type"] == "Polygon" else coordinates
    return sum(len(ring) for part in parts for ring in part)


def repaired_polygon_from_geojson(
    obj: Any, max_vertices: int = DEFAULT_MAX_VERTICES
) -> tuple[Polygonal, list[Repair]]:
    """The polygon of a GeoJSON object as `polygon_from_geojson` reads it, made valid if need be.

    Where edges cross or overlap, rings become the ground that they enclose, and holes are taken
    off (``make_valid`` by structure in GEOS); pieces without area are dropped. What was repaired
    is told, part by part. Rings that are no rings, and positions that are none, are refused still.

    Raises
    ------
    GeometryError
        As `polygon_from_geojson`, except for faults of shape; ``no_area`` when nothing is left.
    """
    repairs: list[Repair] = []

    def mend(shape: Polygonal, pointer: str) -> Polygonal:
        try:
            refuse_invalid(shape, pointer)
        except GeometryError as error:
            mended = made_valid(shape)
            if mended.area == 0.0:
                raise
            repairs.append(Repair(error.code, error.message, error.pointer))
            return mended
        return shape

    return _polygon_from_geojson(obj, max_vertices, mend), repairs


def _polygon_from_geojson(obj: Any, max_vertices: int, mend: _Mend) -> Polygonal:
    geometry, pointer = _find_geometry(obj, _POLYGONS, "not_a_polygon")
    on_map = onto_one_map(_polygonal(geometry, pointer, max_vertices, mend))
    return shapely.orient_polygons(mend(on_map, f"{pointer}/coordinates"))


def _refused(shape: Polygonal, pointer: str) -> Polygonal:
    refuse_invalid(shape, pointer)
    return shape


def barrier_from_geojson(obj: Any, max_vertices: int = DEFAULT_MAX_VERTICES) -> Barrier:
    """The lines or polygons of a GeoJSON object, wrapped as `polygon_from_geojson` allows.

    For `geo.barriers.crossed_links`. Polygons are those of `polygon_from_geojson`. Lines run on
    past ±180 where they cross the antimeridian the shorter way round; repeated positions and
    heights are dropped.

    Raises
    ------
    GeometryError
        As `polygon_from_geojson`, but ``not_a_barrier`` for other types, and for lines
        ``line_too_short``.
    """
    geometry, pointer = _find_geometry(obj, _LINES + _POLYGONS, "not_a_barrier")
    if geometry["type"] in _POLYGONS:
        return polygon_from_geojson(obj, max_vertices)
    coordinates, pointer = geometry.get("coordinates"), f"{pointer}/coordinates"
    if geometry["type"] == "LineString":
        if not isinstance(coordinates, list):
            raise GeometryError("bad_coordinates", "a list of positions is needed here", pointer)
        _check_nesting([[coordinates]], pointer, max_vertices, is_multi=False)
        return _line(coordinates, pointer)
    _check_nesting([coordinates], pointer, max_vertices, is_multi=False)
    lines = cast("list[list[Any]]", coordinates)
    found = [_line(line, f"{pointer}/{index}") for index, line in enumerate(lines)]
    return found[0] if len(found) == 1 else MultiLineString(found)


def _polygonal(
    geometry: Mapping[str, Any], pointer: str, max_vertices: int, mend: _Mend
) -> Polygonal:
    """The polygons of a geometry object, valid each, with longitudes that may run past ±180."""
    coordinates, pointer = geometry.get("coordinates"), f"{pointer}/coordinates"
    parts = [coordinates] if geometry["type"] == "Polygon" else coordinates
    _check_nesting(parts, pointer, max_vertices, is_multi=geometry["type"] == "MultiPolygon")
    polygons: list[Polygon] = []
    for index, part in enumerate(cast("list[Any]", parts)):
        part_pointer = pointer if geometry["type"] == "Polygon" else f"{pointer}/{index}"
        polygons += shapely.get_parts(mend(_polygon(part, part_pointer), part_pointer)).tolist()
    if not polygons:
        raise GeometryError("bad_coordinates", "a polygon without rings", pointer)
    return polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)


def _find_geometry(
    obj: Any, wanted: tuple[str, ...], refusal: str
) -> tuple[Mapping[str, Any], str]:
    """The geometry object inside its wrappings, at most two deep, and where it stands."""
    pointer = ""
    document = _checked_object(obj, pointer)
    if document["type"] == "FeatureCollection":
        features = document.get("features")
        if not isinstance(features, list) or len(features) != 1:
            raise GeometryError(
                "not_one_feature", "a collection must hold one feature here", "/features"
            )
        pointer = "/features/0"
        document = _checked_object(features[0], pointer)
        if document["type"] != "Feature":
            raise GeometryError("bad_feature", "a collection holds features only", pointer)
    if document["type"] == "Feature":
        _check_feature(document, pointer)
        pointer += "/geometry"
        document = _checked_object(document["geometry"], pointer)
    if document["type"] not in wanted:
        raise GeometryError(
            refusal,
            f"a {', '.join(wanted[:-1])} or {wanted[-1]} is needed, this is a {document['type']}",
            f"{pointer}/type",
        )
    return document, pointer


def _checked_object(obj: Any, pointer: str) -> Mapping[str, Any]:
    if not isinstance(obj, Mapping):
        raise GeometryError("not_an_object", "a GeoJSON object is needed here", pointer)
    if not isinstance(obj.get("type"), str) or obj["type"] not in _TYPES:
        raise GeometryError("unknown_type", "no GeoJSON type is given here", f"{pointer}/type")
    _check_bbox(obj, pointer)
    _check_crs(obj, pointer)
    return obj


def _check_feature(feature: Mapping[str, Any], pointer: str) -> None:
    if "properties" not in feature or not isinstance(feature["properties"], Mapping | None):
        raise GeometryError(
            "bad_feature", "properties must be an object or null", f"{pointer}/properties"
        )
    if "id" in feature and not (isinstance(feature["id"], str) or _is_number(feature["id"])):
        raise GeometryError("bad_feature", "id must be a text or a number", f"{pointer}/id")
    if feature.get("geometry") is None:
        raise GeometryError("no_geometry", "the feature has no geometry", f"{pointer}/geometry")


def _check_bbox(obj: Mapping[str, Any], pointer: str) -> None:
    if "bbox" not in obj:
        return
    bbox = obj["bbox"]
    if not isinstance(bbox, list) or len(bbox) not in (4, 6) or not all(map(_is_number, bbox)):
        raise GeometryError("bad_bbox", "bbox must be four or six numbers", f"{pointer}/bbox")


def _check_crs(obj: Mapping[str, Any], pointer: str) -> None:
    """Refuse any reference system but WGS 84; RFC 7946 §4 has no other."""
    crs = obj.get("crs")
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    name = properties.get("name") if isinstance(properties, Mapping) else None
    known = str(name).upper().replace("URN:OGC:DEF:CRS:EPSG::", "EPSG:")
    if known not in _CRS84:
        raise GeometryError(
            "foreign_crs", "coordinates must be WGS 84 longitude and latitude", f"{pointer}/crs"
        )


def _check_nesting(parts: Any, pointer: str, max_vertices: int, *, is_multi: bool) -> None:
    """Refuse anything but lists of lists of lists, and too many positions in them."""
    n_vertices = 0
    if not isinstance(parts, list):
        raise GeometryError("bad_coordinates", "a list of polygons is needed here", pointer)
    for i, part in enumerate(parts):
        part_pointer = f"{pointer}/{i}" if is_multi else pointer
        if not isinstance(part, list) or not part:
            raise GeometryError("bad_coordinates", "a list of rings is needed here", part_pointer)
        for j, ring in enumerate(part):
            if not isinstance(ring, list):
                raise GeometryError(
                    "bad_coordinates", "a list of positions is needed here", f"{part_pointer}/{j}"
                )
            n_vertices += len(ring)
    if n_vertices > max_vertices:
        raise GeometryError(
            "too_many_vertices",
            f"{n_vertices:,} vertices, {max_vertices:,} are allowed",
            pointer,
            n_vertices=n_vertices,
            max_vertices=max_vertices,
        )


def _polygon(rings: list[Any], pointer: str) -> Polygon:
    """One polygon, valid or not, whose longitudes may run past ±180."""
    arrays = [_ring(ring, f"{pointer}/{index}") for index, ring in enumerate(rings)]
    west, east = arrays[0][:, 0].min(), arrays[0][:, 0].max()
    for hole in arrays[1:]:
        # A hole may have been written from the other side of the antimeridian.
        hole[:, 0] += 360.0 * np.ceil((west - hole[:, 0].max()) / 360.0)
        hole[:, 0] -= 360.0 * np.ceil((hole[:, 0].min() - east) / 360.0)
    return Polygon(arrays[0], arrays[1:])


def _ring(positions: list[Any], pointer: str) -> FloatArray:
    """A closed ring without repeated vertices, unrolled across the antimeridian."""
    ring = _positions(positions, pointer)
    n_different = len(np.unique(ring[:, 0] + 1j * ring[:, 1]))
    if len(ring) < _MIN_RING_POSITIONS or n_different < _MIN_RING_POSITIONS - 1:
        raise GeometryError(
            "ring_too_short", "a ring needs three different vertices and the first again", pointer
        )
    if not np.array_equal(ring[0], ring[-1]):
        raise GeometryError(
            "ring_not_closed",
            "the last position of a ring must repeat the first",
            f"{pointer}/{len(ring) - 1}",
        )
    steps = np.diff(ring[:, 0])
    is_long = (np.abs(steps) > 180.0) & (np.abs(steps) < 360.0)
    steps[is_long] -= np.copysign(360.0, steps[is_long])
    turns = np.round((ring[0, 0] + np.cumsum(steps) - ring[1:, 0]) / 360.0) * 360.0
    if turns[-1] != 0.0:
        raise GeometryError(
            "encloses_pole",
            "the ring runs round a pole; cut it at the antimeridian and lead it over the pole",
            pointer,
        )
    ring[1:, 0] += turns
    moves = np.append(True, np.any(np.diff(ring, axis=0) != 0.0, axis=1))
    return cast("FloatArray", ring[moves])


def _line(positions: list[Any], pointer: str) -> LineString:
    """A line without repeated vertices, unrolled across the antimeridian."""
    line = _positions(positions, pointer)
    steps = np.diff(line[:, 0])
    is_long = (np.abs(steps) > 180.0) & (np.abs(steps) < 360.0)
    line[1:, 0] -= 360.0 * np.cumsum(np.where(is_long, np.sign(steps), 0.0))
    moves = np.append(True, np.any(np.diff(line, axis=0) != 0.0, axis=1))
    if np.count_nonzero(moves[: len(line)]) < 2:
        raise GeometryError("line_too_short", "a line needs two different positions", pointer)
    return LineString(line[moves])


def _positions(positions: list[Any], pointer: str) -> FloatArray:
    """Longitudes and latitudes, (n, 2); heights and further numbers are dropped."""
    for index, position in enumerate(positions):
        if (
            not isinstance(position, list)
            or len(position) < 2
            or not all(map(_is_number, position))
        ):
            raise GeometryError(
                "bad_coordinates", "a position is two or three numbers", f"{pointer}/{index}"
            )
    points = np.array([_as_floats(position) for position in positions]).reshape(-1, 2)
    # The comparison is false for NaN too.
    is_on_earth = np.all(np.abs(points) <= [180.0, 90.0], axis=1)
    if not is_on_earth.all():
        index = int(np.argmin(is_on_earth))
        lon, lat = points[index].tolist()
        _refuse_position(lon, lat, f"{pointer}/{index}")
    return points


def _as_floats(position: list[Any]) -> tuple[float, float]:
    try:
        return float(position[0]), float(position[1])
    except OverflowError:
        # An integer of hundreds of digits.
        return math.inf, math.inf


def _refuse_position(lon: float, lat: float, pointer: str) -> None:
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise GeometryError("not_finite", "longitude and latitude must be finite", pointer)
    would_swap = abs(lon) <= 90.0 and abs(lat) <= 180.0
    hint = "; swapping them would fix it" if would_swap else ""
    raise GeometryError(
        "out_of_range",
        f"longitude {lon:g} or latitude {lat:g} is not on Earth{hint}",
        pointer,
        would_swap=would_swap,
    )


def _is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int
