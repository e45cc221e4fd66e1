"""H3 cells in bulk; the only module that imports h3 and polars-h3.

polars-h3 serves arrays, h3 single points and few cells. Both wrap the same index, in Rust and in C,
and the tests hold them equal. Neither checks coordinates (latitude 95 gets a cell) nor ids, so this
module does, before anything reaches them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import polars as pl
import polars_h3

from geo.cell_ids import (
    CUSTOMER_RESOLUTION,
    FINEST_RESOLUTION,
    CellArray,
    IntArray,
    ancestors,
    are_pentagons,
    as_cells,
    base_cells,
    check_resolution,
    descendant_range,
    descendants,
    distinct,
    joined_ranges,
    n_cells_on_earth,
    resolutions,
    single_resolution,
)
from geo.errors import CellError
from geo.sphere import EARTH_AREA_KM2, FloatArray, checked_points

__all__ = [
    "CUSTOMER_RESOLUTION",
    "FINEST_RESOLUTION",
    "CellArray",
    "IntArray",
    "ancestors",
    "are_pentagons",
    "area_km2",
    "as_cells",
    "base_cells",
    "boundary",
    "cell_from_point",
    "cell_to_text",
    "cells_from_points",
    "cells_from_text",
    "cells_to_text",
    "check_resolution",
    "checked_cells",
    "descendant_range",
    "descendants",
    "disks",
    "distinct",
    "drawn_boundary",
    "edge_vertices",
    "joined_ranges",
    "mean_area_km2",
    "n_cells_on_earth",
    "neighbour_rings",
    "points_from_cells",
    "resolutions",
    "single_resolution",
]

# Directions by which H3 numbers the neighbours of a cell, put in counter-clockwise order (the
# digits run K, J, JK, I, IK, IJ). K comes last because it is the one a pentagon lacks.
_RING_DIRECTIONS = np.array([5, 4, 6, 2, 3, 1], dtype=np.uint64)
_EDGE_MODE = np.uint64(2 << 59)
_MODE_AND_RESERVED = np.uint64(0xFF << 56)
# Up to here one after another takes less time than to begin with an array, on one core and two.
_FEW, _FEW_OUTLINES = 500, 800
_CELL_TEXT = re.compile(r"[0-9a-fA-F]{15,16}")


def cells_from_points(lon: npt.ArrayLike, lat: npt.ArrayLike, resolution: int) -> CellArray:
    """The cell containing each point, (n,) uint64, geometrically.

    For membership at a coarser resolution take `ancestors` of the resolution-12 cells instead:
    6 to 7 % of points lie in another cell than the ancestor of their fine one.

    Raises
    ------
    CoordinateError
        Points that are not finite or not on Earth, with their indices.
    CellError
        ``unknown_resolution``.
    """
    check_resolution(resolution)
    lon, lat = checked_points(lon, lat)
    frame = pl.DataFrame({"lon": lon, "lat": lat})
    return _evaluate(frame, polars_h3.latlng_to_cell("lat", "lon", resolution))


def cell_from_point(lon: float, lat: float, resolution: int) -> int:
    """The cell containing one point; raises as `cells_from_points` does."""
    check_resolution(resolution)
    checked_points(lon, lat)
    return int(h3.latlng_to_cell(lat, lon, resolution))


def points_from_cells(cells: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Longitudes and latitudes of the cell centres, each (n,).

    Raises
    ------
    CellError
        ``not_a_cell``, with indices.
    """
    ids = as_cells(cells)
    if len(ids) <= _FEW:
        places = chain.from_iterable(map(h3.cell_to_latlng, _checked_few(ids)))
        flat = np.fromiter(places, np.float64, 2 * len(ids))
        return flat[1::2].copy(), flat[::2].copy()
    frame = _cell_frame(ids)
    lon = _evaluate(frame, polars_h3.cell_to_lng("cell"))
    lat = _evaluate(frame, polars_h3.cell_to_lat("cell"))
    return lon, lat


def checked_cells(cells: npt.ArrayLike) -> CellArray:
    """The ids as an array, all of them known to be H3 cells (else ``not_a_cell``)."""
    ids = as_cells(cells)
    valid = pl.DataFrame({"cell": ids}).select(polars_h3.is_valid_cell("cell")).to_series()
    bad = np.flatnonzero(~valid.to_numpy())
    if len(bad):
        raise CellError(
            "not_a_cell",
            f"{len(bad)} of {len(ids)} ids are not H3 cells, first at index {bad[0]}: "
            f"{int(ids[bad[0]]):x}",
            n_bad=len(bad),
            indices=bad[:10].tolist(),
        )
    return ids


def cell_to_text(cell: int) -> str:
    """The id as H3 writes it: lower-case hexadecimal without a prefix."""
    return f"{cell:x}"


def cells_to_text(cells: npt.ArrayLike) -> list[str]:
    """The ids as H3 writes them; see `cell_to_text`."""
    return [cell_to_text(cell) for cell in as_cells(cells).tolist()]


def cells_from_text(texts: Sequence[str]) -> CellArray:
    """The cells written by `cells_to_text`, (n,) uint64.

    Raises
    ------
    CellError
        ``not_a_cell`` for texts that are not hexadecimal ids of valid cells, with indices.
    """
    for index, text in enumerate(texts):
        if not _CELL_TEXT.fullmatch(text):
            raise CellError(
                "not_a_cell", f"text at index {index} is not an H3 cell id", indices=[index]
            )
    return checked_cells(np.fromiter((int(text, 16) for text in texts), np.uint64, len(texts)))


