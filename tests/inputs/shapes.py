"""Shapes that are none, or too much of one, wherever a request takes a polygon."""

import json
from collections.abc import Iterator
from typing import Any

from tests.inputs.bombs import FENCES, PLANS, Bomb


def polygon(*rings: list[Any]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
GEOMETRIES: dict[str, tuple[Any, str]] = {
    "a bow-tie": (polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]), "/coordinates"),
    "an open ring": (polygon([[0, 0], [1, 0], [1, 1], [0, 1]]), "/coordinates/0/3"),
    "no rings": (polygon(), "/coordinates"),
    "an empty ring": (polygon([]), "/coordinates/0"),
    "a ring of one point": (polygon([[0, 0]]), "/coordinates/0"),
    "a ring of one point four times": (polygon([[0, 0]] * 4), "/coordinates/0"),
    "a ring of two points": (polygon([[0, 0], [1, 1], [0, 0], [0, 0]]), "/coordinates/0"),
    "no area": (polygon([[0, 0], [1, 1], [2, 2], [0, 0]]), "/coordinates"),
    "a hole outside": (polygon(SQUARE, [[x + 5, y] for x, y in SQUARE]), "/coordinates"),
    "lat, lon": (polygon([[31, 121], [31, 122], [32, 122], [31, 121]]), "/coordinates/0/0"),
    "longitude 181": (polygon([[181, 0], [1, 0], [1, 1], [181, 0]]), "/coordinates/0/0"),
    "a position of one number": (polygon([[0], [1, 0], [1, 1], [0]]), "/coordinates/0/0"),
    "texts for numbers": (polygon([["0", "0"], [1, 0], [1, 1], ["0", "0"]]), "/coordinates/0/0"),
    "truth for numbers": (polygon([[False, 0], [1, 0], [1, 1], [0, 0]]), "/coordinates/0/0"),
    "a number for coordinates": ({"type": "Polygon", "coordinates": 7}, "/coordinates"),
    "no coordinates": ({"type": "Polygon"}, "/coordinates"),
    "a point": ({"type": "Point", "coordinates": [0, 0]}, "/type"),
    "no type": ({}, "/type"),
    "a list for a type": ({"type": ["Polygon"]}, "/type"),
    "a ring round a pole": (polygon([[0, 80], [120, 80], [-120, 80], [0, 80]]), "/coordinates/0"),
    "Gauss-Krüger": (
        {**polygon(SQUARE), "crs": {"type": "name", "properties": {"name": "EPSG:31467"}}}, "/crs"
    ),
}  # fmt: skip


def circle(n_vertices: int) -> bytes:
    """Return a ring of so many positions, about 40 bytes each; its shape is of no matter."""
    positions = ",".join(
        f"[{i % 180}.1234567890123,{i % 90}.123456789012]" for i in range(n_vertices)
    )
    return f'{{"type": "Polygon", "coordinates": [[{positions}]]}}'.encode()  # fmt: skip


IMPORT = "/v1/geofences:import"
# In a file of fences a point is a circle, if it has a radius.
ELSEWHERE = {(IMPORT, "a point"): "/features/0/properties/radius_m"}


def _geometries() -> Iterator[Bomb]:
    frames = (
        (FENCES, '{"name": "b", "geometry": %s}', "/geometry"),
        (PLANS, '{"layer_id": 1, "n_territories": 1, "region": %s}', "/region"),
        (PLANS, '{"layer_id": 1, "n_territories": 1, "keep_together": [{"area": %s}]}',
         "/keep_together/0/area"),
        (PLANS, '{"layer_id": 1, "n_territories": 1, "barriers": [{"geometry": %s}]}',
         "/barriers/0/geometry"),
        ("/v1/search/polygon", '{"geometry": %s}', "/geometry"),
        ("/v1/search/polygon:batch", '{"areas": [%s]}', "/areas/0"),
        (IMPORT,
         '{"type": "FeatureCollection", "features": [{"type": "Feature",'
         ' "properties": {"name": "b"}, "geometry": %s}]}',
         "/features/0/geometry"),
    )  # fmt: skip
    for target, frame, pointer in frames:
        where = f"at {target}{pointer}"
        for name, (geometry, place) in GEOMETRIES.items():
            yield Bomb(
                f"{name} {where}",
                target,
                lambda f=frame, g=geometry: (f % json.dumps(g)).encode(),  # type: ignore[misc]
                (422,),
                ELSEWHERE.get((target, name), pointer + place),
            )
        yield Bomb(
            f"50,001 vertices {where}",
            target,
            lambda f=frame: f.encode() % circle(50_001),
            (422,),  # type: ignore[misc]
            pointer + "/coordinates",
        )
        yield Bomb(f"a million vertices {where}", target,
                   lambda f=frame: f.encode() % circle(1_000_000), (413,))  # type: ignore[misc]  # fmt: skip


SHAPES: list[Bomb] = list(_geometries())
