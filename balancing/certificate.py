"""What anyone can check of a plan, as plain data: trees, sums, a bound, and what stays open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.bounds import Bound, surcharges, transport_bound
from balancing.centres import centroids
from balancing.compiled import compiled
from balancing.errors import VerificationError
from balancing.graph import Graph
from balancing.instance import Instance
from balancing.measures import weighted_counts
from balancing.parameters import Parameters
from balancing.result import Result, Violation
from balancing.verify import verify

ROOT = -1
IN_WORDS = {
    "moment_of_inertia": "moment of inertia",
    "total_distance": "total distance",
    "cut_edges": "number of cut edges",
}


@dataclass(frozen=True, eq=False)
class Certificate:
    """A plan's proof.

    Parameters
    ----------
    order
        (n_units,) units in an order in which each stands after its parent, territory by
        territory.
    parent
        (n_units,) the touching unit of the same territory that each unit hangs from, -1 for
        the one root of each territory.
    alignment, sums, targets, imbalance, cut_edges
        As in `Result`.
    centre_unit, bridges, violations, n_starts, start_spread
        As in `Result`.
    totals
        (n_measures,) sums over all units.
    loads
        (k,) what distances are weighted by, per territory.
    objective, objective_value
        What was made small, and what it comes to.
    centre_x_m, centre_y_m
        (k,) centres, drawn to given places where there are such.
    pull, place_x_m, place_y_m
        (k,) how strongly each centre is drawn, 0 for not at all, and to where.
    surcharge
        (k,) square metres that a drawn centre costs beside, 0 for free ones.
    bound
        What no plan with these centres and loads is below; None for cut edges.
    proven, not_proven
        Sentences.
    """

    order: IntArray
    parent: IntArray
    alignment: IntArray
    sums: FloatArray
    targets: FloatArray
    imbalance: FloatArray
    totals: FloatArray
    loads: FloatArray
    objective: str
    objective_value: float
    cut_edges: int
    centre_x_m: FloatArray
    centre_y_m: FloatArray
    centre_unit: IntArray
    pull: FloatArray
    place_x_m: FloatArray
    place_y_m: FloatArray
    surcharge: FloatArray
    bound: Bound | None
    bridges: IntArray
    violations: tuple[Violation, ...]
    n_starts: int
    start_spread: float | None
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]

    @property
    def gap(self) -> float | None:
        """How much dearer the plan is than the bound, as a part of the bound."""
        return None if self.bound is None else self.bound.gap(self.objective_value)


def certify(instance: Instance, parameters: Parameters, result: Result) -> Certificate:
    """Return the proof of a plan.

    Nothing is taken from the search: the plan is verified, trees are grown and the bound is
    computed from the alignment.

    Raises
    ------
    VerificationError
        When the plan is not what it says; a defect.
    """
    verify(instance, result, parameters)
    wishes, k = parameters.requirements, result.n_territories
    graph = instance.graph.edited(wishes.bridges, wishes.forbidden_edges)
    order, parent = grow_trees(graph, result.alignment, k)
    weight = instance.compactness_weight
    loads = weighted_counts(result.alignment, weight, k)
    pull, places = _given_places(parameters)
    extra = np.zeros(k)
    if parameters.objective == "moment_of_inertia":
        own = centroids(instance.x_m, instance.y_m, weight, result.alignment, k)
        _, extra = surcharges(np.stack(own, axis=1), pull, places)
    bound = transport_bound(
        instance.x_m, instance.y_m, weight, result.centre_x_m, result.centre_y_m, loads,
        parameters.objective, extra,
    )  # fmt: skip
    return Certificate(
        order=order,
        parent=parent,
        alignment=result.alignment,
        sums=result.sums,
        targets=result.targets,
        imbalance=result.imbalance,
        totals=instance.activity.sum(axis=0),
        loads=loads,
        objective=result.objective,
        objective_value=result.objective_value,
        cut_edges=result.cut_edges,
        centre_x_m=result.centre_x_m,
        centre_y_m=result.centre_y_m,
        centre_unit=result.centre_unit,
        pull=pull,
        place_x_m=places[:, 0],
        place_y_m=places[:, 1],
        surcharge=extra,
        bound=bound,
        bridges=result.bridges,
        violations=result.violations,
        n_starts=result.n_starts,
        start_spread=result.start_spread,
        proven=tuple(_proven(parameters, result, bound)),
        not_proven=tuple(_not_proven(parameters, result, pull)),
    )


def grow_trees(graph: Graph, alignment: IntArray, n_territories: int) -> tuple[IntArray, IntArray]:
    """Return `order` and `parent` of a breadth-first tree in each territory, from its first unit.

    Raises
    ------
    VerificationError
        When a territory is in several pieces.
    """
    _, roots = np.unique(alignment, return_index=True)
    grown = _grow(graph.indptr, graph.indices, alignment, roots.astype(np.int32))
    order, parent, n_reached = grown
    if len(roots) != n_territories or n_reached != graph.n_units:
        raise VerificationError(
            f"trees reach {n_reached} of {graph.n_units} units", n_reached=int(n_reached)
        )
    return order, parent


@compiled
def _grow(
    indptr: IntArray, indices: IntArray, alignment: IntArray, roots: IntArray
) -> tuple[IntArray, IntArray, int]:
    n_units = len(alignment)
    order = np.empty(n_units, np.int32)
    parent = np.full(n_units, ROOT, np.int32)
    is_reached = np.zeros(n_units, np.bool_)
    head = tail = 0
    for root in roots:
        order[tail] = root
        is_reached[root] = True
        tail += 1
        while head < tail:
            unit = order[head]
            head += 1
            for entry in range(indptr[unit], indptr[unit + 1]):
                neighbour = indices[entry]
                if not is_reached[neighbour] and alignment[neighbour] == alignment[unit]:
                    is_reached[neighbour] = True
                    parent[neighbour] = unit
                    order[tail] = neighbour
                    tail += 1
    return order, parent, tail


def _given_places(parameters: Parameters) -> tuple[FloatArray, FloatArray]:
    """(k,) pull of each territory's centre and (k, 2) the place it is drawn to."""
    pull, places = np.zeros(parameters.n_territories), np.zeros((parameters.n_territories, 2))
    for centre in parameters.requirements.centres:
        pull[centre.territory] = centre.pull
        places[centre.territory] = centre.x_m, centre.y_m
    return pull, places


