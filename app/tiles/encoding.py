"""Layers written by PostGIS from what is placed on the tile already, in its whole units.

Places, shapes and properties are sent as arrays, a value each for every feature; ST_AsMVT makes the
tile of them. It leaves out properties without a value.
"""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    LargeBinary,
    TableValuedAlias,
    func,
    literal_column,
    select,
)

from app.db.prepared import Prepared, left_open, open_table, written
from app.db.session import AnyReader, rows
from app.tiles.grid import EXTENT


def of_points(**types: Any) -> TableValuedAlias:
    """Return the features of `encoding_points`, with columns of further types, all left open."""
    return open_table("feature", x=Double, y=Double, **types)


def of_shapes(**types: Any) -> TableValuedAlias:
    """Return the features of `encoding_shapes`, with columns of further types, all left open."""
    return open_table("feature", begins=Integer, length=Integer, **types)


def encoding_points(
    layer: str, features: TableValuedAlias, *properties: ColumnElement[Any]
) -> Prepared:
    """Return the statement for a layer of points, sent as `placed` writes them."""
    return _encoding(layer, func.ST_MakePoint(features.c.x, features.c.y), properties)


def encoding_shapes(
    layer: str, features: TableValuedAlias, *properties: ColumnElement[Any]
) -> Prepared:
    """Return the statement for a layer of shapes, sent as `packed` writes them."""
    # One value and where in it each shape begins: an array of as many takes the driver far longer.
    packed, at = left_open("shapes", LargeBinary()), features.c
    shape = func.ST_GeomFromWKB(func.substring(packed, at.begins, at.length))
    return _encoding(layer, shape, properties)


def hexadecimal(cell: ColumnElement[int]) -> ColumnElement[str]:
    """Return an H3 cell as everybody else writes it."""
    return func.to_hex(cell).label("cell")


def placed(places: NDArray[np.int64]) -> dict[str, Any]:
    """Return places (n, 2) in units of the tile as `encoding_points` takes them."""
    return {"x": written(places[:, 0]), "y": written(places[:, 1])}


def packed(shapes: NDArray[np.object_]) -> dict[str, Any]:
    """Return shapes (n,) in units of the tile as `encoding_shapes` takes them."""
    each = shapely.to_wkb(shapes).tolist()
    lengths = np.array([len(one) for one in each])
    begins = np.cumsum(lengths) - lengths + 1
    return {"shapes": b"".join(each), "begins": written(begins), "length": written(lengths)}


async def encode(reader: AnyReader, statement: Prepared, features: dict[str, Any]) -> bytes:
    """Return the tile that a statement of this module writes of some features."""
    ((tile,),) = await rows(reader, statement, **features)
    return bytes(tile or b"")


def _encoding(
    layer: str, geometry: ColumnElement[Any], properties: tuple[ColumnElement[Any], ...]
) -> Prepared:
    tile = select(geometry.label("geom"), *properties).subquery("tile")
    encoded = func.ST_AsMVT(literal_column("tile"), layer, EXTENT, "geom")
    return Prepared(select(encoded).select_from(tile))
