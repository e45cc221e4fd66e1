"""Why a plan does not hold what was asked, in a form programs can read."""

from __future__ import annotations

import numpy as np

from balancing.arrays import FloatArray
from balancing.instance import Instance
from balancing.parameters import Parameters
from balancing.result import ComponentSummary, Facts, Violation, ViolationCode

# Imbalances are quotients of sums; a hair above a typed tolerance is not a breach.
ROUNDING = 1e-9


def find_violations(
    instance: Instance,
    parameters: Parameters,
    targets: FloatArray,
    imbalance: FloatArray,
    components: tuple[ComponentSummary, ...],
) -> tuple[Violation, ...]:
    """Return the reasons, causes first; empty if and only if every tolerance holds.

    Causes (`unit_too_heavy`, `component_share`, `component_too_small`,
    `more_territories_than_units`) are proofs that the tolerance cannot hold with this
    number of territories; `tolerance_not_met` states what was reached.
    """
    found: list[Violation] = []
    for measure, tolerance in enumerate(parameters.tolerances):
        breached = np.abs(imbalance[:, measure]) > tolerance + ROUNDING
        if breached.any():
            found += _heavy_units(instance, targets, measure, tolerance)
            found += _component_causes(instance, components, measure, tolerance)
            found.append(_tolerance_not_met(instance, imbalance, measure, tolerance))
    return tuple(found)


def _heavy_units(
    instance: Instance, targets: FloatArray, measure: int, tolerance: float
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
    return [Violation("unit_too_heavy", message, facts)]


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
        found.append(Violation(code, message, facts))
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
    return Violation("tolerance_not_met", message, facts)
