"""The ground of a draft: which cells touch, and whether territories are in one piece."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from app.db.alignment import Cells
from app.errors import Conflict, Fault
from app.plans.drawing import count_pieces
from app.plans.edit_state import EditState
from app.plans.links import Links, find_links
from app.plans.request import PlanRequest
from balancing import Graph
from geo.adjacency import Adjacency, build_adjacency
from geo.cells import cells_to_text

# Wishes of a request that say which cells touch.
LINKING = ("barriers", "bridges", "discouraged")
MOST_PIECES_NAMED = 5


@dataclass(frozen=True)
class Ground:
    """The graph of a plan's cells, with its bridges and without what barriers cut."""

    adjacency: Adjacency
    links: Links
    graph: Graph

    @classmethod
    def of(cls, cells: Cells, parameters: dict[str, Any]) -> "Ground":
        """Return the ground of a plan's sorted cells."""
        adjacency = build_adjacency(cells)
        linking = {name: parameters.get(name) or [] for name in LINKING}
        request = PlanRequest.model_validate({"layer_id": 1, "n_territories": 1, **linking})
        links = find_links(request, cells, adjacency)
        plain = Graph(adjacency.indptr, adjacency.indices, is_ring_ordered=True)
        return cls(adjacency, links, plain.edited(links.bridges, links.forbidden))

    def pieces(self, units: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the connected piece of each of some units, which rise."""
        # Not the solver's own, which is machine code to be compiled or loaded first.
        graph = self.graph.restricted_to(units)
        links = np.ones(len(graph.indices), dtype=np.int8)
        matrix = csr_array((links, graph.indices, graph.indptr), shape=(len(units), len(units)))
        _, labels = connected_components(matrix, directed=False)
        return np.asarray(labels, dtype=np.int32)

    def pieces_of_all(self, state: EditState) -> NDArray[np.int64]:
        """Return how many connected pieces each territory has, not by the solver's count."""
        return count_pieces(self.graph, state.ordinals, len(state.members))


def refuse_torn(state: EditState, ground: Ground, codes: list[str]) -> None:
    """Refuse a state in which one of some territories is empty or in several pieces.

    Raises
    ------
    Conflict
        Naming the territories, and a cell of each piece.
    """
    faults = []
    for place, code in enumerate(state.codes):
        if code not in codes:
            continue
        units = state.units(place)
        if not units.size:
            faults.append(Fault("empty", f"{code} would have no cells; merge it", "/moves"))
            continue
        labels = ground.pieces(units)
        if labels.max() > 0:
            faults.append(Fault("torn", f"{code}: {_named_pieces(state, units, labels)}", "/moves"))
    if faults:
        raise Conflict("A territory would not be in one piece.", faults)


def _named_pieces(state: EditState, units: NDArray[np.int32], labels: NDArray[np.int32]) -> str:
    sizes = np.bincount(labels)
    largest = np.argsort(-sizes, kind="stable")
    _, firsts = np.unique(labels, return_index=True)
    names = cells_to_text(state.cells[units[firsts[largest[:MOST_PIECES_NAMED]]]])
    told = [
        f"{sizes[piece]} cells around {name}"
        for piece, name in zip(largest[:MOST_PIECES_NAMED], names, strict=True)
    ]
    left = len(sizes) - len(told)
    return f"{len(sizes)} pieces, {'; '.join(told)}" + (f"; {left} more" if left else "")
