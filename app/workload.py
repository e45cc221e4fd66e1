"""Work per customer: visits × (service + travel to neighbours), in minutes per year.

The model is additive over customers, so borders can move without estimating anything again; sparse
ground costs more because the neighbours are farther. Formulae and defaults: docs/workload.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.settings import WorkSettings

Floats = NDArray[np.float64]


def visits_per_year(
    settings: WorkSettings,
    classes: Sequence[str],
    overrides: Floats,
    is_inactive: NDArray[np.bool_],
) -> Floats:
    """Return the visits each customer is due.

    Parameters
    ----------
    settings
        Class table.
    classes
        Service class of each customer.
    overrides
        (n,) visits per year that win over the class, NaN where there is none.
    is_inactive
        (n,) customers that are not visited at all.
    """
    by_class = _by_class(settings, classes, "visits_per_year")
    visits = np.where(np.isnan(overrides), by_class, overrides)
    return np.where(is_inactive, 0.0, visits)


def work_minutes(
    settings: WorkSettings,
    classes: Sequence[str],
    visits: Floats,
    service_overrides: Floats,
    neighbour_distance_m: Floats,
) -> Floats:
    """Return the minutes per year that each customer takes, travel between neighbours included.

    Parameters
    ----------
    settings
        Class table, speeds, circuity.
    classes
        Service class of each customer.
    visits
        (n,) visits per year.
    service_overrides
        (n,) minutes on site that win over the class, NaN where there is none.
    neighbour_distance_m
        (n,) mean great-circle distance to the nearest customers.
    """
    by_class = _by_class(settings, classes, "service_minutes")
    service = np.where(np.isnan(service_overrides), by_class, service_overrides)
    per_visit = service + settings.admin_minutes + travel_minutes(settings, neighbour_distance_m)
    # Hundredths of a minute: finer differences would rewrite rows without meaning anything.
    return np.asarray(np.round(visits * per_visit, 2))


def travel_minutes(settings: WorkSettings, neighbour_distance_m: Floats) -> Floats:
    """Return the minutes between two visits: road distance at the speed of such ground."""
    distance_km = np.minimum(neighbour_distance_m / 1000, settings.longest_leg_km)
    speed_kmh = np.select(
        [distance_km < settings.urban_below_km, distance_km < settings.suburban_below_km],
        [settings.urban_speed_kmh, settings.suburban_speed_kmh],
        settings.rural_speed_kmh,
    )
    on_the_road = 60 * settings.circuity * distance_km / speed_kmh
    return np.asarray(on_the_road + settings.fixed_travel_minutes)


def _by_class(settings: WorkSettings, classes: Sequence[str], attribute: str) -> Floats:
    fallback = settings.classes[settings.default_class]
    values = {
        name: getattr(settings.classes.get(name, fallback), attribute) for name in set(classes)
    }
    return np.array([values[name] for name in classes], dtype=np.float64)
