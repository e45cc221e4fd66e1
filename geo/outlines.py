"""Outlines of territories, drawn from their cells so that neighbours share every vertex."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon

from geo.antimeridian import Polygonal, cut_rings
from geo.borders import find_borders, ring_coordinates, trace_rings
from geo.cell_sets import refuse_overlapping, refuse_unsorted
from geo.cells import IntArray, as_cells, boundary, resolutions
from geo.errors import CellError
from geo.sphere import FloatArray

Geometries = npt.NDArray[np.object_]

_WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


def territory_outlines(
    cells: npt.ArrayLike, alignment: npt.ArrayLike, n_territories: int | None = None
) -> list[Polygonal]:
    """The outline of every territory, one (multi)polygon each, empty where there are no cells.

    Outlines are valid; touching territories have identical vertices along their border; shells
    run counter-clockwise and holes clockwise (RFC 7946 §3.1.6); what crosses the antimeridian is
    cut there (§3.1.9). No two territories overlap and together they leave no gap. A customer's
    place is in the outline of the territory of its unit, or beyond its border by at most a sixth
    of an edge of that unit: membership is logical, and descendants stick out of a cell so far.
    Where resolutions meet, the border runs along the finer cells.

    Parameters
    ----------
    cells : (n_units,) uint64
        Distinct cells, in any order; of several resolutions if none lies inside another.
    alignment : (n_units,) int
        Territory of each cell from 0; negative for cells of none.
    n_territories
        Length of the answer; by default one more than the highest territory.

    Raises
    ------
    CellError
        ``cells_overlap``, ``not_a_cell``, ``cells_not_sorted`` for a cell given twice,
        ``alignment_mismatch``.
    """
    ids, territories = _sorted_pairs(cells, alignment)
    highest = int(territories.max(initial=-1))
    n_territories = highest + 1 if n_territories is None else n_territories
    if n_territories <= highest:
        raise CellError("alignment_mismatch", f"territory {highest} of {n_territories}")
    if len(ids) == 0:
        return [Polygon() for _ in range(n_territories)]
    borders = find_borders(ids, territories)
    order, offsets = trace_rings(borders)
    coordinates, ring_of_vertex = ring_coordinates(borders, order, offsets)
    ring_territory = borders.territory[order[offsets[:-1]]]
    rings, ring_territory = _on_the_map(coordinates, ring_of_vertex, ring_territory)
    present = np.unique(territories[territories >= 0])
    return _assemble(rings, ring_territory, present, n_territories)


def cell_outlines(cells: npt.ArrayLike) -> list[Polygonal]:
    """The outline of every cell by itself, a plain hexagon or pentagon, in the order given.

    For cells of one resolution this is what `territory_outlines` gives when every cell is a
    territory, thirty times faster: borders need not be found. Only the few cells at the
    antimeridian take the long way. Cells of different resolutions do not tile: along their
    border the hexagons overlap, or leave gaps, by up to a seventh of the coarser one's edge.
    """
    ids = as_cells(cells)
    vertices, offsets = boundary(ids)
    if len(ids) == 0:
        return []
    firsts = offsets[:-1]
    closed = np.insert(vertices, offsets[1:], vertices[firsts], axis=0)
    rings = offsets + np.arange(len(offsets))
    outlines = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, closed, (rings, np.arange(len(rings)))
    )
    lon = vertices[:, 0]
    width = np.maximum.reduceat(lon, firsts) - np.minimum.reduceat(lon, firsts)
    across = np.flatnonzero(width > 180.0)
    levels = resolutions(ids[across])
    for level in np.unique(levels):
        # Apart, or the borders between cells of several resolutions would follow the finer ones.
        alike = across[levels == level]
        outlines[alike] = territory_outlines(ids[alike], np.arange(len(alike)))
    return cast("list[Polygonal]", list(outlines))


def simplified_outlines(outlines: list[Polygonal], tolerance_deg: float) -> list[Polygonal]:
    """Outlines with fewer vertices for low zooms, still without gaps or overlaps.

    ``tolerance_deg`` is the square root of the area, in square degrees, of the smallest corner
    kept (Visvalingam and Whyatt, as in ``shapely.coverage_simplify``).
    """
    simpler = shapely.coverage_simplify(np.array(outlines, dtype=object), tolerance_deg)
    return cast("list[Polygonal]", list(simpler))


def _sorted_pairs(
    cells: npt.ArrayLike, alignment: npt.ArrayLike
) -> tuple[npt.NDArray[np.uint64], IntArray]:
    ids, territories = as_cells(cells), np.atleast_1d(np.asarray(alignment, dtype=np.int64))
    if ids.shape != territories.shape:
        raise CellError(
            "alignment_mismatch", f"{len(ids)} cells need as many territories: {len(territories)}"
        )
    order = np.argsort(ids)
    refuse_unsorted(ids[order])
    refuse_overlapping(ids[order])
    return ids[order], territories[order]


def _on_the_map(
    coordinates: FloatArray, ring_of_vertex: IntArray, ring_territory: IntArray
) -> tuple[list[FloatArray], IntArray]:
    """Rings with those across the antimeridian cut, territory by territory."""
    is_step = np.diff(ring_of_vertex) == 0
    jumps = is_step & (np.abs(np.diff(coordinates[:, 0])) > 180.0)
    crossing = np.zeros(len(ring_territory), dtype=np.bool_)
    crossing[ring_of_vertex[:-1][jumps]] = True
    rings = np.split(coordinates, np.flatnonzero(~is_step) + 1) if len(coordinates) else []
    kept = [rings[i] for i in np.flatnonzero(~crossing)]
    owners = ring_territory[~crossing].tolist()
    for territory in np.unique(ring_territory[crossing]).tolist():
        mine = np.flatnonzero(crossing & (ring_territory == territory))
        pieces = cut_rings([rings[i] for i in mine])
        kept += pieces
        owners += [territory] * len(pieces)
    return kept, np.array(owners, dtype=np.int64)


def _assemble(
    rings: list[FloatArray], owners: IntArray, present: IntArray, n_territories: int
) -> list[Polygonal]:
    """Polygons from rings: each hole goes to the smallest shell of its territory round it."""
    lines, areas = _closed_lines(rings)
    totals = np.zeros(n_territories)
    np.add.at(totals, owners, areas)
    # A territory with holes but nothing round them, or no rings at all, covers the whole map.
    endless = [territory for territory in present.tolist() if totals[territory] <= 0]
    lines = np.append(lines, [_WORLD.exterior] * len(endless))
    areas = np.append(areas, [_WORLD.area] * len(endless))
    owners = np.append(owners, endless).astype(np.int64)
    shells = np.flatnonzero(areas > 0)
    polygons = _polygons(lines)
    for shell, holes in _holes_by_shell(lines, owners, areas, shells).items():
        polygons[shell] = Polygon(lines[shell], lines[holes].tolist())
    outlines: list[Polygonal] = [Polygon()] * n_territories
    by_owner = shells[np.argsort(owners[shells], kind="stable")]
    starts = np.flatnonzero(np.diff(owners[by_owner], prepend=-1))
    for mine in np.split(by_owner, starts[1:]):
        parts = polygons[mine].tolist()
        outlines[owners[mine[0]]] = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    return outlines


def _closed_lines(rings: list[FloatArray]) -> tuple[Geometries, FloatArray]:
    """The rings for GEOS, and their areas in square degrees, negative when clockwise."""
    if not rings:
        return np.empty(0, dtype=object), np.empty(0)
    ring_of_vertex = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    lines = cast("Geometries", shapely.linearrings(np.concatenate(rings), indices=ring_of_vertex))
    areas = shapely.area(_polygons(lines))
    return lines, np.where(shapely.is_ccw(lines), areas, -areas)


def _polygons(lines: Geometries) -> Geometries:
    return cast("Geometries", shapely.polygons(lines))


def _holes_by_shell(
    lines: Geometries, owners: IntArray, areas: FloatArray, shells: IntArray
) -> dict[int, list[int]]:
    holes = np.flatnonzero(areas < 0)
    if len(holes) == 0:
        return {}
    # A vertex of a hole lies inside the shells round it and never on them: a territory passes
    # each vertex once.
    tree = shapely.STRtree(_polygons(lines[shells]))
    inside, around = tree.query(shapely.get_point(lines[holes], 0), predicate="within")
    hole, shell = holes[inside], shells[around]
    same = owners[hole] == owners[shell]
    hole, shell = hole[same], shell[same]
    smallest_first = np.lexsort((areas[shell], hole))
    hole, first = np.unique(hole[smallest_first], return_index=True)
    found: dict[int, list[int]] = {}
    for a_hole, its_shell in zip(hole.tolist(), shell[smallest_first][first].tolist(), strict=True):
        found.setdefault(its_shell, []).append(a_hole)
    return found
