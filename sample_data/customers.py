"""Twenty thousand fictional customers, scattered around the real cities of the Yangtze delta."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import shapely
from numpy.random import Generator
from numpy.typing import NDArray

from sample_data import vocabulary
from sample_data.sources import BOX_LON_LAT, distances_km, is_on_land, moved_by_km

N_CUSTOMERS = 20_000
BACKGROUND_SHARE = 0.06
CHINESE_NAME_SHARE = 0.12
TODAY = np.datetime64(date(2026, 11, 1))

# Shares, visits a year and minutes on site: workload defaults of the service. S is the middle
# of its range of 104 to 156 visits.
CLASSES = np.array(["S", "A", "B", "C", "D"])
N_OF_CLASS = (100, 4_000, 6_000, 9_300, 600)
VISITS_PER_YEAR = np.array([130, 36, 12, 4, 0])
SERVICE_MINUTES = np.array([45, 45, 30, 20, 0])

Points = NDArray[np.float64]
Indices = NDArray[np.int64]
Texts = NDArray[np.str_]


def make_customers(rng: Generator, places: pl.DataFrame, land: shapely.Geometry) -> pl.DataFrame:
    """Return the customers as columns of text, ready to be written."""
    lon_lat, place = _locations(rng, places, land)
    segment_names = np.array(list(vocabulary.SEGMENT_SHARES))
    shares = list(vocabulary.SEGMENT_SHARES.values())
    segment = segment_names[rng.choice(len(shares), N_CUSTOMERS, p=shares)]
    potential = _potential(rng, segment)
    rank = _class_ranks(rng, potential)
    status = _status(rng, rank)
    return pl.DataFrame(
        {
            "external_id": [f"YD-{number:06d}" for number in range(1, N_CUSTOMERS + 1)],
            "name": _names(rng, segment, places["name"].to_numpy()[place]),
            "lon": np.char.mod("%.6f", lon_lat[:, 0]),
            "lat": np.char.mod("%.6f", lon_lat[:, 1]),
            "class": CLASSES[rank],
            "segment": segment,
            "tags": _tags(rng),
            "status": status,
            "potential": np.char.mod("%d", potential),
            "revenue": np.char.mod("%d", _revenue(rng, potential, status)),
            "visits_per_year": _visit_overrides(rng, rank),
            "service_minutes": _service_overrides(rng, rank),
            "last_visit_at": _last_visits(rng, rank, status),
        }
    )


def _locations(
    rng: Generator, places: pl.DataFrame, land: shapely.Geometry
) -> tuple[Points, Indices]:
    """Return a point on land for each customer, and the row of the place it belongs to."""
    n_background = round(BACKGROUND_SHARE * N_CUSTOMERS)
    centres = places.select("lon", "lat").to_numpy()
    around = _first_on_land(
        N_CUSTOMERS - n_background, land, lambda n: _around_cities(rng, places, n)
    )
    spread = _first_on_land(n_background, land, lambda n: _anywhere(rng, centres, n))
    mixed = rng.permutation(N_CUSTOMERS)
    lon_lat = np.concatenate([around[0], spread[0]])[mixed]
    return lon_lat, np.concatenate([around[1], spread[1]])[mixed]


def _first_on_land(
    n_points: int, land: shapely.Geometry, draw: Callable[[int], tuple[Points, Indices]]
) -> tuple[Points, Indices]:
    # Three draws a point are plenty: of the box, the emptiest case, half is land.
    lon_lat, place = draw(3 * n_points)
    kept = np.flatnonzero(is_on_land(land, lon_lat))[:n_points]
    if kept.size < n_points:
        raise RuntimeError(f"only {kept.size} of {n_points} points wanted fell on land")
    return lon_lat[kept], place[kept]


def _around_cities(rng: Generator, places: pl.DataFrame, n_points: int) -> tuple[Points, Indices]:
    population = places["population"].to_numpy()
    weight = population**0.9
    place = rng.choice(len(places), n_points, p=weight / weight.sum())
    spread_km = 1.5 + 9.5 * np.sqrt(population / population.max())
    # A normal pair over one chi is a round Student t: dense cores, long suburban tails.
    chi = np.sqrt(rng.chisquare(3, n_points) / 3)
    offset_km = rng.standard_normal((n_points, 2)) * (spread_km[place] / chi)[:, None]
    return moved_by_km(places.select("lon", "lat").to_numpy()[place], offset_km), place


def _anywhere(rng: Generator, centres: Points, n_points: int) -> tuple[Points, Indices]:
    west, south, east, north = BOX_LON_LAT
    lon_lat = np.round(rng.uniform((west, south), (east, north), (n_points, 2)), 6)
    return lon_lat, distances_km(lon_lat, centres).argmin(axis=1)


def _potential(rng: Generator, segment: Texts) -> NDArray[np.int64]:
    """Return what each customer could buy, CNY a year, rounded to hundreds."""
    factors = vocabulary.SEGMENT_POTENTIAL_FACTORS
    factor = np.array([factors[name] for name in segment.tolist()])
    cny_per_year = 90_000 * factor * rng.lognormal(0.0, 1.0, N_CUSTOMERS)
    return (np.round(cny_per_year / 100) * 100).astype(np.int64)


def _class_ranks(rng: Generator, potential: NDArray[np.int64]) -> Indices:
    """Return rows of `CLASSES`: the best by potential and luck first, D anywhere in the tail."""
    score = np.log(potential) + rng.normal(0.0, 0.5, N_CUSTOMERS)
    tail = rng.permutation(np.repeat([3, 4], N_OF_CLASS[3:]))
    rank = np.empty(N_CUSTOMERS, dtype=np.int64)
    best_first = np.argsort(-score, kind="stable")
    rank[best_first] = np.concatenate([np.repeat([0, 1, 2], N_OF_CLASS[:3]), tail])
    return rank


def _status(rng: Generator, rank: Indices) -> Texts:
    """Return active, lead or inactive; strategic customers (S) are always active."""
    status = rng.choice(np.array(["active", "lead", "inactive"]), rank.size, p=[0.93, 0.04, 0.03])
    return np.where(rank == 0, "active", status)


def _revenue(rng: Generator, potential: NDArray[np.int64], status: Texts) -> NDArray[np.int64]:
    """Return CNY a year: a share of the potential of active customers, nothing of others."""
    share = np.where(status == "active", rng.beta(2.0, 3.0, potential.size), 0.0)
    return (np.round(potential * share / 100) * 100).astype(np.int64)


def _names(rng: Generator, segment: Texts, place_names: NDArray[np.object_]) -> list[str]:
    """Return business names: with the town, without it, or in Chinese characters."""
    n_names = segment.size
    n_syllables = len(vocabulary.SYLLABLES)
    first = rng.integers(n_syllables, size=n_names)
    second = (first + rng.integers(1, n_syllables, size=n_names)) % n_syllables
    business = rng.integers(len(vocabulary.BUSINESSES["retail"]), size=n_names)
    form = rng.choice(3, n_names, p=[0.45, 0.55 - CHINESE_NAME_SHARE, CHINESE_NAME_SHARE])
    rows = zip(form, first, second, segment, business, place_names, strict=True)
    return [_name(*row) for row in rows]


def _name(form: int, first: int, second: int, segment: str, business: int, place: str) -> str:
    first_pinyin, first_character = vocabulary.SYLLABLES[first]
    second_pinyin, second_character = vocabulary.SYLLABLES[second]
    english, chinese = vocabulary.BUSINESSES[segment][business]
    if form == 2:
        return f"{first_character}{second_character}{chinese}"
    brand = f"{first_pinyin}{second_pinyin.lower()} {english}"
    return f"{place} {brand}" if form == 0 else brand


def _tags(rng: Generator) -> list[str]:
    chosen = rng.random((N_CUSTOMERS, len(vocabulary.TAGS))) < 0.05
    return [
        ";".join(tag for tag, has_tag in zip(vocabulary.TAGS, row, strict=True) if has_tag)
        for row in chosen.tolist()
    ]


def _visit_overrides(rng: Generator, rank: Indices) -> Texts:
    factor = rng.choice([0.5, 0.75, 1.25, 1.5], rank.size)
    visits = np.maximum(np.round(VISITS_PER_YEAR[rank] * factor), 1)
    return _mostly_empty(rng, visits, share=0.05, is_allowed=rank < 4)


def _service_overrides(rng: Generator, rank: Indices) -> Texts:
    minutes = SERVICE_MINUTES[rank] + rng.choice([-10, -5, 10, 15], rank.size)
    return _mostly_empty(rng, minutes, share=0.03, is_allowed=rank < 4)


def _mostly_empty(
    rng: Generator,
    values: NDArray[np.floating] | NDArray[np.integer],
    share: float,
    is_allowed: NDArray[np.bool_],
) -> Texts:
    is_given = is_allowed & (rng.random(values.size) < share)
    return np.where(is_given, np.char.mod("%d", values), "")


def _last_visits(rng: Generator, rank: Indices, status: Texts) -> Texts:
    """Return ISO dates of the year before `TODAY`; leads have none.

    Most customers were seen within their interval, one in eight up to three intervals ago, and
    inactive ones not for four months.
    """
    interval_days = 365 / np.maximum(VISITS_PER_YEAR[rank], 1)
    overdue = np.where(rng.random(rank.size) < 0.125, rng.uniform(1.0, 3.0, rank.size), 1.0)
    share_of_interval = rng.random(rank.size)
    gap_days = np.where(
        status == "inactive",
        120 + 245 * share_of_interval,
        interval_days * overdue * share_of_interval,
    )
    last_visit = TODAY - np.clip(np.ceil(gap_days), 1, 365).astype("timedelta64[D]")
    return np.where(status == "lead", "", last_visit.astype(str))
