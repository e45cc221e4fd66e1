"""Tiles of heat: hexagons with the sums of their customers."""

from typing import Any

from sqlalchemy import BigInteger, Double

from app.db.customer_filter import CustomerFilter
from app.db.heat import read_around
from app.db.heat_counts import refuse_too_many
from app.db.heat_sums import COARSEST, FINEST, Measure, Sums
from app.db.prepared import written
from app.db.scope import Scope
from app.db.session import AnyReader
from app.tiles.apart import apart
from app.tiles.encoding import encode, encoding_shapes, hexadecimal, of_shapes, packed
from app.tiles.grid import EXTENT, MARGIN, MAX_BYTES, ground
from geo.tile_shapes import cells_on_tile
from geo.tiles import resolution_for_zoom

LAYER = "heat"
# More would be too large anyway: a cell takes 40 to 90 bytes.
MOST_CELLS = 12_000
SUMS = of_shapes(cell=BigInteger, customers=BigInteger, value=Double)
ENCODED = encoding_shapes(LAYER, SUMS, hexadecimal(SUMS.c.cell), SUMS.c.customers, SUMS.c.value)


async def read_tile(
    reader: AnyReader,
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    tile: tuple[int, int, int],
    fewest: int,
) -> bytes:
    """Return the tile of heat, empty when none is there; cells with less than `fewest` are not.

    Raises
    ------
    InvalidInput
        When filters that no sums are kept by would have too many customers read one by one.
    """
    drawn = b""
    finest = max(COARSEST, resolution_for_zoom(tile[0], FINEST))
    if wanted != CustomerFilter(classes=wanted.classes, segments=wanted.segments):
        await refuse_too_many(reader, scope, wanted, ground(*tile), finest, "/path/z")
    for resolution in range(finest, COARSEST - 1, -1):
        sums = await read_around(
            reader, scope, measure, wanted, resolution, ground(*tile), fewest, MOST_CELLS
        )
        if sums is None:
            continue
        if len(sums.cells) == 0:
            return b""
        placed = await apart(len(sums.cells), _placed, tile, sums, measure)
        drawn = await encode(reader, ENCODED, placed)
        if len(drawn) <= MAX_BYTES:
            break
    return drawn


def _placed(tile: tuple[int, int, int], sums: Sums, measure: Measure) -> dict[str, Any]:
    shapes, shown = cells_on_tile(tile, EXTENT, MARGIN, sums.cells)
    here = sums.only(shown)
    return {
        **packed(shapes),
        "cell": written(here.cells),
        "customers": written(here.customers),
        "value": written(here.amounts / here.weights(measure)),
    }
