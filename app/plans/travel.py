"""Travel between a rep's home and the customers of a territory: the stem of a day's tour.

It is no sum over customers, so no part of the work that is balanced; it is computed on the finished
plan (docs/checking.md):

    stem = field days × 2 × minutes on the road from home to a customer, on average over customers
    field days = ⌈work / minutes in the field of a day⌉
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from app import workload
from app.settings import WorkSettings
from geo.distance import great_circle_m

Floats = NDArray[np.float64]


def stem_minutes(
    settings: WorkSettings,
    home: tuple[float, float],
    lon: Floats,
    lat: Floats,
    customers: Floats,
    work_minutes: float,
    day_minutes: float,
) -> float:
    """Return the minutes a year between home and customers.

    Parameters
    ----------
    home
        lon, lat.
    lon, lat, customers
        (n,) places and how many customers each is of.
    work_minutes
        A year's work on these customers.
    day_minutes
        Of a day, what is spent in the field.
    """
    if customers.sum() <= 0 or work_minutes <= 0:
        return 0.0
    distance_m = great_circle_m(home[0], home[1], lon, lat)
    mean_m = np.array([np.average(distance_m, weights=customers)])
    # The same road and speed as between customers, without what each stop takes.
    one_way = workload.travel_minutes(settings, mean_m)[0] - settings.fixed_travel_minutes
    return float(ceil(work_minutes / day_minutes) * 2 * one_way)
