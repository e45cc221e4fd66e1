"""Outlines of a plan, and what else is drawn of its territories."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from app.plans.request import territory_code
from balancing import Graph
from geo.adjacency import Adjacency
from geo.cells import points_from_cells
from geo.colouring import colour_territories
from geo.outlines import simplified_outlines, territory_outlines

Cells = NDArray[np.uint64]
Ordinals = NDArray[np.int32]

# Corners smaller than a pixel of zoom 6 are dropped from the outlines of low zooms.
OVERVIEW_TOLERANCE_DEG = 0.02


def reading_order(cells: Cells, alignment: Ordinals, n_territories: int) -> Ordinals:
    """Return the number of each of the solver's territories when read from north-west on.

    Codes that follow the map are easier to find than the solver's own numbers.
    """
    lon, lat = points_from_cells(cells)
    sizes = np.bincount(alignment, minlength=n_territories)
    mean_lat = np.bincount(alignment, lat, n_territories) / sizes
    first_lon = np.full(n_territories, np.inf)
    np.minimum.at(first_lon, alignment, lon)
    n_bands = max(1, round(np.sqrt(n_territories)))
    edges = np.linspace(mean_lat.min(), mean_lat.max(), n_bands + 1)[1:-1]
    band = n_bands - np.digitize(mean_lat, edges)
    rank = np.empty(n_territories, dtype=np.int32)
    rank[np.lexsort((first_lon, band))] = np.arange(n_territories, dtype=np.int32)
    return rank


def draw(
    folder: Path,
    cells: Cells,
    ordinals: Ordinals,
    adjacency: Adjacency,
    graph: Graph,
    n_territories: int,
) -> list[dict[str, Any]]:
    """Write outlines as WKB and return what else is drawn of each territory.

    `adjacency` is of the ground, for colours; `graph` has the bridges and lacks what barriers
    cut, for connected pieces.
    """
    outlines = territory_outlines(cells, ordinals, n_territories)
    overviews = simplified_outlines(outlines, OVERVIEW_TOLERANCE_DEG)
    _save_wkb(folder / "outlines.npz", outlines, overviews)
    colours = colour_territories(adjacency, ordinals)
    sizes = np.bincount(ordinals, minlength=n_territories)
    pieces = count_pieces(graph, ordinals, n_territories)
    labels = shapely.point_on_surface(np.array(outlines, dtype=object))
    return [
        {
            "code": territory_code(ordinal, n_territories),
            "n_cells": int(sizes[ordinal]),
            "components": int(pieces[ordinal]),
            "colour": int(colours[ordinal]),
            "label_point": [labels[ordinal].x, labels[ordinal].y],
            "bbox": list(outline.bounds),
        }
        for ordinal, outline in enumerate(outlines)
    ]


def are_apart(adjacency: Adjacency, ordinals: Ordinals, colours: Sequence[int]) -> bool:
    """Whether no two territories that touch have the same of some colours (k,)."""
    tails = np.repeat(ordinals, np.diff(adjacency.indptr))
    heads = ordinals[adjacency.indices]
    colour = np.asarray(colours)
    return not bool(np.any((tails != heads) & (colour[tails] == colour[heads])))


def count_pieces(graph: Graph, ordinals: Ordinals, n_territories: int) -> NDArray[np.int64]:
    """Return the connected pieces of each territory (k,), by SciPy rather than by the solver."""
    tails = np.repeat(np.arange(graph.n_units), np.diff(graph.indptr))
    is_inside = ordinals[tails] == ordinals[graph.indices]
    ends = (tails[is_inside], graph.indices[is_inside])
    links = (np.ones(is_inside.sum(), dtype=np.int8), ends)
    n_units = len(ordinals)
    _, labels = connected_components(coo_array(links, shape=(n_units, n_units)), directed=False)
    _, first_units = np.unique(labels, return_index=True)
    return np.bincount(ordinals[first_units], minlength=n_territories)


def _save_wkb(path: Path, outlines: list[Any], overviews: list[Any]) -> None:
    """Write geometries as one block of bytes with offsets: arrays of objects would need pickle."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, shapes in (("outline", outlines), ("overview", overviews)):
        blocks = [shapely.to_wkb(shape) for shape in shapes]
        arrays[name] = np.frombuffer(b"".join(blocks), np.uint8)
        arrays[f"{name}_ends"] = np.cumsum([len(block) for block in blocks])
    np.savez(path, **arrays)  # type: ignore[arg-type]
