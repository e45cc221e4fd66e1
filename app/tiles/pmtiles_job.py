"""The run that writes the territories and cells of a plan as one PMTiles file (version 3)."""

import asyncio
import gzip
import hashlib
import io
from typing import Any

import numpy as np
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from sqlalchemy import delete, insert

from app.auth import FEWEST_SHOWN
from app.db.scope import EVERYTHING
from app.db.session import AnySession, Database
from app.db.tables import Artifact
from app.errors import NotFound
from app.jobs.runs import RunContext
from app.tiles import cell_tiles, territory_tiles
from app.tiles.grid import EXTENT, MARGIN
from app.tiles.plan_cells import KnownPlans, PlanCells
from app.tiles.plans import ShownPlan, find_plan
from app.tiles.schemas import CELLS, TERRITORIES, WORLD
from geo.tile_shapes import cell_boxes, tiles_touching
from geo.tiles import resolution_for_zoom

KIND = "pmtiles"
MEDIA_TYPE = "application/vnd.pmtiles"
FINEST_ZOOM = 10
# Drawn in one transaction; the plan does not change meanwhile.
TILES_AT_ONCE = 100

Tile = tuple[int, int, int]


def file_name(plan_id: int) -> str:
    """Return the name of the file of a plan."""
    return f"plan-{plan_id}.pmtiles"


async def run_pmtiles(context: RunContext) -> None:
    """Draw every tile of a plan and store the file; one made before is replaced."""
    plan_id = int(context.parameters["plan_id"])
    known = KnownPlans()
    async with context.database.reading() as session:
        plan = await find_plan(session, EVERYTHING, plan_id, None)
        if plan is None:
            raise NotFound(f"There is no plan {plan_id}.")
        cells = await known.find(session, plan.id, plan.version)
        bounds = await territory_tiles.bounds(session, EVERYTHING, plan.id)
        finest = next(
            z for z in range(FINEST_ZOOM + 1)
            if z == FINEST_ZOOM or resolution_for_zoom(z) + 1 >= cells.finest
        )  # fmt: skip
        wanted = await tiles_of(cells, finest)
    file = io.BytesIO()
    # The library has no types.
    writer: Any = Writer(file)
    for start in range(0, len(wanted), TILES_AT_ONCE):
        context.report("drawing", 0.05 + 0.9 * start / len(wanted))
        some = wanted[start : start + TILES_AT_ONCE]
        for tile, drawn in await _draw(context.database, known, plan, some):
            # No time in the header: the same plan gives the same file.
            writer.write_tile(zxy_to_tileid(*tile), gzip.compress(drawn, mtime=0))
    header = _header(bounds or WORLD)
    await asyncio.to_thread(writer.finalize, header, _metadata(plan))
    data = file.getvalue()
    context.report("storing", 0.95)
    async with context.writing() as session:
        name = file_name(plan_id)
        await session.execute(delete(Artifact).where(Artifact.name == name))
        await session.execute(
            insert(Artifact).values(
                run_id=context.run_id, name=name, media_type=MEDIA_TYPE, data=data
            )
        )
        result = {
            "plan_id": plan_id, "href": f"/v1/plans/{plan_id}/tiles.pmtiles",
            "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip
        await context.succeed(session, result)


async def tiles_of(cells: PlanCells, finest: int) -> list[Tile]:
    """Return the tiles down to a zoom that the plan reaches into, in the order of the file.

    Both as it is and as what its cells are summed up to: larger cells reach farther.
    """
    own = await cells.level(cells.finest)
    boxes = await asyncio.to_thread(cell_boxes, own.cells)
    found: list[Tile] = []
    for z in range(finest + 1):
        shown = await cells.level(resolution_for_zoom(z) + 1)
        larger = boxes[:0] if shown is own else await asyncio.to_thread(cell_boxes, shown.cells)
        near = tiles_touching(np.concatenate([boxes, larger]), z, MARGIN / EXTENT)
        found += [(z, x, y) for x, y in near.tolist()]
    return sorted(found, key=lambda tile: zxy_to_tileid(*tile))


async def _draw(
    database: Database, known: KnownPlans, plan: ShownPlan, tiles: list[Tile]
) -> list[tuple[Tile, bytes]]:
    async with database.reading() as session:
        drawn = [(tile, await _both(session, known, plan, tile)) for tile in tiles]
    return [(tile, data) for tile, data in drawn if data]


async def _both(session: AnySession, known: KnownPlans, plan: ShownPlan, tile: Tile) -> bytes:
    """Return both layers in one tile: they are fields of it, one after the other.

    One file is for all who may see the plan, so it tells of no territory of a few customers.
    """
    territories = await territory_tiles.read_tile(
        session, EVERYTHING, plan.id, *tile, fewest=FEWEST_SHOWN, names_owners=False
    )
    cells = await cell_tiles.read_tile(session, known, EVERYTHING, plan, tile, None)
    return territories + cells


def _header(bounds: tuple[float, float, float, float]) -> dict[str, Any]:
    west, south, east, north = np.round(np.array(bounds) * 1e7).astype(int).tolist()
    return {
        "version": 3,
        "tile_type": TileType.MVT,
        "tile_compression": Compression.GZIP,
        "min_lon_e7": west, "min_lat_e7": south, "max_lon_e7": east, "max_lat_e7": north,
        "center_zoom": 4,
        "center_lon_e7": (west + east) // 2, "center_lat_e7": (south + north) // 2,
    }  # fmt: skip


def _metadata(plan: ShownPlan) -> dict[str, Any]:
    return {
        "name": f"Plan {plan.id}",
        "description": "Territories of Bailiwick and the cells they are made of",
        "attribution": "Bailiwick",
        "type": "overlay",
        "version": str(plan.version),
        "vector_layers": [layer.model_dump() for layer in (TERRITORIES, CELLS)],
    }
