"""What is wanted of a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from balancing.errors import ParameterError
from balancing.requirements import Requirements

Objective = Literal["moment_of_inertia", "total_distance", "cut_edges"]

# Rounding in decimal fractions typed by people ("0.333, 0.333, 0.334") stays far below this.
SHARE_SUM_SLACK = 1e-6


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Wishes for a plan; bad values are refused when made.

    Parameters
    ----------
    n_territories
        Number of territories.
    tolerances
        Per measure the allowed |imbalance|, a fraction in (0, 1]; the first is the primary's.
    weights
        Per measure how dearly a breach of its tolerance is held against a plan; empty means
        equal.
    shares
        Per territory its wanted part of every measure, positive, summing to 1; None means
        equal parts. With several components the solver decides which territory lies where,
        the largest shares first to the component with most activity still uncovered.
    objective
        What is made small inside the tolerances: `moment_of_inertia`, weight times squared
        distance to the territory's weighted centroid; `total_distance`, weight times distance
        to the territory's centre, the unit for which that is least; `cut_edges`, adjacencies
        between territories. The weight is the instance's.
    n_starts
        Independent starts to choose from; more costs time and buys compactness.
    requirements
        Wishes that name units, edges or territories.

    Raises
    ------
    ParameterError
        With `field` and, for sequences, `index`.
    """

    n_territories: int
    tolerances: tuple[float, ...] = (0.05,)
    weights: tuple[float, ...] = ()
    shares: tuple[float, ...] | None = None
    objective: Objective = "moment_of_inertia"
    n_starts: int = 4
    requirements: Requirements = field(default_factory=Requirements)

    def __post_init__(self) -> None:
        _check_count(self.n_territories, "n_territories")
        _check_count(self.n_starts, "n_starts")
        self._check_tolerances()
        self._check_weights()
        self._check_shares()
        if self.objective not in get_args(Objective):
            raise ParameterError(f"unknown objective {self.objective!r}", field="objective")

    def _check_tolerances(self) -> None:
        tolerances = _as_floats(self.tolerances, "tolerances")
        if not tolerances:
            raise ParameterError("at least one tolerance is needed", field="tolerances")
        for index, tolerance in enumerate(tolerances):
            if not 0 < tolerance <= 1:
                raise ParameterError(
                    f"tolerances[{index}] is {tolerance}; a fraction in (0, 1] is needed",
                    field="tolerances",
                    index=index,
                )
        object.__setattr__(self, "tolerances", tolerances)

    def _check_weights(self) -> None:
        weights = _as_floats(self.weights, "weights") or (1.0,) * len(self.tolerances)
        if len(weights) != len(self.tolerances):
            raise ParameterError(
                f"{len(weights)} weights for {len(self.tolerances)} tolerances", field="weights"
            )
        _refuse_non_positive(weights, "weights")
        object.__setattr__(self, "weights", weights)

    def _check_shares(self) -> None:
        if self.shares is None:
            return
        shares = _as_floats(self.shares, "shares")
        if len(shares) != self.n_territories:
            raise ParameterError(
                f"{len(shares)} shares for {self.n_territories} territories", field="shares"
            )
        _refuse_non_positive(shares, "shares")
        if abs(math.fsum(shares) - 1) > SHARE_SUM_SLACK:
            raise ParameterError(f"shares sum to {math.fsum(shares)}, not 1", field="shares")
        object.__setattr__(self, "shares", shares)


def _check_count(value: object, field: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ParameterError(f"{field} is {value!r}; a whole number from 1 is needed", field=field)


def _as_floats(values: object, field: str) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ParameterError(f"{field} must be a sequence of numbers", field=field) from None


def _refuse_non_positive(values: tuple[float, ...], field: str) -> None:
    for index, value in enumerate(values):
        if not 0 < value < math.inf:
            raise ParameterError(
                f"{field}[{index}] is {value}; a positive number is needed",
                field=field,
                index=index,
            )
