"""What a rebalance may cost those who are moved."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from balancing.arrays import BoolArray, FloatArray
from balancing.errors import ParameterError
from balancing.instance import Instance


@dataclass(frozen=True, eq=False)
class MoveLimit:
    """How much of something may move.

    Parameters
    ----------
    name
        What it is: work, customers, revenue.
    weight
        (n_units,) finite and not negative.
    share
        Part of the sum over all units that may be in another territory than before, in
        [0, 1]; 1 only measures.

    Raises
    ------
    ParameterError
        With `field` and, where a unit is to blame, `index`.
    """

    name: str
    weight: FloatArray
    share: float = 1.0

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight, dtype=np.float64)
        object.__setattr__(self, "weight", weight)
        _refuse_negative(weight, "weight")
        if not 0 <= self.share <= 1:
            raise ParameterError(
                f"share is {self.share}; a fraction in [0, 1] is needed", field="share"
            )

    @property
    def parts(self) -> FloatArray:
        """(n_units,) each unit's part of the whole."""
        total = math.fsum(self.weight)
        parts: FloatArray = self.weight / total if total > 0 else np.zeros_like(self.weight)
        return parts


@dataclass(frozen=True, eq=False, kw_only=True)
class MovePolicy:
    """When a plan in force is changed, what moving costs, and how much may move.

    Parameters
    ----------
    prices
        Prices of moving a territory's worth of work, in mean territory objectives; one plan
        is searched for at each. The lower, the more moves for compactness; 0.3 was nearly
        free in compactness where it was measured (bench/RESULTS.md).
    limits
        Most that may move. They are hard: no plan beyond them is picked.
    most_units_per_territory
        Units that may leave or join any one territory, both counted together; None for any.
    is_protected
        (n_units,) units that may not move; None for none.
    price_factors
        (n_units,) what the price of moving each unit is multiplied by, not negative: above 1
        for units that moved lately, so that they do not go back and forth. None for 1.
    triggers
        Per measure the |imbalance| from which on something is done at all, at least the
        tolerance, which is what is returned to; empty for the tolerances themselves.
    most_objective
        Times the fresh plan's objective that a picked plan's may be.

    Raises
    ------
    ParameterError
        With `field` and, where there is one, `index`.
    """

    prices: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    limits: tuple[MoveLimit, ...] = ()
    most_units_per_territory: int | None = None
    is_protected: BoolArray | None = None
    price_factors: FloatArray | None = None
    triggers: tuple[float, ...] = ()
    most_objective: float = 1.1

    def __post_init__(self) -> None:
        if not self.prices:
            raise ParameterError("at least one price is needed", field="prices")
        for index, price in enumerate(self.prices):
            if not 0 <= price < math.inf:
                raise ParameterError(
                    f"prices[{index}] is {price}; a number from 0 is needed",
                    field="prices",
                    index=index,
                )
        names = [limit.name for limit in self.limits]
        if len(set(names)) < len(names):
            raise ParameterError("limits must have different names", field="limits")
        most = self.most_units_per_territory
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 0):
            raise ParameterError(
                f"most_units_per_territory is {most!r}; a whole number from 0 is needed",
                field="most_units_per_territory",
            )
        if self.is_protected is not None:
            object.__setattr__(self, "is_protected", np.asarray(self.is_protected, np.bool_))
        if self.price_factors is not None:
            factors = np.asarray(self.price_factors, dtype=np.float64)
            object.__setattr__(self, "price_factors", factors)
            _refuse_negative(factors, "price_factors")
        if not 1 <= self.most_objective < math.inf:
            raise ParameterError(
                f"most_objective is {self.most_objective}; a number from 1 is needed",
                field="most_objective",
            )

    def check_fit(self, instance: Instance, tolerances: tuple[float, ...]) -> None:
        """Refuse what has not one entry per unit, or triggers below the tolerances.

        Raises
        ------
        ParameterError
            With `field` and `index`.
        """
        arrays = {"is_protected": self.is_protected, "price_factors": self.price_factors}
        for index, limit in enumerate(self.limits):
            arrays[f"limits[{index}].weight"] = limit.weight
        for field, array in arrays.items():
            if array is not None and array.shape != (instance.n_units,):
                raise ParameterError(
                    f"{field} has {array.size} entries for {instance.n_units} units", field=field
                )
        if self.triggers and len(self.triggers) != len(tolerances):
            raise ParameterError(
                f"{len(self.triggers)} triggers for {len(tolerances)} measures", field="triggers"
            )
        for index, (trigger, tolerance) in enumerate(zip(self.triggers, tolerances, strict=False)):
            if not trigger >= tolerance:
                raise ParameterError(
                    f"triggers[{index}] is {trigger}, below the tolerance {tolerance}",
                    field="triggers",
                    index=index,
                )


def _refuse_negative(values: FloatArray, field: str) -> None:
    faults = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if faults.size:
        index = int(faults[0])
        raise ParameterError(
            f"{field}[{index}] is {values.flat[index]}; a number from 0 is needed",
            field=field,
            index=index,
        )
