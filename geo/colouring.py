"""Colours for territories so that neighbours can be told apart on a map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo.adjacency import Adjacency
from geo.cells import IntArray


def colour_territories(adjacency: Adjacency, alignment: npt.ArrayLike) -> IntArray:
    """A colour from 0 for each territory, (k,), different for territories that touch.

    The same input gives the same colours. Four to six colours are usual: connected territories
    form a planar map. Negative entries of the alignment are no territory.

    References
    ----------
    Brélaz, New methods to color the vertices of a graph, CACM 22 (1979): the next to be coloured
    is the one with most colours round it, then with most neighbours, here then the lowest.
    """
    territories = np.asarray(alignment, dtype=np.int64)
    n_territories = int(territories.max(initial=-1)) + 1
    neighbours = _neighbours(adjacency, territories, n_territories)
    degrees = np.array([len(around) for around in neighbours], dtype=np.int64)
    colours = np.full(n_territories, -1, dtype=np.int64)
    used: list[set[int]] = [set() for _ in range(n_territories)]
    # Degrees stay below the number of territories, so one number orders by both.
    urgency = degrees.copy()
    for _ in range(n_territories):
        chosen = int(np.argmax(urgency))
        colour = next(c for c in range(n_territories) if c not in used[chosen])
        colours[chosen] = colour
        urgency[chosen] = -1
        for other in neighbours[chosen].tolist():
            if colours[other] < 0 and colour not in used[other]:
                used[other].add(colour)
                urgency[other] += n_territories
    return colours


def _neighbours(adjacency: Adjacency, territories: IntArray, n_territories: int) -> list[IntArray]:
    one, other = territories[adjacency.sources()], territories[adjacency.indices]
    touching = (one != other) & (one >= 0) & (other >= 0)
    pairs = np.unique(one[touching] * n_territories + other[touching])
    firsts, seconds = np.divmod(pairs, max(n_territories, 1))
    return np.split(seconds, np.searchsorted(firsts, np.arange(1, n_territories)))[:n_territories]
