"""From a finished alignment to a result: scores, components, reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.centres import centre_units, centroids
from balancing.component import Found
from balancing.feasibility import find_violations
from balancing.graph import Graph
from balancing.instance import Instance
from balancing.layout import Layout
from balancing.measures import (
    cut_edges,
    imbalance,
    moments_of_inertia,
    territory_sums,
    weighted_counts,
)
from balancing.parameters import Parameters
from balancing.result import ComponentSummary, Result, StopReason


@dataclass(frozen=True, eq=False)
class Compactness:
    """How compact a plan is; what each means stands in `Result`.

    Attributes
    ----------
    centre_x_m, centre_y_m, centre_unit, radius_m, moment_of_inertia
        (k,) of each territory.
    cut_edges, objective_value
        Of the plan.
    """

    centre_x_m: FloatArray
    centre_y_m: FloatArray
    centre_unit: IntArray
    radius_m: FloatArray
    moment_of_inertia: FloatArray
    cut_edges: int
    objective_value: float


def compactness(
    instance: Instance, parameters: Parameters, graph: Graph, alignment: IntArray
) -> Compactness:
    """Return how compact an alignment is; `graph` has the bridges and lacks what barriers cut."""
    weight = instance.compactness_weight
    centre_x, centre_y, centre_unit = _centres(instance, parameters, alignment)
    inertia = moments_of_inertia(
        instance.x_m, instance.y_m, instance.activity[:, 0], alignment, parameters.n_territories
    )
    n_cut = cut_edges(graph, alignment)
    if parameters.objective == "moment_of_inertia":
        value = _drawn_inertia(instance, parameters, alignment)
    elif parameters.objective == "total_distance":
        away = np.hypot(instance.x_m - centre_x[alignment], instance.y_m - centre_y[alignment])
        value = float(np.sum(weight * away))
    else:
        value = float(n_cut)
    return Compactness(
        centre_x_m=centre_x,
        centre_y_m=centre_y,
        centre_unit=centre_unit,
        radius_m=_radii(instance, alignment, centre_x, centre_y),
        moment_of_inertia=inertia,
        cut_edges=n_cut,
        objective_value=value,
    )


def score(
    instance: Instance,
    parameters: Parameters,
    layout: Layout,
    alignment: IntArray,
    seed: int,
    found: list[Found],
    is_cancelled: bool,
) -> Result:
    """Return the result of an alignment, every score computed from scratch."""
    n_territories = parameters.n_territories
    sums = territory_sums(instance.activity, alignment, n_territories)
    deviation = imbalance(sums, layout.targets)
    components = _summaries(instance, layout)
    shape = compactness(instance, parameters, layout.graph, alignment)
    radius_m = shape.radius_m
    violations = find_violations(
        instance, parameters, layout, alignment, sums, deviation, components, radius_m
    )
    spreads = [outcome.spread for outcome in found if outcome.spread is not None]
    return Result(
        alignment=alignment,
        n_territories=n_territories,
        measure_names=instance.measure_names,
        sums=sums,
        targets=layout.targets,
        imbalance=deviation,
        territory_component=layout.placed,
        moment_of_inertia=shape.moment_of_inertia,
        total_moment_of_inertia=float(shape.moment_of_inertia.sum()),
        cut_edges=shape.cut_edges,
        objective=parameters.objective,
        objective_value=shape.objective_value,
        centre_x_m=shape.centre_x_m,
        centre_y_m=shape.centre_y_m,
        centre_unit=shape.centre_unit,
        radius_m=radius_m,
        bridges=_used_bridges(parameters, alignment),
        n_starts=max((outcome.n_starts for outcome in found), default=0),
        start_spread=max(spreads, default=None),
        components=components,
        violations=violations,
        seed=seed,
        stop_reason=_stop_reason(is_cancelled, not violations),
    )


def _stop_reason(is_cancelled: bool, is_balanced: bool) -> StopReason:
    if is_cancelled:
        return "cancelled"
    return "balanced" if is_balanced else "budget_spent"


def _summaries(instance: Instance, layout: Layout) -> tuple[ComponentSummary, ...]:
    n_components = layout.n_components
    label, placed = layout.unit_label, layout.placed
    is_open = layout.closed < 0
    n_units = np.bincount(label[is_open], minlength=n_components)
    is_placed = placed >= 0
    n_territories = np.bincount(placed[is_placed], minlength=n_components)
    activity = territory_sums(instance.activity[is_open], label[is_open], n_components)
    wanted = territory_sums(layout.targets[is_placed], placed[is_placed], n_components)
    forced = imbalance(activity, wanted)
    return tuple(
        ComponentSummary(
            component=component,
            n_units=int(n_units[component]),
            activity=tuple(activity[component].tolist()),
            n_territories=int(n_territories[component]),
            forced_imbalance=tuple(forced[component].tolist()),
        )
        for component in range(n_components)
    )


def _centres(
    instance: Instance, parameters: Parameters, alignment: IntArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """(k,) x and y of the centres as the objective counts them, (k,) centre units or -1."""
    n_territories, weight = parameters.n_territories, instance.compactness_weight
    units = np.full(n_territories, -1, np.int32)
    if parameters.objective == "total_distance":
        units = centre_units(instance.x_m, instance.y_m, weight, alignment, n_territories)
        x, y = instance.x_m[units], instance.y_m[units]
    else:
        x, y = centroids(instance.x_m, instance.y_m, weight, alignment, n_territories)
    for centre in parameters.requirements.centres:
        territory = centre.territory
        x[territory] += centre.pull * (centre.x_m - x[territory])
        y[territory] += centre.pull * (centre.y_m - y[territory])
        units[territory] = -1
    return x, y, units


def _drawn_inertia(instance: Instance, parameters: Parameters, alignment: IntArray) -> float:
    """Weight times squared distance to own centroids, and by its pull to a given centre."""
    n_territories, weight = parameters.n_territories, instance.compactness_weight
    own = moments_of_inertia(instance.x_m, instance.y_m, weight, alignment, n_territories)
    x, y = centroids(instance.x_m, instance.y_m, weight, alignment, n_territories)
    mass = weighted_counts(alignment, weight, n_territories)
    total = float(own.sum())
    for centre in parameters.requirements.centres:
        square = (x[centre.territory] - centre.x_m) ** 2 + (y[centre.territory] - centre.y_m) ** 2
        total += float(centre.pull * mass[centre.territory] * square)
    return total


def _radii(
    instance: Instance, alignment: IntArray, centre_x: FloatArray, centre_y: FloatArray
) -> FloatArray:
    away = np.hypot(instance.x_m - centre_x[alignment], instance.y_m - centre_y[alignment])
    radii = np.zeros(len(centre_x))
    is_carrying = instance.activity[:, 0] > 0
    np.maximum.at(radii, alignment[is_carrying], away[is_carrying])
    return radii


def _used_bridges(parameters: Parameters, alignment: IntArray) -> IntArray:
    bridges = parameters.requirements.bridges
    used: IntArray = bridges[alignment[bridges[:, 0]] == alignment[bridges[:, 1]]]
    return used
