"""From wishes to components: edges edited, units merged, closed territories set aside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from balancing.apportionment import place_shares
from balancing.arrays import BoolArray, FloatArray, IntArray
from balancing.errors import ParameterError
from balancing.graph import Graph, connected_components
from balancing.instance import Instance
from balancing.measures import territory_sums, weighted_counts
from balancing.merging import Merged, merge
from balancing.parameters import Parameters
from balancing.problem import Component
from balancing.result import Violation

# A pocket that closed territories cut off joins one of them when it carries less than this
# part of a territory: a territory of its own would be far under its target.
LEAST_POCKET = 0.5


@dataclass(frozen=True, eq=False)
class Layout:
    """A task in the form in which it is solved.

    Attributes
    ----------
    graph
        Which units touch, bridges and barriers considered.
    merged
        The nodes units were merged into.
    closed
        (n_units,) closed territory each unit belongs to, or -1.
    label
        (n_nodes,) component of each node, -1 for nodes of closed territories.
    placed
        (k,) component each territory lies in, -1 for closed ones.
    targets
        (k, m) wanted activity; of closed territories what they carry.
    shares
        (k,) wanted part of what is not closed; 0 for closed territories.
    violations
        Wishes left out because they contradict each other or the graph.
    """

    graph: Graph
    merged: Merged
    closed: IntArray
    label: IntArray
    placed: IntArray
    targets: FloatArray
    shares: FloatArray
    violations: tuple[Violation, ...]

    @property
    def unit_label(self) -> IntArray:
        """(n_units,) component of each unit, -1 in closed territories."""
        return self.label[self.merged.node]

    def renumbered(self, order: IntArray) -> Layout:
        """Return the layout with territory `order[j]` as number j; nothing may be locked."""
        return replace(
            self,
            placed=self.placed[order],
            targets=self.targets[order],
            shares=self.shares[order],
        )

    @property
    def n_components(self) -> int:
        """Number of components that are solved."""
        return int(self.label.max()) + 1


def lay_out(
    instance: Instance, parameters: Parameters, incumbent: IntArray | None = None
) -> Layout:
    """Return the layout of a task.

    With an incumbent, (n_units,) territories or -1, a territory that is free to lie in any
    component stays in the one in which it has most of its activity.

    Raises
    ------
    ParameterError
        When there are more territories than units for them, or fewer than components; when
        all territories are closed and units are left.
    """
    wishes = parameters.requirements
    graph = instance.graph.edited(wishes.bridges, wishes.forbidden_edges)
    merged = merge(instance, graph, _edge_weights(graph, parameters), wishes)
    closed, cut_off = _close(instance, graph, merged, parameters)
    is_open = closed < 0
    label = _label_open(merged, is_open)
    closed_territories = np.unique(closed[~is_open])
    shares = _open_shares(parameters, closed_territories)
    if not shares.any() and is_open.any():
        raise ParameterError("all territories are closed, but units are left", field="closed")
    rest = instance.activity[is_open].sum(axis=0)
    targets = np.outer(shares, rest)
    sums = territory_sums(instance.activity[~is_open], closed[~is_open], len(shares))
    targets[closed_territories] = sums[closed_territories]
    placed, ignored = _place(instance, merged, label, shares, parameters, incumbent)
    violations = (*merged.violations, *cut_off, *ignored)
    if ignored:
        merged = _without_locks(merged, label, placed)
    return Layout(graph, merged, closed, label, placed, targets, shares, violations)


def components_of(instance: Instance, parameters: Parameters, layout: Layout) -> list[Component]:
    """Return every component that is to be solved, territories in the order of `placed`."""
    merged = layout.merged
    weight = instance.compactness_weight
    x_m, y_m = (merged.means(values, weight) for values in (instance.x_m, instance.y_m))
    activity = merged.sums(instance.activity)
    node_weight = merged.sums(weight)
    n_territories = parameters.n_territories
    anchor_x, anchor_y, pull = np.zeros((3, n_territories))
    for centre in parameters.requirements.centres:
        anchor_x[centre.territory] = centre.x_m
        anchor_y[centre.territory] = centre.y_m
        pull[centre.territory] = centre.pull
    components = []
    for number in range(layout.n_components):
        nodes = np.flatnonzero(layout.label == number).astype(np.int32)
        territories = np.flatnonzero(layout.placed == number)
        local = np.full(n_territories + 1, -1, np.int32)
        local[territories] = np.arange(len(territories), dtype=np.int32)
        graph, is_kept = merged.graph.restricted_with_links(nodes)
        components.append(
            Component(
                graph=graph,
                x_m=x_m[nodes],
                y_m=y_m[nodes],
                weight=node_weight[nodes],
                activity=activity[nodes],
                edge_weight=merged.edge_weight[is_kept],
                lock=local[merged.lock[nodes]],
                targets=layout.targets[territories],
                anchor_x_m=anchor_x[territories],
                anchor_y_m=anchor_y[territories],
                pull=pull[territories],
                objective=parameters.objective,
                max_radius_m=parameters.requirements.max_radius_m or np.inf,
            )
        )
    return components


def _edge_weights(graph: Graph, parameters: Parameters) -> FloatArray:
    """(nnz,) 1 for every link, less what keeping a discouraged pair together costs."""
    weights = np.ones(len(graph.indices))
    wishes = parameters.requirements
    if not len(wishes.discouraged_edges):
        return weights
    keys = graph.keys_of(wishes.discouraged_edges)
    assert wishes.discouragements is not None
    strengths = np.concatenate((wishes.discouragements, wishes.discouragements))
    order = np.argsort(keys, kind="stable")
    keys, strengths = keys[order], strengths[order]
    links = graph.link_keys()
    place = np.minimum(np.searchsorted(keys, links), len(keys) - 1)
    return np.where(keys[place] == links, weights - strengths[place], weights)


def _close(
    instance: Instance, graph: Graph, merged: Merged, parameters: Parameters
) -> tuple[IntArray, list[Violation]]:
    """(n_units,) closed territory of each unit, or -1, pockets taken in."""
    unit_lock = merged.lock[merged.node]
    wanted = parameters.requirements.closed
    closed = np.where(np.isin(unit_lock, wanted), unit_lock, np.int32(-1))
    if not wanted:
        return closed, []
    n_open = parameters.n_territories - len(np.unique(closed[closed >= 0]))
    violations = []
    label = _label_open(merged, closed < 0)[merged.node]
    if n_open == 0 or label.max() < 0:
        return closed, []
    work = weighted_counts(label[label >= 0], instance.activity[label >= 0, 0], label.max() + 1)
    target = work.sum() / n_open
    for pocket in np.argsort(work, kind="stable")[:-1].tolist():
        if work[pocket] >= LEAST_POCKET * target:
            break
        units = np.flatnonzero(label == pocket)
        around = np.concatenate([graph.neighbours(unit) for unit in units.tolist()])
        owners = closed[around]
        owners = owners[owners >= 0]
        if not owners.size:
            continue
        owner = int(np.argmax(np.bincount(owners)))
        closed[units] = owner
        violations.append(
            Violation(
                "lock_ignored",
                f"closed territory {owner} takes in {units.size} units that closed territories "
                f"cut off, unit {units[0]} among them",
                {"territory": owner, "unit": int(units[0]), "n_units": int(units.size)},
                {"field": "closed", "value": owner, "action": "leave out"},
            )
        )
    return closed, violations


def _label_open(merged: Merged, is_open_unit: BoolArray) -> IntArray:
    """(n_nodes,) component of each open node, -1 for closed ones."""
    is_open = np.zeros(merged.n_nodes, np.bool_)
    is_open[merged.node[is_open_unit]] = True
    label = np.full(merged.n_nodes, -1, np.int32)
    nodes = np.flatnonzero(is_open).astype(np.int32)
    if nodes.size:
        label[nodes] = connected_components(merged.graph.restricted_to(nodes))
    return label


def _open_shares(parameters: Parameters, closed: IntArray) -> FloatArray:
    shares = np.ones(parameters.n_territories)
    if parameters.shares is not None:
        shares = np.array(parameters.shares)
    shares[closed] = 0.0
    total = shares.sum()
    return shares / total if total > 0 else shares


def _place(
    instance: Instance,
    merged: Merged,
    label: IntArray,
    shares: FloatArray,
    parameters: Parameters,
    incumbent: IntArray | None,
) -> tuple[IntArray, list[Violation]]:
    """(k,) component of each open territory: that of its locks, centre or past, or apportioned."""
    is_open_node = label >= 0
    open_territories = np.flatnonzero(shares > 0)
    placed = np.full(len(shares), -1, np.int32)
    if not is_open_node.any():
        return placed, []
    hints = np.full(len(shares), -1, np.int32)
    if incumbent is not None:
        hints = _main_components(instance, label[merged.node], incumbent, len(shares))
    for centre in parameters.requirements.centres:
        squares = (instance.x_m - centre.x_m) ** 2 + (instance.y_m - centre.y_m) ** 2
        squares[label[merged.node] < 0] = np.inf
        hints[centre.territory] = label[merged.node[np.argmin(squares)]]
    locked = np.flatnonzero((merged.lock >= 0) & is_open_node)
    hints[merged.lock[locked]] = label[locked]
    n_nodes = np.bincount(label[is_open_node])
    work = weighted_counts(
        label[is_open_node], merged.sums(instance.activity[:, 0])[is_open_node], len(n_nodes)
    )
    placed[open_territories] = place_shares(
        work, shares[open_territories], n_nodes, hints[open_territories]
    )
    ignored = [
        Violation(
            "lock_ignored",
            f"the units locked to territory {territory} lie in component {label[node]}, which "
            "has no room for it: every component needs a territory",
            {"territory": int(territory), "component": int(label[node])},
            {"field": "n_territories", "value": parameters.n_territories + 1},
        )
        for node, territory in zip(locked, merged.lock[locked], strict=True)
        if placed[territory] != label[node]
    ]
    return placed, ignored


def _main_components(
    instance: Instance, unit_label: IntArray, incumbent: IntArray, n_territories: int
) -> IntArray:
    """(k,) component in which each territory of the incumbent has most activity, or -1."""
    is_known = (incumbent >= 0) & (unit_label >= 0)
    n_components = int(unit_label.max()) + 1
    cell = incumbent[is_known].astype(np.int64) * n_components + unit_label[is_known]
    # Units without activity count a little, or a territory of nothing but them had no home.
    work = instance.activity[is_known, 0]
    work = work + 1e-9 * (work.mean() if work.size else 1.0)
    sums = np.bincount(cell, work, n_territories * n_components)
    table = sums.reshape(n_territories, n_components)
    return np.where(table.any(axis=1), table.argmax(axis=1), -1).astype(np.int32)


def _without_locks(merged: Merged, label: IntArray, placed: IntArray) -> Merged:
    """Drop the locks to territories that lie in another component."""
    is_wrong = (merged.lock >= 0) & (label >= 0) & (placed[merged.lock] != label)
    return replace(merged, lock=np.where(is_wrong, np.int32(-1), merged.lock))