def area_km2(cells: npt.ArrayLike) -> FloatArray:
    """Area of each cell on the authalic sphere, (n,) km²."""
    return _evaluate(_cell_frame(cells), polars_h3.cell_area("cell", "km^2"))


def mean_area_km2(resolution: int) -> float:
    """Mean area of all cells of a resolution; single cells deviate by up to a factor of two."""
    check_resolution(resolution)
    return EARTH_AREA_KM2 / n_cells_on_earth(resolution)


def neighbour_rings(cells: npt.ArrayLike) -> CellArray:
    """The cells around each cell, (n, 6) uint64 in counter-clockwise order.

    A pentagon has five neighbours and 0 in the last place.
    """
    ids = checked_cells(cells)
    edges, present = _ring_edges(ids)
    rings = np.zeros((len(ids), 6), dtype=np.uint64)
    frame = pl.DataFrame({"edge": edges[present]})
    rings[present] = _evaluate(frame, polars_h3.get_directed_edge_destination("edge"))
    return rings


def disks(cells: npt.ArrayLike, rings: int) -> tuple[CellArray, IntArray]:
    """Each cell with all cells at most `rings` steps from it, as pairs.

    Returns
    -------
    (m,) uint64
        The cells of all disks, one disk after the other.
    (m,) int64
        Index of the cell that each is in the disk of.
    """
    frame = _cell_frame(cells).with_row_index("centre")
    pairs = frame.select(
        "centre", polars_h3.grid_disk("cell", rings).cast(pl.List(pl.UInt64)).alias("member")
    )
    pairs = pairs.explode("member")
    return pairs["member"].to_numpy(writable=True), pairs["centre"].cast(pl.Int64).to_numpy()


def edge_vertices(
    cells: npt.ArrayLike, ring_positions: npt.ArrayLike
) -> tuple[FloatArray, IntArray]:
    """The line between each cell and its neighbour at a ring position, cell on the left.

    Returns
    -------
    coordinates : (n, 3, 2)
        Degrees, lon and lat; the third vertex is NaN where the edge has two.
    n_vertices : (n,)
        2, or 3 where the edge crosses from one face of the icosahedron to another.
    """
    ids = as_cells(cells)
    directions = _RING_DIRECTIONS[np.asarray(ring_positions, dtype=np.int64)]
    edges = (ids & ~_MODE_AND_RESERVED) | _EDGE_MODE | (directions << np.uint64(56))
    lines = pl.DataFrame({"edge": edges}).select(polars_h3.directed_edge_to_boundary("edge"))
    n_vertices = lines.select(pl.all().list.len()).to_series().to_numpy().astype(np.int64) // 2
    coordinates = np.full((len(ids), 3, 2), np.nan)
    if len(ids) == 0:
        return coordinates, n_vertices
    flat = lines.to_series().explode().to_numpy().reshape(-1, 2)[:, ::-1]
    coordinates[np.arange(3) < n_vertices[:, None]] = flat
    return coordinates, n_vertices


def boundary(cells: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    """Outlines of the cells, counter-clockwise, not closed, as one list of vertices.

    Returns
    -------
    vertices : (m, 2)
        Degrees, lon and lat, of all cells one after another. A cell across the antimeridian
        jumps there from 180 to -180.
    offsets : (n + 1,)
        Cell ``i`` owns ``vertices[offsets[i]:offsets[i + 1]]``: 6 of them, 5 for a pentagon,
        more where edges cross a face of the icosahedron.
    """
    outlines = _cell_frame(cells).select(polars_h3.cell_to_boundary("cell")).to_series()
    offsets = np.concatenate([[0], np.cumsum(outlines.list.len().to_numpy().astype(np.int64))])
    if len(outlines) == 0:
        return np.empty((0, 2)), offsets
    flat = outlines.explode().explode().to_numpy().reshape(-1, 2)
    return np.ascontiguousarray(flat[:, ::-1]), offsets


def drawn_boundary(cells: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    """What `boundary` gives, but for the last digits: on a map, not to be compared with others.

    For few cells in half the time.
    """
    ids = as_cells(cells)
    if len(ids) > _FEW_OUTLINES:
        return boundary(ids)
    rings = list(map(h3.cell_to_boundary, _checked_few(ids)))
    offsets = np.concatenate([[0], np.cumsum(list(map(len, rings)), dtype=np.int64)])
    places = chain.from_iterable(chain.from_iterable(rings))
    flat = np.fromiter(places, np.float64, 2 * int(offsets[-1])).reshape(-1, 2)
    return np.ascontiguousarray(flat[:, ::-1]), offsets


def _ring_edges(ids: CellArray) -> tuple[CellArray, npt.NDArray[np.bool_]]:
    """Directed edge ids to the neighbours in ring order, and which of them exist."""
    stems = (ids & ~_MODE_AND_RESERVED) | _EDGE_MODE
    edges = stems[:, None] | (_RING_DIRECTIONS << np.uint64(56))
    present = np.ones(edges.shape, dtype=np.bool_)
    present[are_pentagons(ids), 5] = False
    return edges, present


def _checked_few(ids: CellArray) -> list[int]:
    """The ids as numbers, all of them known to be H3 cells (else ``not_a_cell``)."""
    few: list[int] = ids.tolist()
    if not all(map(h3.is_valid_cell, few)):
        checked_cells(ids)
    return few


def _cell_frame(cells: npt.ArrayLike) -> pl.DataFrame:
    return pl.DataFrame({"cell": checked_cells(cells)})


def _evaluate(frame: pl.DataFrame, expression: pl.Expr) -> npt.NDArray[Any]:
    # Writable, because numba compiles everything a second time for read-only arrays.
    return frame.select(expression).to_series().to_numpy(writable=True)
