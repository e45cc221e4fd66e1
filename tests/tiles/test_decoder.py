"""What our tests read tiles with, held to the published fixtures of the format."""

import csv
import json
from itertools import islice
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest
import shapely

# Of an unknown type, and with more points promised than there are: the decoder refuses them, and
# none of our tiles is like them.
REFUSED = {"039", "057"}
MOVE_TO, CLOSE_PATH = 1, 7
POINT, LINE = 1, 2


def parts_of(commands: list[int]) -> list[list[tuple[int, int]]]:
    """The places of a geometry by the specification (version 2.1, section 4.3), y downwards.

    Each part begins where the pen is moved; a closed one ends where it began.
    """
    parts: list[list[tuple[int, int]]] = []
    x = y = 0
    numbers = iter(commands)
    for command in numbers:
        action, count = command & 7, command >> 3
        if action == CLOSE_PATH:
            parts[-1].append(parts[-1][0])
            continue
        for _ in range(count):
            dx, dy = ((n >> 1) ^ -(n & 1) for n in islice(numbers, 2))
            x, y = x + dx, y + dy
            if action == MOVE_TO:
                parts.append([])
            parts[-1].append((x, y))
    return parts


def geometry_of(feature: dict[str, Any]) -> shapely.Geometry:
    """The geometry that a fixture states; all its polygons are single rings."""
    parts = parts_of(feature["geometry"])
    if feature["type"] == POINT:
        return _alone(shapely.MultiPoint([place for part in parts for place in part]))
    if feature["type"] == LINE:
        return _alone(shapely.MultiLineString(parts))
    return _alone(shapely.MultiPolygon([shapely.Polygon(ring) for ring in parts]))


def _alone(several: Any) -> shapely.Geometry:
    return several.geoms[0] if len(several.geoms) == 1 else several


def properties_of(layer: dict[str, Any], feature: dict[str, Any]) -> dict[str, Any]:
    """The properties that a fixture states; the single member of a value tells its type."""
    tags = feature.get("tags", [])
    values = [next(iter(value.values())) for value in layer.get("values", [])]
    return {
        layer["keys"][key]: values[value] for key, value in zip(tags[::2], tags[1::2], strict=True)
    }


def stated(layer: dict[str, Any]) -> list[tuple[int, dict[str, Any], shapely.Geometry]]:
    return [
        (feature["id"], properties_of(layer, feature), geometry_of(feature))
        for feature in layer["features"]
    ]


def test_the_decoder_reads_every_valid_tile_of_the_fixtures(shared_data: Path) -> None:
    folder = shared_data / "mvt_fixtures"
    with (folder / "index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    read = n_features = 0
    for row in index:
        if not json.loads(row["validity"]).get("v2") or row["fixture"] in REFUSED:
            continue
        fixture = folder / "fixtures" / row["fixture"]
        expected = json.loads((fixture / "tile.json").read_text())

        decoded = mapbox_vector_tile.decode(
            (fixture / "tile.mvt").read_bytes(), default_options={"y_coord_down": True}
        )

        names = [layer["name"] for layer in expected.get("layers", [])]
        assert sorted(decoded) == sorted(names), row["fixture"]
        for layer in expected.get("layers", []):
            found = decoded[layer["name"]]
            assert found.get("extent", 4096) == layer.get("extent", 4096), row["fixture"]
            features = stated(layer)
            assert len(found["features"]) == len(features), row["fixture"]
            for feature, (number, properties, geometry) in zip(
                found["features"], features, strict=True
            ):
                assert feature["id"] == number, row["fixture"]
                # Of single precision in one of them.
                assert feature["properties"] == pytest.approx(properties), row["fixture"]
                shape = shapely.geometry.shape(feature["geometry"])
                assert shape.equals_exact(geometry, 0), row["fixture"]
                n_features += 1
        read += 1
    assert read >= 20
    assert n_features >= 30


@pytest.mark.parametrize("damage", [b"\x1a", b"\x1a\xff\xff\xff\xff\x0f", b"no tile at all"])
def test_the_decoder_notices_what_is_no_tile(damage: bytes) -> None:
    with pytest.raises(Exception, match=r"."):
        mapbox_vector_tile.decode(damage)
