"""Which resolution an answer takes: never more cells than a client can draw."""

from app.activity.rollup import COARSEST, FINEST
from app.db.scope import Scope
from app.db.session import AnySession
from app.errors import Fault, InvalidInput
from app.heatmap.repository import MAX_CELLS, HeatRequest, read_heat
from geo.tiles import resolution_for_zoom

# At resolution 4 the whole Earth's land is a few ten thousand cells; finer ones need a box.
FINEST_WITHOUT_BOX = 4


async def heat_for_zoom(session: AnySession, scope: Scope, wanted: HeatRequest, zoom: int) -> bytes:
    """Return the document for a zoom, coarser than usual where the box holds too many cells."""
    resolution = max(COARSEST, resolution_for_zoom(zoom, FINEST))
    _require_box(wanted, resolution)
    _, body = await _finest_that_fits(session, scope, wanted, resolution)
    return body


async def heat_at_resolution(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int
) -> bytes:
    """Return the document at exactly this resolution.

    Raises
    ------
    InvalidInput
        When the box holds too many cells; it names the finest resolution that fits.
    """
    _require_box(wanted, resolution)
    fitting, body = await _finest_that_fits(session, scope, wanted, resolution)
    if fitting < resolution:
        detail = (
            f"at resolution {resolution} there are more than {MAX_CELLS:,} cells; "
            f"the finest that fits is {fitting}"
        )
        raise InvalidInput(
            "The answer would be too large.", [Fault("too-many-cells", detail, "/query/resolution")]
        )
    return body


async def _finest_that_fits(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int
) -> tuple[int, bytes]:
    body = await read_heat(session, scope, wanted, resolution)
    while body is None:
        resolution -= 1
        body = await read_heat(session, scope, wanted, resolution)
    return resolution, body


def _require_box(wanted: HeatRequest, resolution: int) -> None:
    if wanted.bbox is None and resolution > FINEST_WITHOUT_BOX:
        detail = f"needed at resolutions above {FINEST_WITHOUT_BOX}; this is {resolution}"
        raise InvalidInput("A bbox is needed.", [Fault("missing", detail, "/query/bbox")])
