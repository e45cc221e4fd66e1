"""Arrays written as tiles by PostGIS, read back by somebody else's decoder."""

from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from sqlalchemy import BigInteger, Double

from app.db.prepared import written
from app.db.session import Database
from app.tiles.encoding import (
    encode,
    encoding_points,
    encoding_shapes,
    hexadecimal,
    of_points,
    of_shapes,
    packed,
    placed,
)
from app.tiles.grid import EXTENT
from geo.cells import cells_from_points, cells_to_text

POINTS = of_points(number=BigInteger, amount=Double, told=BigInteger)
ENCODED_POINTS = encoding_points("l", POINTS, POINTS.c.number, POINTS.c.amount, POINTS.c.told)
SHAPES = of_shapes(cell=BigInteger)
ENCODED_SHAPES = encoding_shapes("l", SHAPES, hexadecimal(SHAPES.c.cell))


def read(tile: bytes) -> list[dict[str, Any]]:
    layer = mapbox_vector_tile.decode(tile, default_options={"y_coord_down": True})["l"]
    assert (layer["extent"], layer["version"]) == (EXTENT, 2)
    features: list[dict[str, Any]] = layer["features"]
    return features


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_written_of_points_is_read_again_in_order(
    database: Database, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 2_000))
    at = rng.integers(-(2**14), 2**14, (n, 2))
    numbers = rng.integers(0, 2 ** rng.integers(1, 60), n)
    amounts = rng.choice([0.0, -1.5, 1e300, rng.random()], n)
    is_told = rng.random(n) < 0.5

    async with database.glancing() as glance:
        values = {
            "number": written(numbers), "amount": written(amounts, is_told),
            "told": written(numbers, is_told),
        }  # fmt: skip
        found = read(await encode(glance, ENCODED_POINTS, {**placed(at), **values}))

    assert [feature["geometry"]["coordinates"] for feature in found] == at.tolist()
    for i, feature in enumerate(found):
        expected: dict[str, Any] = {"number": int(numbers[i])}
        if is_told[i]:
            expected |= {"amount": float(amounts[i]), "told": int(numbers[i])}
        assert feature["properties"] == expected
        assert {type(value) for value in feature["properties"].values()} <= {int, float}


async def test_what_is_written_of_shapes_is_read_again_in_order(database: Database) -> None:
    rng = np.random.default_rng(1)
    cells = np.unique(cells_from_points(rng.uniform(-180, 180, 300), rng.uniform(-80, 80, 300), 7))
    low = rng.integers(0, 4000, (len(cells), 2))
    shapes: Any = shapely.box(*low.T, *(low + rng.integers(1, 90, (len(cells), 2))).T)
    apart = shapely.box(-9, -9, -5, -5)
    shapes[::7] = shapely.multipolygons([[shape, apart] for shape in shapes[::7]])

    async with database.glancing() as glance:
        values = {**packed(shapes), "cell": written(cells)}
        found = read(await encode(glance, ENCODED_SHAPES, values))

    assert [feature["properties"]["cell"] for feature in found] == list(cells_to_text(cells))
    for feature, shape in zip(found, shapes, strict=True):
        drawn = shapely.geometry.shape(feature["geometry"])
        assert (drawn.geom_type, drawn.equals(shape)) == (shape.geom_type, True)
