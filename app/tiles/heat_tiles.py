"""Tiles of heat: hexagons with the sums of their customers."""

from app.db.customer_filter import CustomerFilter
from app.db.heat import COARSEST, FINEST, Measure, Sums, read_around
from app.db.scope import Scope
from app.db.session import AnyReader
from app.tiles.apart import apart
from app.tiles.grid import EXTENT, MARGIN, MAX_BYTES, ground
from geo import mvt
from geo.tile_shapes import cells_on_tile
from geo.tiles import resolution_for_zoom

LAYER = "heat"
# More would be too large anyway: a cell takes 40 to 90 bytes.
MOST_CELLS = 12_000


async def read_tile(
    reader: AnyReader,
    scope: Scope,
    measure: Measure,
    wanted: CustomerFilter,
    tile: tuple[int, int, int],
    fewest: int,
) -> bytes:
    """Return the tile of heat, empty when none is there; cells with less than `fewest` are not."""
    drawn = b""
    finest = max(COARSEST, resolution_for_zoom(tile[0], FINEST))
    for resolution in range(finest, COARSEST - 1, -1):
        sums = await read_around(
            reader, scope, measure, wanted, resolution, ground(*tile), fewest, MOST_CELLS
        )
        if sums is None:
            continue
        drawn = await apart(len(sums.cells), _drawn, tile, sums, measure)
        if len(drawn) <= MAX_BYTES:
            break
    return drawn


def _drawn(tile: tuple[int, int, int], sums: Sums, measure: Measure) -> bytes:
    shapes, shown = cells_on_tile(tile, EXTENT, MARGIN, sums.cells)
    here = Sums(sums.cells[shown], sums.customers[shown], sums.amounts[shown])
    properties = {
        "cell": mvt.cells(here.cells),
        "customers": mvt.counts(here.customers),
        "value": mvt.doubles(here.amounts / here.weights(measure)),
    }
    return mvt.layer(LAYER, EXTENT, shapes, properties)
