"""Which resolution an answer takes, and what is refused: never more than can be drawn or summed."""

import asyncio
from dataclasses import replace

from app.db.heat_counts import is_summed, refuse_too_many
from app.db.heat_sums import COARSEST, FINEST
from app.db.scope import Scope
from app.db.session import AnySession
from app.errors import Fault, Forbidden, InvalidInput
from app.heatmap import history, repository
from app.heatmap.document import Floats, Freshness, Heat, write_document
from app.heatmap.hot_spots import gi_star, with_margin
from app.heatmap.request import EVERY_CUSTOMER, HeatRequest
from geo.bbox import BoundingBox
from geo.cells import CellArray
from geo.cover import are_touching
from geo.tiles import resolution_for_zoom

# At resolution 4 the whole Earth's land is a few ten thousand cells; finer ones need a box.
FINEST_WITHOUT_BOX = 4
EVERYWHERE = BoundingBox(-180, -90, 180, 90)


async def heat_for_zoom(
    session: AnySession, scope: Scope, wanted: HeatRequest, zoom: int, fresh: Freshness
) -> bytes:
    """Return the document for a zoom, coarser than usual where the box holds too many cells."""
    finest = history.FINEST_HISTORY if wanted.measure == "change" else FINEST
    resolution = max(COARSEST, resolution_for_zoom(zoom, finest))
    await _check(session, scope, wanted, resolution)
    _, body = await _finest_that_fits(session, scope, wanted, resolution, fresh)
    return body


async def heat_at_resolution(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int, fresh: Freshness
) -> bytes:
    """Return the document at exactly this resolution.

    Raises
    ------
    InvalidInput
        When the box holds too many cells; it names the finest resolution that fits.
    """
    if wanted.measure == "change" and resolution > history.FINEST_HISTORY:
        detail = f"history is kept at resolution {history.FINEST_HISTORY}, the finest for changes"
        raise InvalidInput("Too fine.", [Fault("too-fine", detail, "/query/resolution")])
    await _check(session, scope, wanted, resolution)
    fitting, body = await _finest_that_fits(session, scope, wanted, resolution, fresh)
    if fitting < resolution:
        detail = (
            f"at resolution {resolution} there are more than {repository.MAX_CELLS:,} cells; "
            f"the finest that fits is {fitting}"
        )
        raise InvalidInput(
            "The answer would be too large.", [Fault("too-many-cells", detail, "/query/resolution")]
        )
    return body


async def _finest_that_fits(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int, fresh: Freshness
) -> tuple[int, bytes]:
    while resolution > COARSEST:
        body = await _read(session, scope, wanted, resolution, fresh)
        if body is not None:
            return resolution, body
        resolution -= 1
    body = await _read(session, scope, wanted, resolution, fresh)
    assert body is not None, "the Earth has 5,882 cells at the coarsest resolution"
    return resolution, body


async def _read(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int, fresh: Freshness
) -> bytes | None:
    if wanted.measure == "change":
        heat = await history.read_change(session, wanted, resolution)
    elif wanted.measure == "hot_spot":
        heat = await _hot_spots(session, scope, wanted, resolution)
    else:
        return await repository.read_heat(session, scope, wanted, resolution, fresh)
    if heat is None:
        return None
    return await asyncio.to_thread(write_document, wanted, heat, resolution, fresh)


async def _hot_spots(
    session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int
) -> Heat | None:
    area = with_margin(wanted.bbox or EVERYWHERE, resolution, wanted.rings)
    found = await repository.read_values(session, scope, wanted, resolution, area)
    return None if found is None else await asyncio.to_thread(_scored, wanted, resolution, *found)


def _scored(wanted: HeatRequest, resolution: int, cells: CellArray, values: Floats) -> Heat:
    scores = gi_star(cells, values, wanted.rings)
    if wanted.bbox is not None:
        is_seen = are_touching(cells, resolution, wanted.bbox)
        cells, scores = cells[is_seen], scores[is_seen]
    return Heat(cells, scores, None)


async def _check(session: AnySession, scope: Scope, wanted: HeatRequest, resolution: int) -> None:
    """Refuse what would take too long, and history that is not there."""
    if wanted.bbox is None and resolution > FINEST_WITHOUT_BOX:
        detail = f"needed at resolutions above {FINEST_WITHOUT_BOX}; this is {resolution}"
        raise InvalidInput("A bbox is needed.", [Fault("missing", detail, "/query/bbox")])
    if wanted.measure == "change":
        await _check_history(session, scope, wanted)
    elif not await is_summed(session, scope, wanted.customers):
        await refuse_too_many(
            session, scope, wanted.customers, wanted.bbox, resolution, "/query/bbox"
        )


async def _check_history(session: AnySession, scope: Scope, wanted: HeatRequest) -> None:
    if not scope.is_unlimited:
        # Cells straddle territories, and what was a rep's own then is not known any more.
        raise Forbidden("History is kept for whole cells, which hold customers of others.")
    rolled_up = replace(
        EVERY_CUSTOMER, classes=wanted.customers.classes, segments=wanted.customers.segments
    )
    if wanted.customers != rolled_up:
        detail = "history is kept by class and segment; no other filter is possible"
        raise InvalidInput("Not kept.", [Fault("not-kept", detail, "/query/measure")])
    if wanted.since is None:
        fault = Fault("missing", "needed with measure=change, as in 2026-01", "/query/from")
        raise InvalidInput("A change begins in a month.", [fault])
    if wanted.until is not None and wanted.until < wanted.since:
        fault = Fault("order", "must not be before `from`", "/query/to")
        raise InvalidInput("The months are in the wrong order.", [fault])
    for month, name in ((wanted.since, "from"), (wanted.until, "to")):
        if month is not None and not await history.has_month(session, month):
            first, last = await history.months_kept(session)
            kept = f"the kept ones are {first:%Y-%m} to {last:%Y-%m}" if first else "none is kept"
            detail = f"there is no picture of {month:%Y-%m}; {kept}"
            raise InvalidInput("Not kept.", [Fault("not-kept", detail, f"/query/{name}")])
