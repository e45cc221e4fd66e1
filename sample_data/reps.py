"""Twenty-four fictional sales teams living where the customers are."""

import numpy as np
import polars as pl
import shapely
from numpy.random import Generator
from numpy.typing import NDArray

from sample_data import vocabulary
from sample_data.sources import distances_km, is_on_land, moved_by_km

N_REPS = 24
NEIGHBOURHOOD_KM = 25.0
N_HOME_TRIALS = 50


def make_reps(rng: Generator, places: pl.DataFrame, land: shapely.Geometry) -> pl.DataFrame:
    """Return the representatives as columns of text, ready to be written."""
    home_places = _home_places(places)
    home = _homes(rng, places.select("lon", "lat").to_numpy()[home_places], land)
    surnames = rng.permutation(vocabulary.SURNAMES)[:N_REPS]
    given_names = rng.permutation(vocabulary.GIVEN_NAMES)[:N_REPS]
    towns = places["name"].to_numpy()[home_places]
    people = zip(surnames, given_names, towns, strict=True)
    # Seven full-time people a team on average: their 240,000 hours a year are about the work
    # of the customers, so that a designed plan shows teams neither idle nor drowned.
    team_sizes = np.resize([6.0, 6.5, 7.0, 7.0, 7.5, 8.0], N_REPS)
    return pl.DataFrame(
        {
            "external_id": [f"REP-{number:02d}" for number in range(1, N_REPS + 1)],
            "name": [f"{surname} {given} ({town} team)" for surname, given, town in people],
            "home_lon": np.char.mod("%.6f", home[:, 0]),
            "home_lat": np.char.mod("%.6f", home[:, 1]),
            "days_per_year": np.char.mod("%d", rng.choice([216, 220, 224], N_REPS)),
            "hours_per_day": np.full(N_REPS, "8"),
            "field_share": np.char.mod("%.2f", rng.choice([0.78, 0.80, 0.82], N_REPS)),
            "ability": np.char.mod("%.2f", rng.choice([0.90, 0.95, 1.00, 1.05, 1.10], N_REPS)),
            "fte": np.char.mod("%.1f", rng.permutation(team_sizes)),
            "skills": _skills(rng),
        }
    )


def _home_places(places: pl.DataFrame) -> NDArray[np.int64]:
    """Return the rows of the towns teams live in, by the demand around them.

    One after the other, each team looks for the town with the most unserved demand near it,
    settles in the largest town of that neighbourhood that has no team yet, and takes a 24th
    of all demand, the nearest first.
    """
    lon_lat = places.select("lon", "lat").to_numpy()
    distance_km = distances_km(lon_lat, lon_lat)
    is_near = distance_km <= NEIGHBOURHOOD_KM
    free_population = places["population"].to_numpy().copy()
    unserved = free_population**0.9
    quota = unserved.sum() / N_REPS
    chosen = np.empty(N_REPS, dtype=np.int64)
    for team in range(N_REPS):
        middle = (is_near @ unserved).argmax()
        chosen[team] = np.where(is_near[middle], free_population, 0).argmax()
        free_population[chosen[team]] = 0
        nearest_first = np.argsort(distance_km[middle], kind="stable")
        before = np.cumsum(unserved[nearest_first]) - unserved[nearest_first]
        unserved[nearest_first] -= np.clip(quota - before, 0.0, unserved[nearest_first])
    return chosen


def _homes(
    rng: Generator, centres: NDArray[np.float64], land: shapely.Geometry
) -> NDArray[np.float64]:
    """Return for each centre the first of some points around it that lies on land."""
    offset_km = 2.5 * rng.standard_normal((N_REPS * N_HOME_TRIALS, 2))
    trials = moved_by_km(np.repeat(centres, N_HOME_TRIALS, axis=0), offset_km)
    is_dry = is_on_land(land, trials).reshape(N_REPS, N_HOME_TRIALS)
    if not is_dry.any(axis=1).all():
        raise RuntimeError("no trial home of some team fell on land")
    homes: NDArray[np.float64] = trials.reshape(N_REPS, N_HOME_TRIALS, 2)[
        np.arange(N_REPS), is_dry.argmax(axis=1)
    ]
    return homes


def _skills(rng: Generator) -> list[str]:
    """Return the segments each team serves; every segment is somebody's."""
    segments = list(vocabulary.SEGMENT_SHARES)
    has_skill = rng.random((N_REPS, len(segments))) < 0.6
    has_skill[np.arange(N_REPS), np.arange(N_REPS) % len(segments)] = True
    return [
        ";".join(name for name, is_held in zip(segments, row, strict=True) if is_held)
        for row in has_skill.tolist()
    ]
