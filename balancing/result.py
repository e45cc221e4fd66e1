"""What a run hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from balancing.arrays import FloatArray, IntArray

StopReason = Literal["balanced", "budget_spent", "cancelled"]
Facts = Mapping[str, int | float | str]
ViolationCode = Literal[
    "tolerance_not_met",
    "unit_too_heavy",
    "component_share",
    "component_too_small",
    "more_territories_than_units",
    "limit_not_met",
    "limits_cannot_hold",
    "radius_exceeded",
    "locks_disconnected",
    "locks_too_heavy",
    "lock_ignored",
    "group_conflict",
    "group_disconnected",
    "group_too_heavy",
]


@dataclass(frozen=True)
class Violation:
    """One reason why a plan does not hold what was asked.

    Parameters
    ----------
    code
        What kind of reason, for programs.
    message
        One sentence, for people.
    facts
        Numbers and names behind it; keys depend on the code, see `feasibility`.
    relaxation
        The least change of the wishes that would do away with it, as far as is known: `field`
        of the parameters or requirements, `index` in it where it is a sequence, and `value`,
        or `action` "leave out".
    """

    code: ViolationCode
    message: str
    facts: Facts
    relaxation: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class ComponentSummary:
    """A connected component and what it was given.

    Parameters
    ----------
    component
        Its number, by lowest unit.
    n_units
        Units in it.
    activity
        (n_measures,) its sums.
    n_territories
        Territories apportioned to it.
    forced_imbalance
        (n_measures,) mean imbalance of its territories, which no alignment can change.
    """

    component: int
    n_units: int
    activity: tuple[float, ...]
    n_territories: int
    forced_imbalance: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Result:
    """A verified plan with its scores.

    Every unit is in exactly one territory; every territory is connected in the graph and not
    empty, whatever else could not be held.

    Parameters
    ----------
    alignment
        (n_units,) int32 territory of each unit, 0 to n_territories - 1. Without `shares` the
        territories are numbered by their lowest unit; with them, territory j has share j.
    n_territories
        Number of territories.
    measure_names
        Names of the columns below.
    sums, targets, imbalance
        (n_territories, n_measures) activity, wanted activity, (sum - target) / target.
    territory_component
        (n_territories,) component each territory lies in, -1 for closed ones.
    moment_of_inertia
        (n_territories,) primary activity times squared metres to its centroid.
    total_moment_of_inertia
        Sum of these.
    cut_edges
        Adjacencies between units of different territories.
    objective, objective_value
        What was made small, and what it came to: of the instance's weight, drawn centres
        counted as their pull says.
    centre_x_m, centre_y_m
        (n_territories,) centres: weighted centroids, or the centre unit's place where
        distance is the objective, drawn to where centres were given.
    centre_unit
        (n_territories,) centre units where distance is the objective, else -1.
    radius_m
        (n_territories,) distance of the farthest unit with activity from the centre.
    bridges
        (n, 2) bridges with both ends in one territory.
    n_starts, start_spread
        Starts the plan was chosen from, and how much dearer the dearest was than the
        cheapest: a hint at how much other centres could matter. None where not comparable.
    components
        What the graph fell into.
    violations
        Why the plan is not what was asked; empty when it is. Each says what would have to give
        way for it to go.
    seed
        Seed of the run.
    stop_reason
        "balanced": everything asked for holds; "budget_spent": the search ended without that;
        "cancelled": the observer asked to stop.
    """

    alignment: IntArray
    n_territories: int
    measure_names: tuple[str, ...]
    sums: FloatArray
    targets: FloatArray
    imbalance: FloatArray
    territory_component: IntArray
    moment_of_inertia: FloatArray
    total_moment_of_inertia: float
    cut_edges: int
    objective: str
    objective_value: float
    centre_x_m: FloatArray
    centre_y_m: FloatArray
    centre_unit: IntArray
    radius_m: FloatArray
    bridges: IntArray
    n_starts: int
    start_spread: float | None
    components: tuple[ComponentSummary, ...]
    violations: tuple[Violation, ...]
    seed: int
    stop_reason: StopReason

    @property
    def is_feasible(self) -> bool:
        """Whether everything that was asked for holds."""
        return not self.violations

    @property
    def worst_imbalance(self) -> FloatArray:
        """(n_measures,) largest |imbalance| of any territory."""
        worst: FloatArray = np.abs(self.imbalance).max(axis=0)
        return worst
