"""Drawing the tile that was asked for."""

from dataclasses import dataclass

from app.auth import Caller
from app.db.session import AnyReader
from app.tiles import cell_tiles, customer_tiles, fence_tiles, heat_tiles, territory_tiles
from app.tiles.plan_cells import KnownPlans
from app.tiles.plans import ShownPlan
from app.tiles.tilesets import Asked


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tile, what its query says, the plan it shows, and who is to see it."""

    name: str
    place: tuple[int, int, int]
    asked: Asked
    plan: ShownPlan | None
    caller: Caller


async def draw(reader: AnyReader, known: KnownPlans, wanted: Wanted) -> bytes:
    """Return a tile as the caller may see it, empty when nothing is there."""
    scope, plan, fewest = wanted.caller.scope, wanted.plan, wanted.caller.fewest_shown
    if wanted.name == "geofences":
        return await fence_tiles.read_tile(reader, *wanted.place)
    if wanted.name == "customers":
        return await customer_tiles.read_tile(reader, scope, plan, *wanted.place, fewest)
    is_lasting = wanted.asked.v is not None
    if wanted.name == "territories":
        if plan is None:
            return b""
        return await territory_tiles.read_tile(
            reader, scope, plan.id, *wanted.place, fewest=fewest, names_owners=not is_lasting
        )
    if wanted.name == "heat":
        asked = wanted.asked
        return await heat_tiles.read_tile(
            reader, scope, asked.measure, asked.customers, wanted.place, fewest
        )
    if plan is None:
        return b""
    counted = None if is_lasting else fewest
    return await cell_tiles.read_tile(reader, known, scope, plan, wanted.place, counted)