def _proven(parameters: Parameters, result: Result, bound: Bound | None) -> list[str]:
    trees = (
        f"Every unit is in exactly one of {result.n_territories} territories, and every territory "
        "is connected: a tree of touching units spans it."
    )
    if len(result.bridges):
        trees += f" {len(result.bridges)} bridges inside territories count as touching."
    sentences = [trees, "The activity of each territory is the sum over its units."]
    for name, worst, tolerance in zip(
        result.measure_names, result.worst_imbalance.tolist(), parameters.tolerances, strict=True
    ):
        how_far = f"No territory is farther than {worst:.3%} from its target of {name}"
        if tolerance < 1:
            is_held = "within" if worst <= tolerance + 1e-9 else "not within"
            how_far += f", which is {is_held} the tolerance of {tolerance:.3%}"
        sentences.append(f"{how_far}.")
    if bound is not None:
        sentences.append(_bound_in_words(parameters, result, bound))
    return sentences


def _bound_in_words(parameters: Parameters, result: Result, bound: Bound) -> str:
    what, gap = IN_WORDS[parameters.objective], bound.gap(result.objective_value)
    how_far = "" if gap is None else f", {gap:.3%} above"
    return (
        f"No assignment with the same centres and the same weight in each territory has a {what} "
        f"below {bound.value:.6g}, not even one that splits units or tears territories; this plan "
        f"has {result.objective_value:.6g}{how_far}."
    )


def _not_proven(parameters: Parameters, result: Result, pull: FloatArray) -> list[str]:
    what = IN_WORDS[parameters.objective]
    if parameters.objective == "cut_edges":
        sentences = [
            f"No lower bound of the {what} is claimed: how far this plan is from the least is open."
        ]
    else:
        sentences = [
            "The bound is for the weight each territory ended with: other loads inside the "
            f"tolerances may have a smaller {what}.",
            "The bound knows nothing of contiguity, other measures, locks and borders: part of the "
            "gap may be what those cost.",
        ]
    if np.any(pull < 1):
        sentences.append(_search_in_words(result, what))
    if result.violations:
        sentences.append(
            "A violation says what was reached; unless it names a cause, nothing proves that no "
            "plan does better."
        )
    sentences.append(
        "Locks, groups, the radius and discouraged links were verified when the plan was made; the "
        "certificate does not repeat them."
    )
    return sentences


def _search_in_words(result: Result, what: str) -> str:
    opening = f"That no other centres give a smaller {what} is not proven: they come from a search"
    if result.start_spread is None or result.n_starts < 2:
        return f"{opening} whose starts cannot be compared."
    return (
        f"{opening} of {result.n_starts} starts, the dearest of which was "
        f"{result.start_spread:.2%} dearer than the cheapest: a hint, not a bound."
    )
