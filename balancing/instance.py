"""What is to be divided: units, where they lie, what they carry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from balancing.arrays import FloatArray
from balancing.errors import InstanceError
from balancing.graph import Graph


@dataclass(frozen=True, eq=False)
class Instance:
    """Units of a territory-design problem.

    The order of the units is part of the input: the same units in another order may give
    another plan. A caller who wants plans independent of row order hands the units in sorted
    by a key of their own (for cells: the cell id).

    Parameters
    ----------
    graph
        Which units touch.
    x_m, y_m
        (n_units,) coordinates in metres in one planar equal-area projection.
    activity
        (n_units, n_measures) finite and not negative; column 0 is the primary measure, which
        must not be zero everywhere.
    measure_names
        One unique name per column.
    weight
        (n_units,) what distances are weighted by, finite and not negative; by default the
        primary measure.

    Raises
    ------
    InstanceError
        With `field` and, where a row is to blame, `index`.
    """

    graph: Graph
    x_m: FloatArray
    y_m: FloatArray
    activity: FloatArray
    measure_names: tuple[str, ...] = ("activity",)
    weight: FloatArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "measure_names", tuple(self.measure_names))
        for field, n_dimensions in (("x_m", 1), ("y_m", 1), ("activity", 2)):
            array = _as_finite(getattr(self, field), field, n_dimensions, self.graph.n_units)
            object.__setattr__(self, field, array)
        _check_activity(self.activity)
        if self.weight is not None:
            weight = _as_finite(self.weight, "weight", 1, self.graph.n_units)
            object.__setattr__(self, "weight", weight)
            _refuse_negative(weight, "weight")
        _check_names(self.measure_names, self.activity.shape[1])

    @property
    def compactness_weight(self) -> FloatArray:
        """(n_units,) what distances are weighted by."""
        return self.activity[:, 0] if self.weight is None else self.weight

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.graph.n_units

    @property
    def n_measures(self) -> int:
        """Number of activity measures."""
        return int(self.activity.shape[1])


def _as_finite(values: object, field: str, n_dimensions: int, n_units: int) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.ndim != n_dimensions:
        shape = "(n_units,)" if n_dimensions == 1 else "(n_units, n_measures)"
        raise InstanceError(f"{field} must be numbers of shape {shape}", field=field)
    if len(array) != n_units:
        raise InstanceError(
            f"{field} has {len(array)} rows for {n_units} units", field=field, n_units=n_units
        )
    faults = np.argwhere(~np.isfinite(array))
    if faults.size:
        index = int(faults[0][0])
        raise InstanceError(f"{field}[{index}] is not a finite number", field=field, index=index)
    return np.ascontiguousarray(array, dtype=np.float64)


def _check_activity(activity: FloatArray) -> None:
    if activity.shape[1] < 1:
        raise InstanceError("there is no measure", field="activity")
    _refuse_negative(activity, "activity")
    with np.errstate(over="ignore"):
        totals = activity.sum(axis=0)
    if not np.isfinite(totals).all():
        raise InstanceError("activity is too large to be summed", field="activity")
    if totals[0] == 0:
        raise InstanceError("the primary measure is zero everywhere", field="activity", measure=0)


def _refuse_negative(values: FloatArray, field: str) -> None:
    negatives = np.argwhere(values < 0)
    if negatives.size:
        index = int(negatives[0][0])
        raise InstanceError(f"{field}[{index}] is negative", field=field, index=index)


def _check_names(names: tuple[str, ...], n_measures: int) -> None:
    if len(names) != n_measures:
        raise InstanceError(
            f"{len(names)} measure names for {n_measures} measures", field="measure_names"
        )
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name or name in names[:index]:
            raise InstanceError(
                "measure names must be unique and not empty", field="measure_names", index=index
            )
