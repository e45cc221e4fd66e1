"""Work per customer: visits × (service + travel to neighbours), in minutes per year.

The model is additive over customers, so borders can move without estimating anything again; sparse
ground costs more because the neighbours are farther. Formulae and defaults: docs/workload.md.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import floor
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from app.settings import WorkSettings

Floats = NDArray[np.float64]
Classes = Sequence[str] | NDArray[np.str_]

# The due date of who was never visited: long past.
NEVER_VISITED = date(1, 1, 1)
# Whoever is visited less often is due after a hundred years; the sum must stay a date.
FEWEST_VISITS = 0.01


def visits_per_year(
    settings: WorkSettings,
    classes: Classes,
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
    classes: Classes,
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
    service = service_minutes(settings, classes, service_overrides)
    return minutes_per_year(settings, visits, service, neighbour_distance_m)


def service_minutes(settings: WorkSettings, classes: Classes, overrides: Floats) -> Floats:
    """Return the minutes on site of each customer, (n,); overrides are NaN where there is none."""
    by_class = _by_class(settings, classes, "service_minutes")
    return np.where(np.isnan(overrides), by_class, overrides)


def minutes_per_year(
    settings: WorkSettings, visits: Floats, service: Floats, neighbour_distance_m: Floats
) -> Floats:
    """Return the minutes per year of (n,) customers from their visits and minutes on site."""
    per_visit = service + settings.admin_minutes + travel_minutes(settings, neighbour_distance_m)
    # Hundredths of a minute: finer differences would rewrite rows without meaning anything.
    return np.asarray(np.round(visits * per_visit, 2))


def due_on(visits: float, last_visit_at: datetime | None, time_zone: str) -> date | None:
    """Return the local date by which the next visit is due, None when none is wanted.

    The visit is overdue from the day after, when more than 365 / `visits` days have passed since
    the local date of the last one.
    """
    if visits <= 0:
        return None
    if last_visit_at is None:
        return NEVER_VISITED
    visited_at = last_visit_at.astimezone(UTC).astimezone(ZoneInfo(time_zone))
    return visited_at.date() + timedelta(days=floor(365 / max(visits, FEWEST_VISITS)))


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


def _by_class(settings: WorkSettings, classes: Classes, attribute: str) -> Floats:
    fallback = settings.classes[settings.default_class]
    names, which = np.unique(np.asarray(classes, dtype=np.str_), return_inverse=True)
    values = [getattr(settings.classes.get(name, fallback), attribute) for name in names.tolist()]
    return np.array(values, dtype=np.float64)[which]
