"""Distances that searches tell, against Karney's GeodTest: geodesics computed in high precision."""

import csv
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.db.session import Database
from app.search.schemas import LARGEST_RADIUS_M
from tests.search.crowd import add_customers
from tests.search.test_search import found

# Answers are rounded to 0.1 m; before that PostGIS is within a millimetre of the reference.
ROUNDED_M, SPHEROID_M = 0.05, 0.001

Pair = tuple[tuple[float, float], tuple[float, float], float]


def on_map(lon: str) -> float:
    """A longitude from -180 to 180: some in the files are those of a whole way round and more."""
    whole = float(lon)
    return whole - 360.0 * round(whole / 360.0) if abs(whole) > 180 else whole


@pytest.fixture(scope="module")
def pairs(shared_data: Path) -> list[Pair]:
    """Two places (lon, lat) each and the metres between them, from a few to half the globe."""
    rows = []
    for name in ("geodtest.csv", "geodtest_20.csv"):
        with (shared_data / "geodesic" / name).open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    return [
        (
            (on_map(row["lon1"]), float(row["lat1"])),
            (on_map(row["lon2"]), float(row["lat2"])),
            float(row["s12_m"]),
        )
        for row in rows
    ]


async def test_the_distance_to_the_nearest_is_that_of_the_reference_however_far_it_is(
    client: httpx.AsyncClient, database: Database, pairs: list[Pair]
) -> None:
    there = np.array([second for _, second, _ in pairs])
    await add_customers(database, there[:, 0], there[:, 1])

    told = []
    for number, ((lon, lat), _, _) in enumerate(pairs):
        everybody = await found(client, "nearest", lon=lon, lat=lat, k=len(pairs))
        distances = {customer["external_id"]: customer["distance_m"] for customer in everybody}
        told.append(distances[f"C{number}"])

    reference = np.array([distance_m for _, _, distance_m in pairs])
    assert len(reference) == 70
    assert reference.max() > 19_900_000, "pairs that are almost antipodes are among them"
    assert np.abs(np.array(told) - reference).max() <= ROUNDED_M + SPHEROID_M


async def test_a_radius_holds_who_is_within_it_by_the_reference_and_tells_how_far(
    client: httpx.AsyncClient, database: Database, pairs: list[Pair]
) -> None:
    near = [pair for pair in pairs if pair[2] + 1 < LARGEST_RADIUS_M]
    # And from the second to the first: a geodesic is as long on the way back.
    near += [(second, first, distance_m) for first, second, distance_m in near]
    assert len(near) >= 14
    there = np.array([second for _, second, _ in near])
    await add_customers(database, there[:, 0], there[:, 1])

    for number, ((lon, lat), _, distance_m) in enumerate(near):
        name = f"C{number}"
        for more_m, is_held in ((-SPHEROID_M, False), (SPHEROID_M, True), (1.0, True)):
            radius_m = distance_m + more_m
            within = await found(
                client, "radius", lon=lon, lat=lat, radius_m=radius_m, limit=len(near)
            )
            told = {customer["external_id"]: customer["distance_m"] for customer in within}
            assert (name in told) == is_held, (distance_m, radius_m)
            if is_held:
                assert abs(told[name] - distance_m) <= ROUNDED_M + SPHEROID_M
