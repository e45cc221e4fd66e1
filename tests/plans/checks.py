"""Independent checks of a plan, with other libraries than the ones that made it."""

from collections import defaultdict
from typing import Any

import h3
import networkx as nx


def cells_by_territory(plan_cells: dict[str, Any]) -> dict[str, list[str]]:
    """Group the answer of GET /plans/{id}/cells."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for cell, code in plan_cells["cells"]:
        grouped[code].append(cell)
    return grouped


def is_contiguous(cells: list[str]) -> bool:
    """Tell whether H3 cells are connected, by h3's own neighbours and networkx."""
    inside = set(cells)
    graph = nx.Graph()
    graph.add_nodes_from(inside)
    graph.add_edges_from((c, n) for c in inside for n in h3.grid_ring(c, 1) if n in inside)
    return nx.is_connected(graph)


def cell_of(lon: float, lat: float, resolution: int) -> str:
    """Return the logical cell of a point: the ancestor of its cell at resolution 12."""
    return h3.cell_to_parent(h3.latlng_to_cell(lat, lon, 12), resolution)


def is_contiguous_mixed(cells: list[str]) -> bool:
    """Tell whether H3 cells of several resolutions are connected, all made as fine as the finest.

    Descendants of a cell are connected among themselves, so the cells are if all of them are.
    """
    finest = max(map(h3.get_resolution, cells))
    return is_contiguous([fine for cell in cells for fine in h3.cell_to_children(cell, finest)])
