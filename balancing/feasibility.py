"""Why a plan does not hold what was asked, in a form programs can read."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray, IntArray
from balancing.instance import Instance
from balancing.layout import Layout
from balancing.parameters import Parameters
from balancing.result import ComponentSummary, Facts, Violation, ViolationCode

# Imbalances are quotients of sums; a hair above a typed tolerance is not a breach.
ROUNDING = 1e-9


def find_violations(
    instance: Instance,
    parameters: Parameters,
    layout: Layout,
    alignment: IntArray,
    sums: FloatArray,
    imbalance: FloatArray,
    components: tuple[ComponentSummary, ...],
    radius_m: FloatArray,
) -> tuple[Violation, ...]:
    """Return the reasons, causes first; empty if and only if everything asked for holds.

    Wishes that contradict each other or the graph come first. Causes (`unit_too_heavy`,
    `group_too_heavy`, `locks_too_heavy`, `component_share`, `component_too_small`,
    `more_territories_than_units`, `limits_cannot_hold`) are proofs that a tolerance or limit
    cannot hold with this number of territories; `tolerance_not_met`, `limit_not_met` and
    `radius_exceeded` state what was reached. The relaxation of those three is what the
    returned plan does hold, so asking for that instead is sure to succeed.
    """
    found = list(layout.violations)
    targets = layout.targets
    for measure, tolerance in enumerate(parameters.tolerances):
        breached = np.abs(imbalance[:, measure]) > tolerance + ROUNDING
        if breached.any():
            found += _heavy_units(instance, parameters, targets, measure, tolerance)
            found += _heavy_nodes(instance, layout, measure, tolerance)
            found += _component_causes(instance, components, measure, tolerance)
            found.append(_tolerance_not_met(instance, imbalance, measure, tolerance))
        found += _limits(instance, parameters, layout, sums, measure)
    found += _radius(instance, parameters, alignment, radius_m)
    return tuple(found)


def _heavy_units(
    instance: Instance,
    parameters: Parameters,
    targets: FloatArray,
    measure: int,
    tolerance: float,
) -> list[Violation]:
    largest_target = float(targets[:, measure].max())
    activity = instance.activity[:, measure]
    heavy = np.flatnonzero(activity > largest_target * (1 + tolerance + ROUNDING))
    if not heavy.size:
        return []
    unit = int(heavy[np.argmax(activity[heavy])])
    name = instance.measure_names[measure]
    ratio = float(activity[unit] / largest_target)
    message = (
        f"{heavy.size} units carry more {name} than a territory may; unit {unit} carries "
        f"{ratio:.2f} of the largest target"
    )
    facts: Facts = {
        "measure": name,
        "unit": unit,
        "activity": float(activity[unit]),
        "largest_target": largest_target,
        "ratio": ratio,
        "n_units": int(heavy.size),
    }
    largest_count = int(parameters.n_territories * (1 + tolerance) / ratio)
    relaxation: Facts = (
        {"field": "n_territories", "value": largest_count}
        if largest_count >= 1
        else {"field": "tolerances", "index": measure, "value": ratio - 1}
    )
    return [Violation("unit_too_heavy", message, facts, relaxation)]


def _heavy_nodes(
    instance: Instance, layout: Layout, measure: int, tolerance: float
) -> list[Violation]:
    """Groups, and sets of locked units, that are too heavy though no unit of them is."""
    merged = layout.merged
    is_set = np.bincount(merged.node, minlength=merged.n_nodes) > 1
    loads = merged.sums(instance.activity[:, measure])
    largest = float(layout.targets[:, measure].max())
    name = instance.measure_names[measure]
    found = []
    for node in np.flatnonzero(is_set & (layout.label >= 0)):
        territory = int(merged.lock[node])
        target = largest if territory < 0 else float(layout.targets[territory, measure])
        if loads[node] <= target * (1 + tolerance + ROUNDING) or target <= 0:
            continue
        ratio = float(loads[node] / target)
        unit = int(np.flatnonzero(merged.node == node)[0])
        facts: Facts = {"measure": name, "unit": unit, "ratio": ratio}
        if territory < 0:
            message = (
                f"the group of unit {unit} carries {ratio:.2f} of the largest target of {name}"
            )
            relaxation: Facts = {"field": "groups", "action": "leave out"}
            found.append(Violation("group_too_heavy", message, facts, relaxation))
        else:
            message = (
                f"what is locked to territory {territory} carries {ratio:.2f} of its target "
                f"of {name}"
            )
            relaxation = {"field": "locks", "action": "leave out"}
            facts = {**facts, "territory": territory}
            found.append(Violation("locks_too_heavy", message, facts, relaxation))
    return found


def _limits(
    instance: Instance,
    parameters: Parameters,
    layout: Layout,
    sums: FloatArray,
    measure: int,
) -> list[Violation]:
    """Hard limits: proof that one cannot hold, and what was reached."""
    wishes, name = parameters.requirements, instance.measure_names[measure]
    is_open = layout.shares > 0
    found = []
    for field, sign in (("least", 1.0), ("most", -1.0)):
        limits = getattr(wishes, field)
        limit = limits[measure] if limits else None
        if limit is None:
            continue
        shortfall = sign * (limit - sums[:, measure])
        shortfall = np.where(is_open, shortfall, -np.inf)
        if shortfall.max() <= ROUNDING * max(limit, 1.0):
            continue
        total = float(sums[is_open, measure].sum())
        n_open = int(np.count_nonzero(is_open))
        if sign * (limit * n_open - total) > 0:
            word = "more" if sign > 0 else "less"
            value = int(total / limit) if sign > 0 else int(np.ceil(total / max(limit, 1e-300)))
            found.append(
                Violation(
                    "limits_cannot_hold",
                    f"{n_open} territories of {limit:g} {name} come to {word} than the "
                    f"{total:g} there are",
                    {"measure": name, "field": field, "limit": limit, "total": total},
                    {"field": "n_territories", "value": max(value, 1)},
                )
            )
        territory = int(np.argmax(shortfall))
        reached = float(sums[territory, measure])
        found.append(
            Violation(
                "limit_not_met",
                f"territory {territory} has {reached:g} {name}; at {field} {limit:g} are asked",
                {
                    "measure": name, "field": field, "limit": limit, "territory": territory,
                    "reached": reached,
                },
                {"field": field, "index": measure, "value": reached},
            )
        )  # fmt: skip
    return found


def _radius(
    instance: Instance, parameters: Parameters, alignment: IntArray, radius_m: FloatArray
) -> list[Violation]:
    limit = parameters.requirements.max_radius_m
    if limit is None or radius_m.max() <= limit * (1 + ROUNDING):
        return []
    territory = int(np.argmax(radius_m))
    reached = float(radius_m[territory])
    n_over = int(np.count_nonzero(radius_m > limit))
    message = (
        f"{n_over} territories reach farther than {limit:g} m from their centre; "
        f"territory {territory} reaches {reached:.0f} m"
    )
    facts: Facts = {
        "territory": territory, "radius_m": reached, "limit_m": limit, "n_territories": n_over,
    }  # fmt: skip
    return [
        Violation("radius_exceeded", message, facts, {"field": "max_radius_m", "value": reached})
    ]


def _component_causes(
    instance: Instance,
    components: tuple[ComponentSummary, ...],
    measure: int,
    tolerance: float,
) -> list[Violation]:
    name = instance.measure_names[measure]
    found = []
    for component in components:
        forced = component.forced_imbalance[measure]
        if abs(forced) <= tolerance + ROUNDING:
            continue
        facts: Facts = {
            "measure": name,
            "component": component.component,
            "n_units": component.n_units,
            "activity": component.activity[measure],
            "n_territories": component.n_territories,
            "forced_imbalance": forced,
            "tolerance": tolerance,
        }
        code, why = _component_reason(component, forced)
        message = (
            f"component {component.component} {why}: its {component.n_territories} "
            f"territories are off by {forced:+.1%} of {name} on average"
        )
        relaxation: Facts = {"field": "tolerances", "index": measure, "value": abs(forced)}
        found.append(Violation(code, message, facts, relaxation))
    return found


def _component_reason(component: ComponentSummary, forced: float) -> tuple[ViolationCode, str]:
    if forced < 0 and component.n_territories == 1:
        return "component_too_small", "carries less than a territory"
    if forced > 0 and component.n_territories == component.n_units:
        return "more_territories_than_units", "has no units left for the territories it deserves"
    return "component_share", "does not carry a whole number of territories"


def _tolerance_not_met(
    instance: Instance, imbalance: FloatArray, measure: int, tolerance: float
) -> Violation:
    size = np.abs(imbalance[:, measure])
    territory = int(np.argmax(size))
    n_breaching = int(np.count_nonzero(size > tolerance + ROUNDING))
    name = instance.measure_names[measure]
    message = (
        f"{n_breaching} territories miss the tolerance of {tolerance:.2%} on {name}; "
        f"territory {territory} is off by {imbalance[territory, measure]:+.2%}"
    )
    facts: Facts = {
        "measure": name,
        "tolerance": tolerance,
        "worst_imbalance": float(size[territory]),
        "territory": territory,
        "n_territories": n_breaching,
    }
    relaxation: Facts = {"field": "tolerances", "index": measure, "value": float(size[territory])}
    return Violation("tolerance_not_met", message, facts, relaxation)
