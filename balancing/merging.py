"""Units that must stay together become one: groups, and the units locked to a territory.

What is one unit cannot be torn apart, so these wishes hold by construction and the search
needs no rule for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.compiled import compiled
from balancing.graph import Graph
from balancing.instance import Instance
from balancing.measures import weighted_counts
from balancing.requirements import Requirements
from balancing.result import Violation


@dataclass(frozen=True, eq=False)
class Merged:
    """Nodes that units have been merged into.

    Attributes
    ----------
    node
        (n_units,) node of each unit; nodes are numbered by their lowest unit.
    graph
        Which nodes touch.
    edge_weight
        (nnz,) weight of each link: the sum of those of the edges it stands for.
    lock
        (n_nodes,) territory each node must be in, or -1; one node per territory at most.
    violations
        Wishes that contradict each other or the graph, and were left out.
    """

    node: IntArray
    graph: Graph
    edge_weight: FloatArray
    lock: IntArray
    violations: tuple[Violation, ...]

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.graph.n_units

    def sums(self, values: FloatArray) -> FloatArray:
        """Return (n_nodes, ...) sum of (n_units, ...) values."""
        columns = values.reshape(len(values), -1).T
        sums = [weighted_counts(self.node, column, self.n_nodes) for column in columns]
        return np.stack(sums, axis=1).reshape(self.n_nodes, *values.shape[1:])

    def means(self, values: FloatArray, weight: FloatArray) -> FloatArray:
        """Return (n_nodes,) weighted means; plain ones where a node has no weight."""
        n_units = np.bincount(self.node, minlength=self.n_nodes)
        if n_units.max() == 1:
            return values
        total = self.sums(weight)
        is_light = total <= 0
        safe = np.where(is_light[self.node], 1.0, weight)
        total = np.where(is_light, n_units, total)
        means: FloatArray = self.sums(safe * values) / total
        return means


def merge(
    instance: Instance, graph: Graph, edge_weight: FloatArray, requirements: Requirements
) -> Merged:
    """Merge every group, and the units locked to each territory, into one node each.

    Units that do not touch are joined by the shortest way between them that avoids what is
    locked elsewhere. Of a set that cannot be joined the part with most activity stays
    together; of a group locked to several territories nothing does.
    """
    merger = _Merger(instance, graph, requirements)
    root, lock = merger.run()
    old, node = np.unique(root, return_inverse=True)
    merged_graph, merged_weight = _contract(graph, edge_weight, node.astype(np.int32))
    node_lock = np.full(len(old), -1, np.int32)
    is_locked = lock >= 0
    node_lock[node[is_locked]] = lock[is_locked]
    return Merged(
        node.astype(np.int32), merged_graph, merged_weight, node_lock, tuple(merger.violations)
    )


class _Merger:
    """Which units share a node (named by its lowest unit) and which are locked where."""

    def __init__(self, instance: Instance, graph: Graph, requirements: Requirements) -> None:
        self._activity = instance.activity[:, 0]
        self._graph = graph
        self._groups = requirements.groups
        self._closed = set(requirements.closed)
        n_units = graph.n_units
        self._root = np.arange(n_units, dtype=np.int32)
        wanted = requirements.locks
        self._lock = np.full(n_units, -1, np.int32) if wanted is None else wanted.copy()
        self._in_conflict: set[int] = set()
        self.violations: list[Violation] = []

    def run(self) -> tuple[IntArray, IntArray]:
        """Return (n_units,) root and (n_units,) lock of each unit."""
        self._lock_groups()
        for territory in np.unique(self._lock[self._lock >= 0]).tolist():
            self._join_locked(territory)
        for number, group in enumerate(self._groups):
            self._join_group(number, group)
        return self._root, self._lock

    def _lock_groups(self) -> None:
        """Lock whole groups where one of their units is locked, and what they share units with."""
        waiting = dict(enumerate(self._groups))
        has_spread = True
        while has_spread:
            has_spread = False
            for number, group in list(waiting.items()):
                territories = np.unique(self._lock[group])
                territories = territories[territories >= 0]
                if not territories.size:
                    continue
                del waiting[number]
                first = int(territories[0])
                if territories.size > 1:
                    self._report_conflict(number, first, int(territories[1]))
                elif first not in self._closed:
                    self._lock[group] = first
                    has_spread = True
                elif np.any(self._lock[group] != first):
                    self._report_closed(number, first)

    def _report_closed(self, number: int, territory: int) -> None:
        self._in_conflict.add(number)
        self._violate(
            "group_conflict",
            f"group {number} lies partly in closed territory {territory}",
            {"group": number, "territory": territory},
            {"field": "groups", "index": number, "action": "leave out"},
        )

    def _report_conflict(self, number: int, one: int, other: int) -> None:
        self._in_conflict.add(number)
        self._violate(
            "group_conflict",
            f"group {number} has units locked to territory {one} and to territory {other}",
            {"group": number, "territory": one, "other_territory": other},
            {"field": "groups", "index": number, "action": "leave out"},
        )

    def _join_locked(self, territory: int) -> None:
        units = np.flatnonzero(self._lock == territory).astype(np.int32)
        is_elsewhere = self._lock != territory
        if territory not in self._closed:
            is_elsewhere &= self._lock >= 0
        whole, lost = self._joined(units, is_elsewhere)
        self._lock[lost] = -1
        self._lock[whole] = territory
        self._unite(whole)
        if lost.size:
            self._violate(
                "locks_disconnected",
                f"{lost.size} of {units.size} units locked to territory {territory} cannot be "
                f"joined with the others, unit {lost[0]} among them",
                {"territory": territory, "unit": int(lost[0]), "n_units": int(lost.size)},
                {"field": "locks", "index": int(lost[0]), "action": "leave out"},
            )

    def _join_group(self, number: int, group: IntArray) -> None:
        if len(np.unique(self._root[group])) <= 1 or number in self._in_conflict:
            return
        # A way that joins others may have run through the group and locked a part of it.
        territories = np.unique(self._lock[group])
        territories = territories[territories >= 0]
        if territories.size > 1:
            self._report_conflict(number, *territories[:2].tolist())
            return
        lock = int(territories[0]) if territories.size else -1
        whole, lost = self._joined(group, (self._lock >= 0) & (self._lock != lock))
        self._lock[whole] = lock
        self._unite(whole)
        if lost.size:
            self._violate(
                "group_disconnected",
                f"{lost.size} of {group.size} units of group {number} cannot be joined with the "
                f"others, unit {lost[0]} among them",
                {"group": number, "unit": int(lost[0]), "n_units": int(lost.size)},
                {"field": "groups", "index": number, "action": "leave out"},
            )

    def _joined(self, units: IntArray, is_blocked: BoolArray) -> tuple[IntArray, IntArray]:
        """Return the units with the ways that join them, and those that could not be joined.

        Starts from the unit with most activity; whatever was merged before counts as one.
        """
        is_wanted = np.zeros(len(self._root), np.bool_)
        is_wanted[units] = True
        first = int(units[np.argmax(self._activity[units])])
        is_inside = join(self._graph.indptr, self._graph.indices, is_wanted, is_blocked, first)
        # Groups that a way runs through come along whole.
        roots = np.unique(self._root[is_inside])
        is_inside |= np.isin(self._root, roots) & ~is_blocked
        return (
            np.flatnonzero(is_inside).astype(np.int32),
            units[~is_inside[units]],
        )

    def _unite(self, units: IntArray) -> None:
        roots = np.unique(self._root[units])
        self._root[np.isin(self._root, roots)] = roots[0]

    def _violate(
        self,
        code: str,
        message: str,
        facts: dict[str, int | float | str],
        relaxation: dict[str, int | float | str],
    ) -> None:
        self.violations.append(Violation(code, message, facts, relaxation))  # type: ignore[arg-type]


@compiled
def join(
    indptr: IntArray, indices: IntArray, is_wanted: BoolArray, is_blocked: BoolArray, first: int
) -> BoolArray:
    """Return (n,) a connected set that holds `first` and every wanted unit within reach.

    Grows breadth-first from what is joined so far to the nearest wanted unit, and takes in
    the way to it, again and again (the shortest-path heuristic for Steiner trees of
    Takahashi and Matsuyama, Mathematica Japonica 24, 1980).
    """
    n_units = len(indptr) - 1
    is_inside = np.zeros(n_units, np.bool_)
    is_inside[first] = True
    parent = np.empty(n_units, np.int32)
    queue = np.empty(n_units, np.int32)
    # What touches what is joined already comes in without a search.
    n_fresh = 1
    queue[0] = first
    while n_fresh > 0:
        n_fresh -= 1
        unit = queue[n_fresh]
        for entry in range(indptr[unit], indptr[unit + 1]):
            neighbour = indices[entry]
            if is_wanted[neighbour] and not is_inside[neighbour] and not is_blocked[neighbour]:
                is_inside[neighbour] = True
                queue[n_fresh] = neighbour
                n_fresh += 1
    while True:
        parent[:] = -1
        tail = 0
        for unit in range(n_units):
            if is_inside[unit]:
                queue[tail] = unit
                parent[unit] = unit
                tail += 1
        head = 0
        found = -1
        while head < tail and found < 0:
            unit = queue[head]
            head += 1
            for entry in range(indptr[unit], indptr[unit + 1]):
                neighbour = indices[entry]
                if parent[neighbour] >= 0 or is_blocked[neighbour]:
                    continue
                parent[neighbour] = unit
                queue[tail] = neighbour
                tail += 1
                if is_wanted[neighbour] and not is_inside[neighbour]:
                    found = neighbour
                    break
        if found < 0:
            return is_inside
        while not is_inside[found]:
            is_inside[found] = True
            found = parent[found]


def _contract(graph: Graph, edge_weight: FloatArray, node: IntArray) -> tuple[Graph, FloatArray]:
    """Graph on nodes: links in order of first appearance, weights added up."""
    n_nodes = int(node.max()) + 1
    if n_nodes == graph.n_units:
        return graph, edge_weight
    tails = node[np.repeat(np.arange(graph.n_units), np.diff(graph.indptr))].astype(np.int64)
    heads = node[graph.indices]
    is_between = tails != heads
    tails, heads, weights = tails[is_between], heads[is_between], edge_weight[is_between]
    keys, first, link = np.unique(tails * n_nodes + heads, return_index=True, return_inverse=True)
    weight = np.bincount(link, weights, len(keys))
    tail = keys // n_nodes
    order = np.lexsort((first, tail))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(tail, minlength=n_nodes))))
    heads = (keys % n_nodes)[order].astype(np.int32)
    contracted = Graph(indptr.astype(np.int32), heads, graph.is_ring_ordered)
    return contracted, weight[order].astype(np.float64, copy=False)
