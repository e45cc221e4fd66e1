"""Adjacency of units: validated compressed rows, components, sub-graphs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from balancing.arrays import BoolArray, IntArray
from balancing.compiled import compiled
from balancing.errors import InstanceError


@dataclass(frozen=True, eq=False)
class Graph:
    """Symmetric adjacency without self loops or double entries.

    Parameters
    ----------
    indptr
        (n_units + 1,) start of each unit's neighbours in `indices`.
    indices
        (nnz,) neighbours.
    is_ring_ordered
        The neighbours of each unit are listed in circular order around it. An absent
        neighbour is not listed: two that follow one another in the list count as linked only
        when they are neighbours themselves, so a gap is never bridged. Without the order
        plans are as correct, only slower to find.

    Raises
    ------
    InstanceError
        With `field` and `index` (the entry, or the unit) of the first fault.
    """

    indptr: IntArray
    indices: IntArray
    is_ring_ordered: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "indptr", _as_int32(self.indptr, "indptr"))
        object.__setattr__(self, "indices", _as_int32(self.indices, "indices"))
        _check_rows(self.indptr, self.indices)
        _check_pairs(self.indptr, self.indices)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.indptr) - 1

    @property
    def n_edges(self) -> int:
        """Number of undirected edges."""
        return len(self.indices) // 2

    def neighbours(self, unit: int) -> IntArray:
        """Units that touch `unit`."""
        return self.indices[self.indptr[unit] : self.indptr[unit + 1]]

    def restricted_to(self, units: IntArray) -> Graph:
        """Sub-graph on `units` (ascending); circular order survives."""
        return self.restricted_with_links(units)[0]

    def restricted_with_links(self, units: IntArray) -> tuple[Graph, BoolArray]:
        """Sub-graph on `units` (ascending), and (nnz,) which links it has kept."""
        if len(units) == self.n_units:
            return self, np.ones(len(self.indices), np.bool_)
        new_index = np.full(self.n_units, -1, np.int32)
        new_index[units] = np.arange(len(units), dtype=np.int32)
        tails = np.repeat(np.arange(self.n_units), np.diff(self.indptr))
        is_kept = (new_index[tails] >= 0) & (new_index[self.indices] >= 0)
        degree = np.bincount(new_index[tails[is_kept]], minlength=len(units))
        indptr = np.concatenate(([0], np.cumsum(degree))).astype(np.int32)
        graph = Graph(indptr, new_index[self.indices[is_kept]], self.is_ring_ordered)
        return graph, is_kept

    def edited(self, bridges: IntArray, forbidden: IntArray) -> Graph:
        """Graph with `bridges` and without `forbidden` edges, (n, 2) pairs of units each.

        Bridges are listed last, after the ring; a bridge beats a barrier.
        """
        if not len(bridges) and not len(forbidden):
            return self
        keys = self.link_keys()
        added = np.unique(self.keys_of(bridges))
        is_kept = ~np.isin(keys, np.setdiff1d(self.keys_of(forbidden), added))
        added = np.setdiff1d(added, keys)
        keys = np.concatenate((keys[is_kept], added))
        tails = keys // self.n_units
        order = np.argsort(tails, kind="stable")
        degree = np.bincount(tails, minlength=self.n_units)
        indptr = np.concatenate(([0], np.cumsum(degree)))
        heads = (keys % self.n_units)[order].astype(np.int32)
        return Graph(indptr.astype(np.int32), heads, self.is_ring_ordered)

    def keys_of(self, pairs: IntArray) -> NDArray[np.int64]:
        """One number per direction of each (n, 2) pair: tail times n_units plus head."""
        both = np.concatenate((pairs, pairs[:, ::-1])).astype(np.int64)
        return both[:, 0] * self.n_units + both[:, 1]

    def link_keys(self) -> NDArray[np.int64]:
        """(nnz,) the same number for every listed link."""
        tails = np.repeat(np.arange(self.n_units, dtype=np.int64), np.diff(self.indptr))
        return tails * self.n_units + self.indices


def connected_components(graph: Graph) -> IntArray:
    """Return the component of each unit, (n_units,), numbered by their lowest unit."""
    return _label_components(graph.indptr, graph.indices)


@compiled
def _label_components(indptr: IntArray, indices: IntArray) -> IntArray:
    n_units = len(indptr) - 1
    label = np.full(n_units, -1, np.int32)
    queue = np.empty(n_units, np.int32)
    n_components = 0
    for root in range(n_units):
        if label[root] >= 0:
            continue
        label[root] = n_components
        queue[0] = root
        head, tail = 0, 1
        while head < tail:
            unit = queue[head]
            head += 1
            for entry in range(indptr[unit], indptr[unit + 1]):
                neighbour = indices[entry]
                if label[neighbour] < 0:
                    label[neighbour] = n_components
                    queue[tail] = neighbour
                    tail += 1
        n_components += 1
    return label


@compiled
def ring_links(indptr: IntArray, indices: IntArray) -> BoolArray:
    """(nnz,) whether each listed neighbour is adjacent to the next one listed (circularly)."""
    is_linked = np.zeros(len(indices), np.bool_)
    for unit in range(len(indptr) - 1):
        first, last = indptr[unit], indptr[unit + 1]
        for entry in range(first, last):
            one = indices[entry]
            other = indices[entry + 1] if entry + 1 < last else indices[first]
            if indptr[one + 1] - indptr[one] > indptr[other + 1] - indptr[other]:
                one, other = other, one
            for probe in range(indptr[one], indptr[one + 1]):
                if indices[probe] == other:
                    is_linked[entry] = True
                    break
    return is_linked


def _as_int32(values: object, field: str) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InstanceError(f"{field} must be a flat array of integers", field=field)
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int32).max):
        index = int(np.argmax((array < 0) | (array > np.iinfo(np.int32).max)))
        raise InstanceError(f"{field}[{index}] is out of range", field=field, index=index)
    return np.ascontiguousarray(array, dtype=np.int32)


def _check_rows(indptr: IntArray, indices: IntArray) -> None:
    if len(indptr) < 2:
        raise InstanceError("the graph has no units", field="indptr")
    if indptr[0] != 0:
        raise InstanceError("indptr must start at 0", field="indptr", index=0)
    falls = np.flatnonzero(np.diff(indptr) < 0)
    if falls.size:
        index = int(falls[0]) + 1
        raise InstanceError(f"indptr falls at {index}", field="indptr", index=index)
    if indptr[-1] != len(indices):
        raise InstanceError(
            f"indptr ends at {indptr[-1]}, there are {len(indices)} indices",
            field="indptr",
            index=len(indptr) - 1,
        )
    beyond = np.flatnonzero(indices >= len(indptr) - 1)
    if beyond.size:
        index = int(beyond[0])
        raise InstanceError(f"indices[{index}] names no unit", field="indices", index=index)


def _check_pairs(indptr: IntArray, indices: IntArray) -> None:
    n_units = len(indptr) - 1
    tails = np.repeat(np.arange(n_units, dtype=np.int64), np.diff(indptr))
    loops = np.flatnonzero(tails == indices)
    if loops.size:
        unit = int(tails[loops[0]])
        raise InstanceError(f"unit {unit} neighbours itself", field="indices", index=unit)
    forward = np.sort(tails * n_units + indices)
    doubles = np.flatnonzero(np.diff(forward) == 0)
    if doubles.size:
        unit = int(forward[doubles[0]] // n_units)
        raise InstanceError(f"unit {unit} lists a neighbour twice", field="indices", index=unit)
    backward = np.sort(indices * np.int64(n_units) + tails)
    if not np.array_equal(forward, backward):
        lonely = np.setdiff1d(forward, backward, assume_unique=True)
        unit, neighbour = (int(part) for part in divmod(int(lonely[0]), n_units))
        raise InstanceError(
            f"unit {unit} lists {neighbour}, which does not list it back",
            field="indices",
            index=unit,
            neighbour=neighbour,
        )
